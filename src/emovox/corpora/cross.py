"""Across corpora: train on all of one, test on all of another (``cross:A->B``)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from emovox.corpora.clips import Clip
from emovox.corpora.protocols import Fold, Protocol, check_folds
from emovox.errors import ProtocolError
from emovox.labels import EMOTIONS

_PREFIX = "cross:"
_VALIDATION_SHARE = 1 / 6


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


def make_cross(name: str, trained: Sequence[Clip], tested: Sequence[Clip]) -> Protocol:
    """Make the one fold of a protocol across corpora.

    Whole speakers of the training corpus validate: a sixth of them, women and men in turn, at
    least one where there are two.

    Args:
        name: As given, for what is printed.
        trained: All clips to train on, with every label they have.
        tested: Clips to test on; those with a label that training lacks are left out.

    Returns:
        The protocol; its predictions are restricted to the labels that both have.

    Raises:
        ProtocolError: The two share no label or share a speaker.
    """
    known = {clip.emotion for clip in trained}
    shared = tuple(e for e in EMOTIONS if e in known & {clip.emotion for clip in tested})
    if len(shared) < 2:
        raise ProtocolError(
            f"{name}: found {len(shared)} emotions that both sides have; expected at least 2"
        )
    validating = choose_validation_speakers(trained)
    fold = Fold(
        "01",
        train=tuple(c for c in trained if c.speaker not in validating),
        validation=tuple(c for c in trained if c.speaker in validating),
        test=tuple(c for c in tested if c.emotion in shared),
        labels=shared,
    )
    description = (
        f"train on one corpus, test on another over the {len(shared)} emotions that both have "
        f"({', '.join(shared)}), no other can be predicted; {len(validating)} training speakers "
        "validate"
    )
    protocol = Protocol(name, 1, description, True, (fold,), describe_untested(tested, shared))
    check_folds(protocol)
    return protocol


def describe_untested(tested: Sequence[Clip], shared: Sequence[str]) -> tuple[str, ...]:
    """Say how many clips are not tested because training lacks their label."""
    absent = [clip.emotion for clip in tested if clip.emotion not in shared]
    if not absent:
        return ()
    labels = ", ".join(e for e in EMOTIONS if e in absent)
    return (f"{len(absent):,} clips are not tested: training has no {labels}",)


def describe_labels(protocol: Protocol) -> list[str]:
    """Say which emotions alone a protocol's scores are over, where not over all."""
    shared = sorted({label for fold in protocol.folds for label in fold.labels}, key=EMOTIONS.index)
    if len(shared) == len(EMOTIONS):
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
        replace(fold, labels=tuple(e for e in EMOTIONS if e in {c.emotion for c in fold.test}))
        for fold in protocol.folds
    )
    return replace(protocol, folds=folds)


def choose_validation_speakers(clips: Sequence[Clip]) -> set[str]:
    """Choose the training speakers who validate: the last ones, women and men in turn."""
    genders = {clip.speaker: clip.gender or "" for clip in clips}
    if len(genders) < 2:
        return set()
    ordered = sorted(genders, key=lambda s: (len(s), s), reverse=True)
    groups = [[s for s in ordered if genders[s] == g] for g in sorted(set(genders.values()))]
    in_turn = [s for turn in zip_longest(*groups) for s in turn if s is not None]
    n_validation = max(1, round(_VALIDATION_SHARE * len(in_turn)))
    return set(in_turn[:n_validation])
