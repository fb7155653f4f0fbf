"""Convert rows of any list to clips: map labels, find files, recognize known speakers."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from emovox.audio.folders import walk_audio
from emovox.corpora.banglaser import is_in_banglaser, parse_banglaser_name
from emovox.corpora.clips import (
    FURTHER_COPIES,
    GENDERS,
    UNKNOWN_SPEAKER,
    Clip,
    CorpusListing,
)
from emovox.corpora.named import NAMED_CORPORA, NamedRecording, make_named_clip
from emovox.corpora.ravdess import is_ravdess_name, make_ravdess_clip, parse_ravdess_name
from emovox.errors import CorpusError
from emovox.labels import map_label
from emovox.wording import make_printable

_SEARCHED = 20_000
"""Files to look through for a recording that is not where its list says."""


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One row of a list.

    Attributes:
        path: The recording, which may be missing.
        label: The label as written in the list; may be empty.
        speaker: The speaker; empty if the list does not name one.
        gender: ``"male"``, ``"m"`` and similar, case-insensitive; other values mean unknown.
        sentence: The spoken text; empty if the list has none.
        dataset: Corpus whose emotion codes the label may be; ``None``: words only.
        name: The recording's name, unique across all corpora; empty: derived from its path.
    """

    path: Path
    label: str
    speaker: str = ""
    gender: str = ""
    sentence: str = ""
    dataset: str | None = None
    name: str = ""


def collect_rows(
    corpus: str,
    source: Path,
    rows: Sequence[ListedRow],
    skipped: Sequence[tuple[str, int]] = (),
    ignored: Sequence[str] = (),
) -> CorpusListing:
    """Convert a list's rows to clips, each recording once.

    A file named like a recording of a known corpus, such as RAVDESS or CREMA-D, keeps that corpus'
    clip name and speaker in any list. Otherwise one speaker could be on both sides of a split
    under two names.

    Args:
        corpus: Name of the list, the prefix of clip and speaker names.
        source: The list, for messages; clips are named by their path relative to its folder.
        rows: The rows in list order.
        skipped: Reasons for rows that were already skipped, with counts.
        ignored: Columns of the list that are not read.

    Returns:
        The clips in list order.

    Raises:
        CorpusError: No clip is left, or one recording has two labels.
    """
    clips: dict[str, Clip] = {}
    missing: list[Path] = []
    reasons: Counter[str] = Counter(dict(skipped))
    folder = source if source.is_dir() else source.parent
    base = _find_base(folder, rows)
    for row in rows:
        emotion = map_label(row.label, row.dataset)
        if not emotion:
            reasons["no label"] += 1
        elif not row.path.is_file():
            missing.append(row.path)
        else:
            clip = _make_clip(corpus, row, emotion, base)
            known = clips.setdefault(clip.name, clip)
            if known is not clip:
                reasons[FURTHER_COPIES] += 1
            if known.emotion != emotion:
                raise CorpusError(
                    f"{source}: {clip.path} is {emotion}, but {known.path}, the same recording, is "
                    f"{known.emotion}; expected one label per recording: correct the list"
                )
    if not clips:
        found = [f"{n:,} with {why}" for why, n in reasons.items()]
        if missing:
            found.append(
                f"{len(missing):,} that are not there, the first looked for at "
                f"{missing[0].absolute()}: {explain_missing(missing[0], folder)}"
            )
        raise CorpusError(
            f"{source} holds no clip that can be used: found {', '.join(found) or 'nothing'}; "
            "expected labelled recordings"
        )
    return CorpusListing(
        corpus,
        source,
        tuple(clips.values()),
        tuple(sorted(reasons.items())),
        tuple(missing),
        explain_missing(missing[0], folder) if missing else "",
        tuple(ignored),
    )


def explain_missing(path: Path, folder: Path) -> str:
    """Guess why a listed recording is missing.

    Args:
        path: Where it was looked for.
        folder: The folder that paths of its list are relative to.

    Returns:
        A clause with the likely cause; paths in it are relative to ``folder``.
    """
    if any(re.fullmatch("[A-Za-z]:", part) for part in path.parts):
        return "this is a path of a Windows computer; write paths relative to the list's folder"
    near = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    for there in near:
        if there.name.casefold() == path.name.casefold():
            return f"there is {there.name}, and upper and lower case differ"
    for there in near:
        if there.stem == path.stem or there.stem == path.name:
            return f"there is {there.name}, with another ending"
    files = (Path(file) for _, file in islice(walk_audio(folder), _SEARCHED))
    elsewhere = next((file for file in files if file.name == path.name), None)
    if elsewhere is not None:
        return (
            f"a file of this name is at {os.path.relpath(elsewhere, folder)}; paths are relative "
            "to the list's folder"
        )
    gone = [parent for parent in path.parents if not parent.is_dir()]
    return f"there is no folder {gone[-1].name}" if gone else "its folder has no such file"


def recognize_label(path: Path) -> str | None:
    """Return the emotion encoded in a known corpus' file name, or ``None`` for other names."""
    if _is_ravdess(path):
        return parse_ravdess_name(path.stem).emotion
    found = _recognize_named(path)
    return map_label(found[1].label, found[0]) if found else None


def _is_ravdess(path: Path) -> bool:
    return is_ravdess_name(path.stem) and not is_in_banglaser(path)


def _recognize_named(path: Path) -> tuple[str, NamedRecording] | None:
    if is_in_banglaser(path) and (named := parse_banglaser_name(path)):
        return "banglaser", named
    # SAVEE, nEMO and AESDD names are too short to be unambiguous; MESD's name no speaker.
    for corpus in ("emodb", "emovo", "cremad", "tess", "ased", "subesco", "jl"):
        recording = NAMED_CORPORA[corpus](path)
        if recording is not None:
            return corpus, recording
    return None


def _make_clip(corpus: str, row: ListedRow, emotion: str, base: Path) -> Clip:
    if _is_ravdess(row.path):
        known = make_ravdess_clip(row.path.stem, parse_ravdess_name(row.path.stem), row.path)
        return replace(known, emotion=emotion)
    found = _recognize_named(row.path)
    if found is not None:
        return make_named_clip(*found, row.path, emotion)
    relative = Path(os.path.relpath(row.path, base)).with_suffix("")
    return Clip(
        name=make_printable(row.name or f"{corpus}-{relative.as_posix()}"),
        path=row.path,
        corpus=corpus,
        emotion=emotion,
        speaker=f"{corpus}-{row.speaker or UNKNOWN_SPEAKER}",
        gender=GENDERS.get(row.gender.lower()),
        sentence=row.sentence or None,
    )


def _find_base(folder: Path, rows: Sequence[ListedRow]) -> Path:
    """Return the base folder of clip names: the list's, or the deepest common parent."""
    top = os.path.abspath(folder)
    parents = {os.path.abspath(row.path.parent) for row in rows}
    if all(parent == top or parent.startswith(top + os.sep) for parent in parents):
        return Path(top)
    return Path(os.path.commonpath(parents))
