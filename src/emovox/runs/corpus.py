"""``corpus.json``: where a run's corpora are, and what the check of their clips found."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from emovox.corpora.check import DataCheck
from emovox.corpora.clips import Clip
from emovox.corpora.combine import join_listings
from emovox.corpora.cross import list_corpora
from emovox.corpora.findings import Verdict
from emovox.corpora.folds import Protocol
from emovox.corpora.read import read_corpus, read_path
from emovox.corpora.registry import CORPORA, is_path
from emovox.errors import CorpusError
from emovox.files import write_text
from emovox.recipes.recipe import Recipe
from emovox.runs.scores import read_entry

CORPUS_NAME = "corpus.json"


class _Entry(BaseModel):
    """Part of ``corpus.json``; other keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Place(_Entry):
    """Where a corpus was when the run was made.

    Attributes:
        name: The corpus as the user named it.
        absolute: Its folder or list.
        relative: The same, relative to the run folder.
    """

    name: str
    absolute: str
    relative: str


class FindingEntry(_Entry):
    """Something that the check of the clips found."""

    check: str
    verdict: Verdict
    clips: int
    detail: str


class RunCorpus(_Entry):
    """Content of ``corpus.json``."""

    corpora: tuple[Place, ...] = ()
    clips: int = 0
    speakers: int = 0
    labels: Mapping[str, int] = {}
    duration_s: float = 0.0
    findings: tuple[FindingEntry, ...] = ()


def write_corpus(folder: Path, recipe: Recipe, protocol: Protocol) -> None:
    """Write ``corpus.json`` of a run.

    Args:
        folder: The run folder.
        recipe: The run's recipe, which names the corpora.
        protocol: The run's protocol, which was checked.
    """
    check = protocol.check or DataCheck({}, 0, 0.0, ())
    named = list_corpora(recipe.data.protocol, recipe.data.corpora)
    given = ((name, Path(name).expanduser()) for name in named if is_path(name))
    write_places(folder, check.sources or tuple(given), check)


def write_places(
    folder: Path, sources: Sequence[tuple[str, Path]], check: DataCheck | None = None
) -> None:
    """Write where corpora are, and what their check found, if there was one."""
    places = [
        {
            "name": name,
            "absolute": str(path.absolute()),
            "relative": Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix(),
        }
        for name, path in sources
    ]
    found = {} if check is None else check.to_dict()
    write_text(folder / CORPUS_NAME, json.dumps({"corpora": places, **found}, indent=1) + "\n")


def read_run_corpus(folder: Path) -> RunCorpus:
    """Read ``corpus.json``; folders of earlier versions have none.

    Raises:
        RunError: The file is damaged.
    """
    if not (folder / CORPUS_NAME).exists():
        return RunCorpus()
    remedy = "remove it, and name the folder of the corpora with --data"
    return read_entry(folder / CORPUS_NAME, RunCorpus, expected=CORPUS_NAME, remedy=remedy)


def load_run_clips(folder: Path, corpora: Sequence[str], data: Path | None) -> list[Clip]:
    """Read the clips of a run's corpora, from wherever the command is run.

    Args:
        folder: The run folder, or that of a model file's evaluation.
        corpora: The corpora by name, or by path as given when the run was made.
        data: The folder given with ``--data``: of known corpora, or of lists and folders that have
            moved. ``None``: where the corpora were, otherwise the usual places.

    Returns:
        The clips, each recording once.

    Raises:
        CorpusError: A corpus was not found.
    """
    places = {place.name: place for place in read_run_corpus(folder).corpora}
    listings = []
    # A "+" in a path is only told from one between corpora where the path exists.
    for name in places or corpora:
        kept = _list_kept(folder, places.get(name))
        if name in CORPORA:
            there = next((path for path in kept if path.is_dir()), None)
            listings.append(read_corpus(name, data or there))
            continue
        same = (kept or [Path(name).expanduser().resolve()])[0].name
        moved = [data / name, data / same, data] if data else []
        tried = [*moved, *kept, Path(name).expanduser()]
        found = next((path for path in tried if path.exists() and path.name == same), None)
        if found is None:
            looked = ", ".join(map(str, tried))
            raise CorpusError(
                f"{name}, a corpus of {folder}, is not there; looked for {looked}: name the folder "
                "that it is in with --data",
                code="corpus.missing",
            )
        listings.append(read_path(found, data))
    # The run's split names the clips, of which none is a copy.
    joined = join_listings(listings, compare_bytes=False)
    return [clip for listing in joined for clip in listing.clips]


def _list_kept(folder: Path, place: Place | None) -> list[Path]:
    """Return where a corpus was: the absolute path, then the one relative to the run folder."""
    return [Path(place.absolute), folder / place.relative] if place else []
