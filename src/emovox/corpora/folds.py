"""Folds of clips, and what makes them invalid or limits what their scores mean."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emovox.corpora.check import DataCheck
from emovox.corpora.clips import Clip
from emovox.corpora.findings import Finding, Verdict
from emovox.corpora.registry import identify_speaker
from emovox.errors import ProtocolError
from emovox.labels import order_labels


@dataclass(frozen=True, slots=True)
class Fold:
    """One (train, validation, test) set.

    Attributes:
        name: Two digits from ``"01"``; under ``loco``, the corpus left out.
        train: Clips that the weights are fitted to.
        validation: Clips used by early stopping and the learning-rate schedule.
        test: Clips that the final model is scored on, once.
        labels: Labels that test predictions are restricted to, in the model's order; empty: all
            of the model's labels.
    """

    name: str
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Protocol:
    """A named list of folds.

    Attributes:
        name: As on the command line, e.g. ``"emobox-6"``.
        version: Scores of different versions are not comparable.
        description: One sentence for display.
        speaker_independent: No test speaker is used for training or validation, in any fold.
        folds: The folds in order.
        notes: Which clips are not used and why, for display.
        check: What the check of its clips found; ``None`` if they were not checked.
    """

    name: str
    version: int
    description: str
    speaker_independent: bool
    folds: tuple[Fold, ...]
    notes: tuple[str, ...] = ()
    check: DataCheck | None = None

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips of its folds, each once."""
        return tuple(
            dict.fromkeys(
                clip for fold in self.folds for clip in (*fold.train, *fold.validation, *fold.test)
            )
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels of its clips, which its models learn, in the order of a model's outputs."""
        return order_labels(clip.emotion for clip in self.clips)


def check_folds(protocol: Protocol) -> None:
    """Refuse folds whose training and test sets overlap.

    Raises:
        ProtocolError: A clip has two roles, or a speaker of a speaker-independent protocol is in
            both training and test.
    """
    for fold in protocol.folds:
        if not fold.train:
            raise ProtocolError(f"{protocol.name}, fold {fold.name}: no training clip is left")
        roles = Counter(c.name for c in (*fold.train, *fold.validation, *fold.test))
        name, count = roles.most_common(1)[0]
        if count > 1:
            raise ProtocolError(f"{protocol.name}, fold {fold.name}: clip {name} is in it twice")
        shared = find_shared_speakers(fold)
        if protocol.speaker_independent and shared:
            raise ProtocolError(
                f"{protocol.name}, fold {fold.name}: speakers {', '.join(shared)} are in training "
                "and in the test; such a score says nothing about unseen speakers. Split by whole "
                "speakers (if two people in two lists share a name, rename one), or pass "
                "--allow-speaker-overlap to get a speaker-dependent score"
            )


def find_shared_speakers(fold: Fold) -> list[str]:
    """Return the test speakers of a fold that are also in its training or validation set."""
    seen = {identify_speaker(c) for c in (*fold.train, *fold.validation)}
    shared = {c.speaker for c in fold.test if identify_speaker(c) in seen}
    return sorted(shared, key=lambda s: (len(s), s))


def doubt_speakers(protocol: Protocol) -> Protocol:
    """Mark a protocol as speaker-dependent if some of its clips have unknown speakers."""
    unknown = [clip for clip in protocol.clips if not clip.has_speaker]
    if not (protocol.speaker_independent and unknown):
        return protocol
    note = (
        f"{len(unknown):,} clips do not say who speaks, so test speakers may be in training: "
        "scores are reported as speaker-dependent; name the speakers in a column 'speaker'"
    )
    return replace(protocol, speaker_independent=False, notes=(*protocol.notes, note))


def check_labels(protocol: Protocol) -> None:
    """Refuse folds that train on fewer than two labels.

    Raises:
        ProtocolError: A fold has fewer than two; the message names it.
    """
    for fold in protocol.folds:
        labels = order_labels(clip.emotion for clip in fold.train)
        if len(labels) < 2:
            raise ProtocolError(
                f"{protocol.name}, fold {fold.name}: all {len(fold.train):,} training clips are "
                f"labelled {', '.join(labels)}; expected two labels or more to tell apart: add "
                "recordings of others, or run 'emovox data list' to see what is read as a label"
            )


def find_absent_labels(protocol: Protocol) -> tuple[Finding, ...]:
    """Find labels that a fold does not train on, and those that it does not test."""
    untrained: defaultdict[str, list[str]] = defaultdict(list)
    untested: defaultdict[str, list[str]] = defaultdict(list)
    n_wrong = 0
    for fold in protocol.folds:
        trained, tested = {c.emotion for c in fold.train}, {c.emotion for c in fold.test}
        n_wrong += sum(clip.emotion not in trained for clip in fold.test)
        for label in fold.labels or protocol.labels:
            if label not in trained:
                untrained[label].append(fold.name)
            if fold.test and label not in tested:
                untested[label].append(fold.name)
    findings = []
    if untrained:
        shown = _show_folds(untrained)
        detail = (
            f"no training clip of {shown}: such a model never predicts it, and {n_wrong:,} test "
            "clips of it count as wrong"
        )
        findings.append(Finding("classes in folds", Verdict.WARNING, n_wrong, detail))
    if untested:
        detail = f"no test clip of {_show_folds(untested)}: means over classes leave it out there"
        findings.append(Finding("classes in folds", Verdict.WARNING, 0, detail))
    return tuple(findings)


def _show_folds(absent: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{label} in fold {', '.join(names)}" for label, names in absent.items())


def describe_rare_labels(protocol: Protocol) -> tuple[str, ...]:
    """Describe which labels of a fold have fewer than two training clips in it."""
    rare: set[str] = set()
    for fold in protocol.folds:
        counts = Counter(clip.emotion for clip in fold.train)
        rare |= {label for label in fold.labels or protocol.labels if counts[label] < 2}
    if not rare:
        return ()
    return (
        f"fewer than two training clips in at least one fold: {', '.join(order_labels(rare))}; "
        "no model can learn them: add recordings, or leave them out by data.labels",
    )
