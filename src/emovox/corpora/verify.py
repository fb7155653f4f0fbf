"""Verify a corpus: decode every clip and report missing, damaged and duplicate ones."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emovox.corpora.check import DataCheck, check_clips
from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.findings import SHORTEST_S, Verdict, find_unusable
from emovox.corpora.measure import ClipFacts, Measured, measure_clips
from emovox.corpora.ravdess import (
    RAVDESS_CLIPS,
    list_ravdess_names,
    parse_ravdess_name,
    scan_ravdess,
)
from emovox.errors import CorpusError
from emovox.labels import EMOTIONS, order_labels

_SHORTEST_RAVDESS_S = 2.5
"""The originals last 2.94 to 5.27 s; a shorter clip is truncated."""


@dataclass(frozen=True, slots=True)
class DamagedClip:
    """A clip that exists but cannot be used.

    Attributes:
        path: Path of the clip.
        problem: One-line description of the problem.
    """

    path: Path
    problem: str


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Number of clips of one emotion or one speaker.

    Attributes:
        name: The emotion, or the speaker's number.
        gender: The speaker's gender; ``None`` for an emotion.
        sound: Clips that exist and decode.
        expected: Clips in the complete corpus or list.
        duration_s: Total length of the intact clips in seconds.
    """

    name: str
    gender: str | None
    sound: int
    expected: int
    duration_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return the count as JSON-serializable types."""
        gender = {} if self.gender is None else {"gender": self.gender}
        return {
            "name": self.name,
            **gender,
            "clips": self.sound,
            "expected": self.expected,
            "duration_s": round(self.duration_s, 3),
        }


@dataclass(frozen=True, slots=True)
class CorpusCheck:
    """Verification result for a copy of RAVDESS speech.

    Attributes:
        folder: The folder that was checked.
        expected: Clips in the complete corpus.
        sound: Clips that exist and decode.
        missing: Names of the missing clips.
        damaged: Clips that exist but cannot be used.
        misplaced: Clips in an ``Actor_NN`` folder of a different actor.
        duplicates: Additional copies of clips, not used.
        strays: Audio files with no valid RAVDESS name, not used.
        check: What the check before every training finds.
        emotions: Counts of intact clips by emotion.
        speakers: Counts of intact clips by speaker.
    """

    folder: Path
    expected: int
    sound: int
    missing: tuple[str, ...]
    damaged: tuple[DamagedClip, ...]
    misplaced: tuple[Path, ...]
    duplicates: tuple[Path, ...]
    strays: tuple[Path, ...]
    check: DataCheck
    emotions: tuple[GroupCount, ...]
    speakers: tuple[GroupCount, ...]

    @property
    def duration_s(self) -> float:
        """Total length of all intact clips in seconds."""
        return sum(group.duration_s for group in self.emotions)

    @property
    def is_complete(self) -> bool:
        """Whether all clips exist, decode and are in their actor's folder."""
        return self.sound == self.expected and not self.misplaced

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-serializable types."""
        return {
            "corpus": "ravdess",
            "folder": str(self.folder),
            "complete": self.is_complete,
            "expected": self.expected,
            "sound": self.sound,
            "duration_s": round(self.duration_s, 3),
            "missing": list(self.missing),
            "damaged": [{"file": str(clip.path), "problem": clip.problem} for clip in self.damaged],
            "misplaced": [str(path) for path in self.misplaced],
            "duplicates": [str(path) for path in self.duplicates],
            "strays": [str(path) for path in self.strays],
            "findings": [finding.to_dict() for finding in self.check.findings],
            "emotions": [group.to_dict() for group in self.emotions],
            "speakers": [group.to_dict() for group in self.speakers],
        }


@dataclass(frozen=True, slots=True)
class ListCheck:
    """Verification result for any corpus.

    Attributes:
        listing: Its clips and the recordings that are not used.
        check: What the check before every training finds.
        damaged: Clips that do not decode, are silent or too short.
        emotions: Counts of intact clips by label.
        speakers: Counts of intact clips by speaker.
    """

    listing: CorpusListing
    check: DataCheck
    damaged: tuple[DamagedClip, ...]
    emotions: tuple[GroupCount, ...]
    speakers: tuple[GroupCount, ...]

    @property
    def sound(self) -> int:
        """Number of usable clips."""
        return sum(group.sound for group in self.emotions)

    @property
    def duration_s(self) -> float:
        """Total length of all intact clips in seconds."""
        return sum(group.duration_s for group in self.emotions)

    @property
    def is_complete(self) -> bool:
        """Whether every listed recording exists and can be used, and scores would be true."""
        refused = any(f.verdict is Verdict.REFUSED for f in self.check.findings)
        return not (self.damaged or self.listing.missing or refused)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-serializable types."""
        return {
            "corpus": self.listing.corpus,
            "source": str(self.listing.source),
            "complete": self.is_complete,
            "sound": self.sound,
            "duration_s": round(self.duration_s, 3),
            "missing": [str(path) for path in self.listing.missing],
            "damaged": [{"file": str(clip.path), "problem": clip.problem} for clip in self.damaged],
            "findings": [finding.to_dict() for finding in self.check.findings],
            "unused": dict(self.listing.skipped),
            "emotions": [group.to_dict() for group in self.emotions],
            "speakers": [group.to_dict() for group in self.speakers],
        }


