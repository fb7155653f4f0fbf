"""Walk a corpus folder, and choose among copies of a recording."""

import os
from collections.abc import Iterator
from pathlib import Path

from emovox.audio.folders import AUDIO_SUFFIXES, walk_audio
from emovox.errors import AudioError, CorpusError


def walk_corpus(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield the same as ``emovox.audio.folders.walk_audio``.

    Raises:
        CorpusError: A folder is missing or unreadable.
    """
    try:
        yield from walk_audio(folder)
    except AudioError as error:
        raise CorpusError(error.detail, code="corpus.unreadable", source=error.source) from error


def rank_copy(depth: int, file: str) -> tuple[int, int, str]:
    """Return a sort key that puts the preferred copy of a recording first."""
    suffix = os.path.splitext(file)[1].lower()
    return depth, AUDIO_SUFFIXES.index(suffix), file


def find_recordings(folder: Path) -> dict[str, Path]:
    """Return the preferred copy of each recording below a folder, by file name without extension.

    Raises:
        CorpusError: A folder is missing or unreadable.
    """
    best: dict[str, tuple[int, int, str]] = {}
    for depth, file in walk_corpus(folder):
        rank, stem = rank_copy(depth, file), Path(file).stem
        best[stem] = min(best.get(stem, rank), rank)
    return {stem: Path(file) for stem, (_, _, file) in best.items()}
