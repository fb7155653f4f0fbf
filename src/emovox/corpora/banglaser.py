"""BanglaSER: files named as in RAVDESS, with other codes; their folder tells the two apart."""

import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from emovox.corpora.clips import CorpusListing
from emovox.corpora.folders import walk_corpus
from emovox.corpora.named import NamedRecording, list_recordings
from emovox.errors import CorpusError

_NAME = re.compile(r"0[1-3]-01-(0[1-5])-(0[12])-(0[1-3])-(0[1-3])-(0[1-9]|[12][0-9]|3[0-4])")
_RAVDESS_NAME = re.compile(r"0[1-3]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(?:0[1-9]|1[0-9]|2[0-4])")
_FOLDER = re.compile(r"(bangla|beasc)|ravdess|audio_(?:speech|song)_actors", re.IGNORECASE)
_INTENSITIES = {"01": "normal", "02": "strong"}
_SENTENCES = {"01": "১২ টা বেজে গেছে", "02": "আমি জানতাম এমন কিছু হবে", "03": "এ কেমন উপহার"}


def parse_banglaser_name(file: Path) -> NamedRecording | None:
    """Parse a BanglaSER name such as ``03-01-04-02-03-01-34``.

    Modality, channel, emotion, intensity, statement, repetition and speaker: odd ones are men, even
    ones women. Codes: https://data.mendeley.com/datasets/t9h6p943xy.
    """
    match = _NAME.fullmatch(file.stem)
    if match is None:
        return None
    label, intensity, sentence, take, speaker = match.groups()
    return NamedRecording(
        file.stem,
        label,
        speaker,
        "male" if int(speaker) % 2 else "female",
        _SENTENCES[sentence],
        _INTENSITIES[intensity],
        int(take),
    )


def list_banglaser(folder: Path) -> CorpusListing:
    """List the BanglaSER recordings below a folder, each once; RAVDESS' own are not taken.

    Args:
        folder: The folder to search recursively.

    Returns:
        The clips, sorted by name; may be empty.

    Raises:
        CorpusError: The folder is missing or unreadable, or one of its folders mixes the corpora.
    """
    found = ((depth, file) for is_theirs, depth, file in walk_alike(folder) if is_theirs)
    return list_recordings("banglaser", folder, parse_banglaser_name, found)


def walk_alike(folder: Path) -> Iterator[tuple[bool, int, str]]:
    """Yield whether each audio file's folder is BanglaSER's, the file's depth, and its path.

    Raises:
        CorpusError: A folder is missing or unreadable, or mixes the corpora.
    """
    for parent, files in groupby(walk_corpus(folder), key=lambda file: os.path.dirname(file[1])):
        together = list(files)
        is_theirs = is_banglaser(parent, (os.path.basename(file) for _, file in together))
        for depth, file in together:
            yield is_theirs, depth, file


def is_banglaser(folder: str, names: Iterable[str]) -> bool:
    """Return whether files named as in RAVDESS or BanglaSER are BanglaSER's.

    Args:
        folder: The folder that they are in.
        names: The names of the files in this folder.

    Returns:
        Whether some names are only possible in BanglaSER, such as those of sentence 03 or speaker
        25; if none is, or others only in RAVDESS, what the nearest folder named after one of the
        two says; otherwise false.

    Raises:
        CorpusError: The folder holds names of both corpora, and no folder is named after either.

    Examples:
        >>> is_banglaser("/a", ["03-01-01-01-03-01-01.wav"]), is_banglaser("/b", ["a.wav"])
        (True, False)
    """
    own = ravdess = None
    for name in names:
        stem = os.path.splitext(name)[0]
        if bool(_NAME.fullmatch(stem)) != bool(_RAVDESS_NAME.fullmatch(stem)):
            if _NAME.fullmatch(stem):
                own = own or name
            else:
                ravdess = ravdess or name
    if bool(own) != bool(ravdess):
        return own is not None
    for part in reversed(Path(folder).absolute().parts):
        if match := _FOLDER.search(part):
            return match[1] is not None
    if own:
        raise CorpusError(
            f"{folder} holds recordings of both RAVDESS ({ravdess}) and BanglaSER ({own}), whose "
            "names mean different emotions; expected each corpus in a folder of its own: separate "
            "them, or name the folder after the one that it holds"
        )
    return False


def is_in_banglaser(path: Path) -> bool:
    """Return whether a file named as in RAVDESS or BanglaSER lies in a folder of BanglaSER.

    Raises:
        CorpusError: The folder mixes the corpora.
    """
    if not (_NAME.fullmatch(path.stem) or _RAVDESS_NAME.fullmatch(path.stem)):
        return False
    try:
        changed_ns = path.parent.stat().st_mtime_ns
    except OSError:
        return is_banglaser(str(path.parent), [path.name])
    return _look_around(str(path.parent), changed_ns)


@lru_cache(maxsize=1024)
def _look_around(folder: str, _changed_ns: int) -> bool:
    return is_banglaser(folder, os.listdir(folder))
