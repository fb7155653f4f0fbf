"""Decode every clip of a corpus: is it whole, and can all of it be used?"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.combine import find_copies
from emovox.corpora.ravdess import (
    RAVDESS_CLIPS,
    list_ravdess_names,
    parse_ravdess_name,
    scan_ravdess,
)
from emovox.errors import AudioError, CorpusError
from emovox.labels import EMOTIONS, order_labels

_RATE_HZ = 48_000
_SHORTEST_RAVDESS_S = 2.5
"""The originals last 2.94 to 5.27 s; a shorter clip was cut off."""

_SHORTEST_S = 0.1
_SILENT_PEAK = 1e-4
"""80 dB below full scale."""


@dataclass(frozen=True, slots=True)
class DamagedClip:
    """A clip that is there but cannot be used.

    Attributes:
        path: Where it lies.
        problem: What is wrong with it, in one line.
    """

    path: Path
    problem: str


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Clips of one emotion or of one speaker.

    Attributes:
        name: The emotion, or the speaker's number.
        gender: The speaker's gender; ``None`` for an emotion.
        sound: Clips that are there and decode.
        expected: Clips in the whole corpus, or of a list.
        duration_s: Length of the sound ones together, in seconds.
    """

    name: str
    gender: str | None
    sound: int
    expected: int
    duration_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return the count as JSON-ready types."""
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
    """What is right and wrong with a copy of RAVDESS speech.

    Attributes:
        folder: The folder that was checked.
        expected: Clips in the whole corpus.
        sound: Clips that are there and decode.
        missing: Names of the clips that are not there.
        damaged: Clips that are there but cannot be used.
        misplaced: Clips whose ``Actor_NN`` folder names another actor than they do.
        duplicates: Further copies of clips, not used.
        strays: Audio files with no valid RAVDESS name, not used.
        emotions: The sound clips by emotion.
        speakers: The sound clips by speaker.
    """

    folder: Path
    expected: int
    sound: int
    missing: tuple[str, ...]
    damaged: tuple[DamagedClip, ...]
    misplaced: tuple[Path, ...]
    duplicates: tuple[Path, ...]
    strays: tuple[Path, ...]
    emotions: tuple[GroupCount, ...]
    speakers: tuple[GroupCount, ...]

    @property
    def duration_s(self) -> float:
        """Length of all sound clips together, in seconds."""
        return sum(group.duration_s for group in self.emotions)

    @property
    def is_complete(self) -> bool:
        """Whether all clips are there, decode, and lie under their own actor."""
        return self.sound == self.expected and not self.misplaced

    def to_dict(self) -> dict[str, Any]:
        """Return the check as JSON-ready types."""
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
            "emotions": [group.to_dict() for group in self.emotions],
            "speakers": [group.to_dict() for group in self.speakers],
        }


@dataclass(frozen=True, slots=True)
class ListCheck:
    """What is right and wrong with any corpus.

    Attributes:
        listing: Its clips, and what of it is not used.
        damaged: Clips that do not decode, are silent, or too short.
        copies: Clips whose bytes are those of an earlier one, not used in training.
        emotions: The sound clips by label.
        speakers: The sound clips by speaker.
    """

    listing: CorpusListing
    damaged: tuple[DamagedClip, ...]
    copies: tuple[Path, ...]
    emotions: tuple[GroupCount, ...]
    speakers: tuple[GroupCount, ...]

    @property
    def sound(self) -> int:
        """Clips that can be used."""
        return sum(group.sound for group in self.emotions)

    @property
    def duration_s(self) -> float:
        """Length of all sound clips together, in seconds."""
        return sum(group.duration_s for group in self.emotions)

    @property
    def is_complete(self) -> bool:
        """Whether every recording that is listed is there and can be used."""
        return not self.damaged and not self.listing.missing

    def to_dict(self) -> dict[str, Any]:
        """Return the check as JSON-ready types."""
        return {
            "corpus": self.listing.corpus,
            "source": str(self.listing.source),
            "complete": self.is_complete,
            "sound": self.sound,
            "duration_s": round(self.duration_s, 3),
            "missing": [str(path) for path in self.listing.missing],
            "damaged": [{"file": str(clip.path), "problem": clip.problem} for clip in self.damaged],
            "duplicates": [str(path) for path in self.copies],
            "unused": dict(self.listing.skipped),
            "emotions": [group.to_dict() for group in self.emotions],
            "speakers": [group.to_dict() for group in self.speakers],
        }


def verify_listing(
    listing: CorpusListing, *, report: Callable[[int, int], None] | None = None
) -> ListCheck:
    """Decode every clip of a corpus, and count what can be used.

    Args:
        listing: The corpus.
        report: Called with the clips decoded so far and the clips found.

    Returns:
        What is missing, damaged, silent, too short or there twice, and the counts.

    Example:
        >>> verify_listing(read_corpus("./calls.csv")).is_complete  # doctest: +SKIP
        True
    """
    durations_s, damaged = _measure_clips(listing.clips, _SHORTEST_S, report)
    genders = {clip.speaker: clip.gender or "" for clip in listing.clips}
    labels = order_labels(clip.emotion for clip in listing.clips)
    return ListCheck(
        listing,
        tuple(damaged),
        tuple(find_copies(listing.clips)),
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
    """Check which of the 1,440 speech clips a folder has, and decode every one.

    Args:
        folder: A folder in any layout that :func:`emovox.corpora.ravdess.read_ravdess` takes.
        report: Called with the clips decoded so far and the clips found.

    Returns:
        What is there, what is missing or damaged, and the counts by emotion and speaker.

    Raises:
        CorpusError: The folder is missing, unreadable, or holds no RAVDESS speech clip.

    Example:
        >>> verify_ravdess(Path("ravdess/speech")).is_complete  # doctest: +SKIP
        True
    """
    listing = scan_ravdess(folder)
    if not listing.clips:
        raise CorpusError(
            f"{folder} holds no RAVDESS speech clip to verify: expected files named like "
            "03-01-06-02-01-02-12.wav; name another folder or run 'emovox data fetch ravdess'"
        )
    durations_s, damaged = _measure_clips(listing.clips, _SHORTEST_RAVDESS_S, report)
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
        damaged=tuple(damaged),
        misplaced=listing.misplaced,
        duplicates=listing.duplicates,
        strays=listing.strays,
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


def _measure_clips(
    clips: Sequence[Clip], shortest_s: float, report: Callable[[int, int], None] | None
) -> tuple[dict[str, float], list[DamagedClip]]:
    """Return the length of each sound clip by its name, and the clips that are none."""
    durations_s: dict[str, float] = {}
    damaged: list[DamagedClip] = []
    # Decoding lets go of the interpreter's lock, so threads share the cores.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        measured = pool.map(_measure_clip, (clip.path for clip in clips), repeat(shortest_s))
        for done, (clip, result) in enumerate(zip(clips, measured, strict=False), 1):
            if isinstance(result, str):
                damaged.append(DamagedClip(clip.path, result))
            else:
                durations_s[clip.name] = result
            if report:
                report(done, len(clips))
    return durations_s, damaged


def _count_group(
    name: str,
    gender: str | None,
    clips: Sequence[Clip],
    durations_s: dict[str, float],
    expected: int | None = None,
) -> GroupCount:
    """Count a group's sound clips; of a list, as many are expected as it names."""
    lengths_s = [durations_s[clip.name] for clip in clips if clip.name in durations_s]
    n_expected = len(clips) if expected is None else expected
    return GroupCount(name, gender, len(lengths_s), n_expected, sum(lengths_s))


def _measure_clip(path: Path, shortest_s: float) -> float | str:
    """Return a clip's length in seconds, or what is wrong with it."""
    from emovox.audio.load import load_audio

    try:
        waveform = load_audio(path, _RATE_HZ)
    except AudioError as error:
        return str(error).removeprefix(f"{path}: ")
    if np.abs(waveform.samples).max() < _SILENT_PEAK:
        return "is silent, expected speech; record or copy it again"
    if waveform.duration_s < shortest_s:
        return (
            f"lasts {waveform.duration_s:.2f} s, expected at least {shortest_s} s; it was cut off, "
            "record or copy it again"
        )
    return waveform.duration_s
