"""Decode every clip once, and measure what only its samples show: length, level, rate, content.

What was measured is kept in the cache, in one file per folder of clips, so a second check of the
same files takes no decoding.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emovox.cores import count_cores
from emovox.corpora.clips import Clip
from emovox.corpora.locate import find_cache, write_cached
from emovox.errors import AudioError

if TYPE_CHECKING:
    from emovox.recognition.voice_activity import SpeechDetector

FORMAT_VERSION = 1
"""Increment when the same file gives other figures, so that old ones are not read."""

SILENT_PEAK = 1e-4
"""80 dB below full scale."""

_FULL_SCALE = 0.999


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What decoding a clip showed.

    Attributes:
        content: SHA-256 of the decoded mono samples and their rate.
        duration_s: Length in seconds.
        rate_hz: The recording's own sampling rate.
        peak: Largest absolute sample.
        full_scale: Share of samples at full scale, in [0, 1].
        speaks: Whether the speech detector found speech.
    """

    content: str
    duration_s: float
    rate_hz: int
    peak: float
    full_scale: float
    speaks: bool

    @property
    def is_silent(self) -> bool:
        """Whether the clip is digital silence."""
        return self.peak < SILENT_PEAK


Measured = dict[Path, ClipFacts | str]
"""What was measured of each path, or why it cannot be decoded."""


def measure_clips(
    clips: Iterable[Clip], *, report: Callable[[int, int], None] | None = None, fresh: bool = False
) -> Measured:
    """Decode clips and measure them, unless the cache has the figures of the same files.

    A file is the same if its path, size and time of modification are. Clips that cannot be decoded
    are tried again each time.

    Args:
        clips: The clips.
        report: Called with the number of clips measured so far and the number of all.
        fresh: Decode every clip, whatever the cache has.

    Returns:
        The figures of each clip, or one line on why it cannot be decoded.
    """
    folders: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(clip.path for clip in clips):
        folders[path.parent].append(path)
    n_clips = sum(map(len, folders.values()))
    measured: Measured = {}
    # Decoding releases the GIL, so threads can use all cores.
    with ThreadPoolExecutor(max_workers=min(8, count_cores())) as pool:
        for folder, paths in folders.items():
            kept = _FolderFigures(folder)
            known = {} if fresh else {path: kept.find(path) for path in paths}
            found = pool.map(
                lambda path, facts: facts or measure_clip(path), paths, map(known.get, paths)
            )
            for path, facts in zip(paths, found, strict=True):
                measured[path] = facts
                kept.add(path, facts)
                if report:
                    report(len(measured), n_clips)
            kept.write()
    return measured


def measure_clip(path: Path) -> ClipFacts | str:
    """Decode a clip and measure it; return a line on the problem if it cannot be decoded."""
    # Importing the decoder and the detector takes a tenth of a second.
    from emovox.audio.load import decode_audio

    try:
        waveform = decode_audio(path)
    except AudioError as error:
        return error.detail
    level = np.abs(waveform.samples)
    digest = hashlib.sha256(f"{waveform.rate_hz} ".encode())
    digest.update(waveform.samples.data)
    return ClipFacts(
        content=digest.hexdigest(),
        duration_s=waveform.duration_s,
        rate_hz=waveform.rate_hz,
        peak=float(level.max()),
        full_scale=float(np.mean(level >= _FULL_SCALE)),
        speaks=_open_detector().has_speech(waveform),
    )


@cache
def _open_detector() -> "SpeechDetector":
    from emovox.recognition.voice_activity import SpeechDetector

    return SpeechDetector()


class _FolderFigures:
    """The figures of a folder's clips in the cache, each with the size and time of its file."""

    def __init__(self, folder: Path) -> None:
        name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()
        self.path = find_cache() / "clips" / f"{name}.json"
        self.entries: dict[str, Any] = {}
        self.is_changed = False
        try:
            content = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(content, dict) and content.get("format") == FORMAT_VERSION:
            self.entries = content["clips"]

    def find(self, path: Path) -> ClipFacts | None:
        """Return the figures of a file that has not changed since they were measured."""
        stamp, facts = self.entries.get(path.name, (None, None))
        return ClipFacts(**facts) if facts and stamp == _stamp(path) else None

    def add(self, path: Path, facts: ClipFacts | str) -> None:
        """Keep what was measured; failures are not kept, as they may pass."""
        if isinstance(facts, ClipFacts):
            entry = [_stamp(path), asdict(facts)]
            self.is_changed |= self.entries.get(path.name) != entry
            self.entries[path.name] = entry

    def write(self) -> None:
        """Write the figures, if there are new ones."""
        if self.is_changed:
            content = json.dumps({"format": FORMAT_VERSION, "clips": self.entries})
            write_cached(self.path, lambda part: part.write_text(content, encoding="utf-8"))


def _stamp(path: Path) -> list[int]:
    """Return a file's size in bytes and its time of modification in nanoseconds."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]
