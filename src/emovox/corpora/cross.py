"""Cross-corpus protocols: train on one corpus, test on another (``cross:A->B``)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold, Protocol, check_folds, find_shared_speakers
from emovox.corpora.held_out import hold_out
from emovox.errors import ProtocolError
from emovox.labels import order_labels

_PREFIX = "cross:"


@dataclass(frozen=True, slots=True)
class CrossName:
    """The corpora named by ``cross:A+B->C``.

    Attributes:
        trained: Corpora to train on, at least one.
        tested: The corpus to test on.
    """

    trained: tuple[str, ...]
    tested: str


def parse_cross(protocol: str) -> CrossName | None:
    """Parse the name of a cross-corpus protocol.

    Args:
        protocol: Name of any protocol. Cross-corpus names are ``cross:A->B``, where A and B are
            corpus names or paths of lists, and A may be several joined by ``+``. A ``+`` within
            the path of an existing list or folder is part of that path.

    Returns:
        The corpora, or ``None`` if it is not a cross-corpus protocol.

    Raises:
        ProtocolError: The name starts with ``cross:`` but is malformed.

    Examples:
        >>> parse_cross("cross:ravdess+ravdess-song->nemo")
        CrossName(trained=('ravdess', 'ravdess-song'), tested='nemo')
    """
    if not protocol.startswith(_PREFIX):
        return None
    trained, arrow, tested = protocol.removeprefix(_PREFIX).partition("->")
    names = _split_names(trained)
    if not arrow or not tested.strip() or "->" in tested or not all(names):
        raise ProtocolError(
            f"cannot read the protocol {protocol!r}; expected cross:A->B with two corpora, such as "
            "'cross:ravdess->nemo' (in quotes, because > redirects output in a shell)"
        )
    return CrossName(names, tested.strip())


def _split_names(trained: str) -> tuple[str, ...]:
    """Split corpora at each ``+`` that is not part of the path of an existing list or folder."""
    parts = trained.split("+")
    names = []
    while parts:
        joined = ("+".join(parts[:n]).strip() for n in range(len(parts), 1, -1))
        name = next((j for j in joined if Path(j).expanduser().exists()), parts[0].strip())
        names.append(name)
        parts = parts[name.count("+") + 1 :]
    return tuple(names)


def list_corpora(protocol: str, corpora: Sequence[str]) -> tuple[str, ...]:
    """Return all corpora that a recipe needs: those named by its protocol, or its own.

    Args:
        protocol: The recipe's protocol.
        corpora: The recipe's corpora.

    Returns:
        The corpora. In a cross-corpus protocol the last one is tested, otherwise the first.

    Raises:
        ProtocolError: The recipe lists corpora that its cross-corpus protocol does not name.

    Examples:
        >>> list_corpora("cross:nemo->ravdess", ("ravdess",))
        ('nemo', 'ravdess')
    """
    cross = parse_cross(protocol)
    if cross is None:
        return tuple(corpora)
    named = (*cross.trained, cross.tested)
    others = [name for name in corpora if name not in named]
    # RAVDESS is the default of recipes that name no corpus.
    if others and tuple(corpora) != ("ravdess",):
        raise ProtocolError(
            f"{protocol} trains on {' and '.join(cross.trained)} alone, but the recipe has "
            f"{' and '.join(others)} too; leave it out, or join the corpora to train on: "
            f"cross:{'+'.join((*cross.trained, *others))}->{cross.tested}"
        )
    return named


def name_tested(protocol: str, corpora: Sequence[str]) -> str:
    """Return the corpus that a recipe's protocol tests on; under ``loco`` all, joined by commas."""
    cross = parse_cross(protocol)
    tested = ", ".join(corpora) if protocol == "loco" else corpora[0]
    return tested if cross is None else cross.tested


def make_cross(
    name: str,
    trained: Sequence[Clip],
    tested: Sequence[Clip],
    *,
    allow_speaker_overlap: bool = False,
) -> Protocol:
    """Make the single fold of a cross-corpus protocol.

    A sixth of the training speakers (at least one of two or more, alternating women and men) are
    held out for validation; with fewer than two speakers, a tenth of the clips.

    Args:
        name: The protocol's name as given, for output.
        trained: All training clips, with all of their labels.
        tested: Test clips; those whose label is missing from training are left out.
        allow_speaker_overlap: Accept corpora that share speakers and report their scores as
            speaker-dependent.

    Returns:
        The protocol; predictions are restricted to the labels that both sides have.

    Raises:
        ProtocolError: The two sides share fewer than two labels, or share a speaker although
            ``allow_speaker_overlap`` is not set.
    """
    shared = share_labels(name, trained, tested)
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


def share_labels(name: str, trained: Sequence[Clip], tested: Sequence[Clip]) -> tuple[str, ...]:
    """Return the labels that training and test clips share; refuse fewer than two."""
    sides = [order_labels(clip.emotion for clip in side) for side in (trained, tested)]
    shared = tuple(label for label in sides[0] if label in sides[1])
    if len(shared) < 2:
        raise ProtocolError(
            f"{name}: the two sides share {len(shared)} labels; expected at least 2, found "
            f"{', '.join(sides[0])} and {', '.join(sides[1])}: "
            "use the same names for the same emotions"
        )
    return shared


def describe_untested(tested: Sequence[Clip], shared: Sequence[str]) -> tuple[str, ...]:
    """Describe how many clips are not tested because training lacks their label."""
    absent = [clip.emotion for clip in tested if clip.emotion not in shared]
    if not absent:
        return ()
    labels = ", ".join(order_labels(absent))
    return (f"{len(absent):,} clips are not tested: training has no {labels}",)


def describe_labels(protocol: Protocol) -> list[str]:
    """Describe the emotions that a cross-corpus protocol's scores are restricted to."""
    shared = order_labels(label for fold in protocol.folds for label in fold.labels)
    if not shared or not protocol.name.startswith(_PREFIX):
        return []
    return [
        f"over the {len(shared)} emotions that both corpora have, no other can be predicted: "
        f"{', '.join(shared)}"
    ]


def restore_labels(protocol: Protocol) -> Protocol:
    """Restore the label restriction of folds that were read from a run's ``split.csv``.

    The test clips have exactly the labels that both corpora share.
    """
    if not protocol.name.startswith(_PREFIX):
        return protocol
    folds = tuple(
        replace(fold, labels=order_labels(clip.emotion for clip in fold.test))
        for fold in protocol.folds
    )
    return replace(protocol, folds=folds)
