"""Find the recordings in a folder by file name suffix."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from emovox.audio.sources import name_source
from emovox.errors import AudioError

AUDIO_SUFFIXES = tuple(
    ".wav .flac .aiff .aif .ogg .opus .m4a .mp3 .aac .aifc .amr .au .caf "  # codespell:ignore caf
    ".mka .mp4 .oga .w64 .webm .wma .3g2 .3gp .ac3 .avi .eac3 .flv .m4b .m4v .mkv .mov .mp2 .tta "
    ".weba .wmv .wv .ape .awb .dts .g722 .gsm .m2ts .mpc .mpeg .mpg .mts .nist .oma .qcp .ra .rf64 "
    ".rm .snd .sph .spx .tak .vob .voc".split()
)
"""File name suffixes of audio files. The format is determined from the content.

If copies of a recording differ only in suffix, the one that comes first here is used."""


def walk_audio(
    folder: str | Path, passed_over: Counter[str] | None = None
) -> Iterator[tuple[int, str]]:
    """Yield the depth and path of each audio file below ``folder``, parents before children.

    Args:
        folder: The folder to search, including subfolders; hidden files and folders are ignored.
        passed_over: If given, is updated with the number of skipped files per suffix.

    Yields:
        Depth (0 for files directly in ``folder``) and path, in natural order: ``clip_2`` comes
        before ``clip_10``.

    Raises:
        AudioError: A folder is missing or unreadable.
    """
    pending = [(0, os.fspath(folder))]
    seen: set[tuple[int, int]] = set()
    while pending:
        depth, current = pending.pop()
        try:
            # Follow links to folders, since shared corpora are often linked, but visit each once.
            status = os.stat(current)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: split_numbers(entry.name))
        except OSError as error:
            raise AudioError(
                f"cannot be listed ({error.strerror}); expected a readable folder with recordings",
                code="audio.unreadable",
                source=name_source(current),
            ) from error
        below: list[tuple[int, str]] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if entry.is_dir():
                below.append((depth + 1, entry.path))
            # Include broken links, so that verification can report them as damaged.
            elif entry.is_file() or entry.is_symlink():
                suffix = os.path.splitext(entry.name)[1].lower()
                if suffix in AUDIO_SUFFIXES:
                    yield depth, entry.path
                elif passed_over is not None:
                    passed_over[suffix] += 1
        pending += reversed(below)


def split_numbers(name: str) -> tuple[list[str | int], str]:
    """Return a natural sort key: ``clip_2`` comes before ``clip_10``."""
    parts = re.split(r"([0-9]+)", name)
    # Text and numbers alternate, so text is never compared with a number.
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], name


def list_audio_files(folder: str | Path, passed_over: Counter[str] | None = None) -> list[Path]:
    """Return the audio files in a folder and its subfolders, in the order of ``walk_audio``.

    Args:
        folder: The folder to search; hidden files and folders are ignored.
        passed_over: If given, is updated with the number of skipped files per suffix.

    Raises:
        AudioError: The folder does not exist, or contains no audio files.
    """
    if not os.path.isdir(folder):
        raise AudioError(
            "no such folder; expected one with recordings",
            code="audio.not_found",
            source=name_source(folder),
        )
    files = [Path(file) for _, file in walk_audio(folder, passed_over)]
    if not files:
        endings = ", ".join(sorted(AUDIO_SUFFIXES))
        raise AudioError(
            f"contains no audio files; expected some of {endings}",
            code="audio.no_files",
            source=name_source(folder),
        )
    return files
