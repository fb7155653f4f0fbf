"""Speakers of recordings that are named on the command line."""

import os
from collections.abc import Callable, Generator, Iterator
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emovox.recognition.results import FileFailure, Prediction

if TYPE_CHECKING:
    from emovox.recognition.recognizer import Recognizer
    from emovox.recognition.voice import Voice

LIST_SUFFIX = ".csv"


class Adapt(StrEnum):
    """What the recordings of one speaker have in common."""

    FOLDER = "folder"
    SPEAKER = "speaker"


def load_voice(path: Path | None) -> "Voice | None":
    """Read the voice that is named with ``--voice``, if any."""
    if path is None:
        return None
    from emovox.recognition.voice import Voice

    return Voice.load(path)


def find_speakers(
    arguments: list[str], adapt: Adapt, find_sources: Callable[[list[str]], Iterator[Any]]
) -> tuple[list[Any], list[str]]:
    """Find the recordings that the arguments name, and the speaker of each.

    Args:
        arguments: Files, folders, and lists of files with their speakers.
        adapt: What the recordings of one speaker have in common.
        find_sources: Finds the recordings of arguments that are no lists.

    Returns:
        Recordings, or failures; names of their speakers.

    Raises:
        CorpusError: A list cannot be read, or lacks a column.
    """
    from emovox.recognition.baselines import name_speakers

    found: list[Any] = []
    speakers: list[str] = []
    for argument in arguments:
        if adapt is Adapt.SPEAKER and argument.lower().endswith(LIST_SUFFIX):
            for file, speaker in read_speakers(Path(argument)):
                found.append(file)
                speakers.append(speaker)
            continue
        own = list(find_sources([argument]))
        found += own
        if os.path.isdir(argument) and not isinstance(own[0], FileFailure):
            speakers += name_speakers(own, argument, adapt)
        else:
            speakers += [str(Path(argument).parent)] * len(own)
    return found, speakers


def read_speakers(path: Path) -> list[tuple[str, str]]:
    """Read a list of recordings with their speakers; paths are relative to the list's folder."""
    from emovox.corpora.tables import read_table

    rows = read_table(path, ["file", "speaker"], of="a list of recordings")
    return [(str(path.parent / row["file"]), row["speaker"]) for row in rows]


def predict_adapted(
    recognizer: "Recognizer", sources: list[Any], speakers: list[str], options: dict[str, Any]
) -> Generator[Prediction | FileFailure, None, None]:
    """Predict recordings, each adapted to those of its speaker; pass earlier failures through."""
    from emovox.recognition.baselines import adapt_to_speakers

    pairs = list(zip(sources, speakers, strict=True))
    usable = [pair for pair in pairs if not isinstance(pair[0], FileFailure)]
    adapted = adapt_to_speakers(
        recognizer, [source for source, _ in usable], [who for _, who in usable], **options
    )
    for key, group in groupby(pairs, key=lambda pair: (isinstance(pair[0], FileFailure), pair[1])):
        failed, speaker = key
        if failed:
            yield from (source for source, _ in group)
        else:
            yield from adapted[speaker].predict_many((source for source, _ in group), **options)
