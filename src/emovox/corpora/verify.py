"""Say whether a copy of RAVDESS is whole: every clip there, and every one decodes."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emovox.corpora.clips import Clip
from emovox.corpora.ravdess import (
    RAVDESS_CLIPS,
    list_ravdess_names,
    parse_ravdess_name,
    scan_ravdess,
)
from emovox.errors import AudioError, CorpusError
from emovox.labels import EMOTIONS

_RATE_HZ = 48_000
_SHORTEST_S = 2.5
"""The originals last 2.94 to 5.27 s; a shorter clip was cut off."""


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
        expected: Clips in the whole corpus.
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
    durations_s: dict[str, float] = {}
    damaged: list[DamagedClip] = []
    # Decoding lets go of the interpreter's lock, so threads share the cores.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        measured = pool.map(_measure_clip, (clip.path for clip in listing.clips))
        for done, (clip, result) in enumerate(zip(listing.clips, measured, strict=True), 1):
            if isinstance(result, str):
                damaged.append(DamagedClip(clip.path, result))
            else:
                durations_s[clip.name] = result
            if report:
                report(done, len(listing.clips))
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
                per_emotion[emotion],
                (clip for clip in sound if clip.emotion == emotion),
                durations_s,
            )
            for emotion in EMOTIONS
        ),
        speakers=tuple(
            _count_group(
                speaker,
                genders[speaker],
                per_speaker[speaker],
                (clip for clip in sound if clip.speaker == speaker),
                durations_s,
            )
            for speaker in per_speaker
        ),
    )


def _count_group(
    name: str,
    gender: str | None,
    expected: int,
    clips: Iterable[Clip],
    durations_s: dict[str, float],
) -> GroupCount:
    lengths_s = [durations_s[clip.name] for clip in clips]
    return GroupCount(name, gender, len(lengths_s), expected, sum(lengths_s))


def _measure_clip(path: Path) -> float | str:
    """Return a clip's length in seconds, or what is wrong with it."""
    from emovox.audio.load import load_audio

    try:
        waveform = load_audio(path, _RATE_HZ)
    except AudioError as error:
        return str(error).removeprefix(f"{path}: ")
    if not waveform.samples.any():
        return "every sample is zero, expected speech; fetch it again"
    if waveform.duration_s < _SHORTEST_S:
        return (
            f"lasts {waveform.duration_s:.2f} s, expected at least {_SHORTEST_S} s as in the "
            "original; it was cut off, fetch it again"
        )
    return waveform.duration_s