def verify_listing(
    listing: CorpusListing, *, report: Callable[[int, int], None] | None = None
) -> ListCheck:
    """Decode every clip of a corpus, check it as before a training, and count the usable ones.

    Args:
        listing: The corpus.
        report: Called with the number of clips decoded so far and the number found.

    Returns:
        What the check found, damaged clips, and the counts.
    """
    measured = measure_clips(listing.clips, report=report, fresh=True)
    durations_s, damaged = _part_damaged(listing.clips, measured, SHORTEST_S)
    genders = {clip.speaker: clip.gender or "" for clip in listing.clips}
    labels = order_labels(clip.emotion for clip in listing.clips)
    return ListCheck(
        listing,
        check_clips(listing.clips, measured, [listing]),
        damaged,
        tuple(
            _count_group(label, None, [c for c in listing.clips if c.emotion == label], durations_s)
            for label in labels
        ),
        tuple(
            _count_group(
                name, genders[name], [c for c in listing.clips if c.speaker == name], durations_s
            )
            for name in sorted(genders, key=lambda name: (len(name), name))
        ),
    )


def verify_ravdess(
    folder: Path, *, report: Callable[[int, int], None] | None = None
) -> CorpusCheck:
    """Check which of the 1,440 speech clips a folder has, and decode each of them.

    Args:
        folder: A folder in any layout accepted by ``emovox.corpora.ravdess.read_ravdess``.
        report: Called with the number of clips decoded so far and the number found.

    Returns:
        Missing and damaged clips, and the counts by emotion and speaker.

    Raises:
        CorpusError: The folder is missing or unreadable, or contains no RAVDESS speech clip.
    """
    listing = scan_ravdess(folder)
    if not listing.clips:
        raise CorpusError(
            f"{folder} holds no RAVDESS speech clip to verify: expected files named like "
            "03-01-06-02-01-02-12.wav; name another folder or run 'emovox data fetch ravdess'"
        )
    measured = measure_clips(listing.clips, report=report, fresh=True)
    durations_s, damaged = _part_damaged(listing.clips, measured, _SHORTEST_RAVDESS_S)
    present = {clip.name for clip in listing.clips}
    names = list_ravdess_names()
    expected = [parse_ravdess_name(name) for name in names]
    sound = [clip for clip in listing.clips if clip.name in durations_s]
    per_emotion = Counter(name.emotion for name in expected)
    per_speaker = Counter(str(name.actor) for name in expected)
    genders = {str(name.actor): name.gender for name in expected}
    return CorpusCheck(
        folder=folder,
        expected=RAVDESS_CLIPS,
        sound=len(sound),
        missing=tuple(name for name in names if name not in present),
        damaged=damaged,
        misplaced=listing.misplaced,
        duplicates=listing.duplicates,
        strays=listing.strays,
        check=check_clips(listing.clips, measured),
        emotions=tuple(
            _count_group(
                emotion,
                None,
                [clip for clip in listing.clips if clip.emotion == emotion],
                durations_s,
                per_emotion[emotion],
            )
            for emotion in EMOTIONS
        ),
        speakers=tuple(
            _count_group(
                speaker,
                genders[speaker],
                [clip for clip in listing.clips if clip.speaker == speaker],
                durations_s,
                per_speaker[speaker],
            )
            for speaker in per_speaker
        ),
    )


def _part_damaged(
    clips: Sequence[Clip], measured: Measured, shortest_s: float
) -> tuple[dict[str, float], tuple[DamagedClip, ...]]:
    """Return the length of each intact clip by name, and the damaged clips."""
    unusable = find_unusable(clips, measured, shortest_s)
    durations_s = {
        clip.name: facts.duration_s
        for clip in clips
        if clip.name not in unusable and isinstance(facts := measured[clip.path], ClipFacts)
    }
    damaged = (DamagedClip(c.path, unusable[c.name][1]) for c in clips if c.name in unusable)
    return durations_s, tuple(damaged)


def _count_group(
    name: str,
    gender: str | None,
    clips: Sequence[Clip],
    durations_s: dict[str, float],
    expected: int | None = None,
) -> GroupCount:
    """Count a group's intact clips; for a list, its own clips are the expected ones."""
    lengths_s = [durations_s[clip.name] for clip in clips if clip.name in durations_s]
    n_expected = len(clips) if expected is None else expected
    return GroupCount(name, gender, len(lengths_s), n_expected, sum(lengths_s))
