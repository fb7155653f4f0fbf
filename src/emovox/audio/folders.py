"""The recordings below a folder, by name alone: the one walker and the one list of endings."""

import os
from collections.abc import Iterator
from pathlib import Path

from emovox.errors import AudioError, CorpusError

AUDIO_SUFFIXES = tuple(
    ".wav .flac .aiff .aif .ogg .opus .m4a .mp3 .aac .aifc .amr .au .caf "  # codespell:ignore caf
    ".mka .mp4 .oga .w64 .webm .wma".split()
)
"""Endings worth opening in a folder; what a file holds is told by its content.

Where copies of a recording differ only in this, the first one counts."""


def walk_audio(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield depth and path of each audio file below ``folder``, parents before children.

    Args:
        folder: The folder to search, with all its subfolders; hidden ones are left out.

    Yields:
        How many folders lie between, from 0, and the file's path.

    Raises:
        CorpusError: A folder is missing or unreadable.

    Example:
        >>> next(walk_audio(Path("ravdess/speech")))  # doctest: +SKIP
        (1, 'ravdess/speech/Actor_01/03-01-01-01-01-01-01.wav')
    """
    pending = [(0, os.fspath(folder))]
    seen: set[tuple[int, int]] = set()
    while pending:
        depth, current = pending.pop()
        try:
            # Linked folders are followed, as shared corpora often are links, but each only once.
            status = os.stat(current)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise CorpusError(
                f"cannot list {current}: {error.strerror}; expected a readable folder with "
                "recordings"
            ) from error
        below: list[tuple[int, str]] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if entry.is_dir():
                below.append((depth + 1, entry.path))
            # A link to nothing counts as there, so that verifying can say that it is damaged.
            elif (entry.is_file() or entry.is_symlink()) and entry.name.lower().endswith(
                AUDIO_SUFFIXES
            ):
                yield depth, entry.path
        pending += reversed(below)


def rank_copy(depth: int, file: str) -> tuple[int, int, str]:
    """Return a sort key by which the best of several copies of a recording comes first."""
    suffix = os.path.splitext(file)[1].lower()
    return depth, AUDIO_SUFFIXES.index(suffix), file


def list_audio_files(folder: str | Path) -> list[Path]:
    """Return the audio files in a folder and the folders in it, sorted; hidden ones are left out.

    Raises:
        AudioError: There is no such folder, or no audio file in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise AudioError(f"{folder}: no such folder; expected one with recordings")
    files = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
    if not files:
        endings = ", ".join(sorted(AUDIO_SUFFIXES))
        raise AudioError(f"{folder}: no audio file in it; expected some of {endings}")
    return files
