"""Across corpora: train on all of one, test on all of another (``cross:A->B``)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emovox.corpora.clips import Clip
from emovox.corpora.held_out import hold_out
from emovox.corpora.protocols import Fold, Protocol, check_folds, find_shared_speakers
from emovox.errors import ProtocolError
from emovox.labels import order_labels

_PREFIX = "cross:"


@dataclass(frozen=True, slots=True)
class CrossName:
    """What ``cross:A+B->C`` names.

    Attributes:
        trained: Corpora to train on, at least one.
        tested: The corpus to test on.
    """

    trained: tuple[str, ...]
    tested: str


def parse_cross(protocol: str) -> CrossName | None:
    """Read the name of a protocol across corpora.

    Args:
        protocol: Any protocol's name; this kind is ``cross:A->B``, where A and B are corpora or
            paths of lists, and A may be several joined by ``+``.

    Returns:
        The corpora, or ``None`` for a protocol of another kind.

    Raises:
        ProtocolError: It begins as one of this kind, but does not go on so.

    Example:
        >>> parse_cross("cross:ravdess+ravdess-song->nemo")
        CrossName(trained=('ravdess', 'ravdess-song'), tested='nemo')
    """
    if not protocol.startswith(_PREFIX):
        return None
    trained, arrow, tested = protocol.removeprefix(_PREFIX).partition("->")
    names = tuple(name.strip() for name in trained.split("+"))
    if not arrow or not tested.strip() or "->" in tested or not all(names):
        raise ProtocolError(
            f"cannot read the protocol {protocol!r}; expected cross:A->B with two corpora, such as "
            "'cross:ravdess->nemo' (in quotes, or the shell takes > for itself)"
        )
    return CrossName(names, tested.strip())


def list_corpora(protocol: str, corpora: Sequence[str]) -> tuple[str, ...]:
    """Return all corpora that a recipe needs: those that its protocol names, or its own.

    Args:
        protocol: The recipe's protocol.
        corpora: The recipe's corpora.

    Returns:
        The corpora; the last is tested where the protocol is one across corpora, else the first.

    Raises:
        ProtocolError: The protocol names corpora, and the recipe has others.

    Example:
        >>> list_corpora("cross:nemo->ravdess", ("ravdess",))
        ('nemo', 'ravdess')
    """
    cross = parse_cross(protocol)
    if cross is None:
        return tuple(corpora)
    named = (*cross.trained, cross.tested)
    others = [name for name in corpora if name not in named]
    # A recipe that names no corpus has RAVDESS.
    if others and tuple(corpora) != ("ravdess",):
        raise ProtocolError(
            f"{protocol} trains on {' and '.join(cross.trained)} alone, but the recipe has "
            f"{' and '.join(others)} too; leave it out, or join the corpora to train on: "
            f"cross:{'+'.join((*cross.trained, *others))}->{cross.tested}"
        )
    return named


def name_tested(protocol: str, corpora: Sequence[str]) -> str:
    """Return the corpus whose clips a recipe's protocol tests."""
    cross = parse_cross(protocol)
    return corpora[0] if cross is None else cross.tested


def make_cross(
    name: str,
    trained: Sequence[Clip],
    tested: Sequence[Clip],
    *,
    allow_speaker_overlap: bool = False,
) -> Protocol:
    """Make the one fold of a protocol across corpora.

    Whole speakers of the training corpus validate: a sixth of them, women and men in turn, at
    least one where there are two; else a tenth of its clips.

    Args:
        name: As given, for what is printed.
        trained: All clips to train on, with every label they have.
        tested: Clips to test on; those with a label that training lacks are left out.
        allow_speaker_overlap: Take corpora that share speakers; scores are then called
            speaker-dependent.

    Returns:
        The protocol; its predictions are restricted to the labels that both have.

    Raises:
        ProtocolError: The two share fewer than two labels, or a speaker without leave.
    """
    known = {clip.emotion for clip in trained}
    shared = order_labels(known & {clip.emotion for clip in tested})
    if len(shared) < 2:
        raise ProtocolError(
            f"{name}: found {len(shared)} labels that both sides have; expected at least 2, found "
            f"{', '.join(order_labels(known))} and "
            f"{', '.join(order_labels(clip.emotion for clip in tested))}: give both the same words"
        )
    train, validation = hold_out(trained, min_speakers=2)
    fold = Fold(
        "01",
        train=tuple(train),
        validation=tuple(validation),
        test=tuple(c for c in tested if c.emotion in shared),
        labels=shared,
    )
    description = (
        f"train on one corpus, test on another over the {len(shared)} emotions that both have "
        f"({', '.join(shared)}), no other can be predicted; {len(validation):,} of the training "
        "corpus' clips validate"
    )
    overlap = allow_speaker_overlap and bool(find_shared_speakers(fold))
    notes = describe_untested(tested, shared)
    protocol = Protocol(name, 1, description, not overlap, (fold,), notes)
    check_folds(protocol)
    return protocol


def describe_untested(tested: Sequence[Clip], shared: Sequence[str]) -> tuple[str, ...]:
    """Say how many clips are not tested because training lacks their label."""
    absent = [clip.emotion for clip in tested if clip.emotion not in shared]
    if not absent:
        return ()
    labels = ", ".join(order_labels(absent))
    return (f"{len(absent):,} clips are not tested: training has no {labels}",)


def describe_labels(protocol: Protocol) -> list[str]:
    """Say which emotions alone a protocol's scores are over, where not over all."""
    shared = order_labels(label for fold in protocol.folds for label in fold.labels)
    if not shared:
        return []
    return [
        f"over the {len(shared)} emotions that both corpora have, no other can be predicted: "
        f"{', '.join(shared)}"
    ]


def restore_labels(protocol: Protocol) -> Protocol:
    """Give folds read from a run's ``split.csv`` the labels that their protocol restricts them to.

    Every label that both corpora have is among the test clips, and no other.
    """
    if not protocol.name.startswith(_PREFIX):
        return protocol
    folds = tuple(
        replace(fold, labels=order_labels(clip.emotion for clip in fold.test))
        for fold in protocol.folds
    )
    return replace(protocol, folds=folds)
