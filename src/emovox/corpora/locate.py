"""Locate corpora on this machine."""

import os
from pathlib import Path

from emovox.cache import NO_CACHE as NO_CACHE
from emovox.cache import find_cache as find_cache
from emovox.cache import write_cached as write_cached
from emovox.corpora.ravdess import holds_ravdess
from emovox.errors import CorpusError


def find_ravdess(data: Path | None = None) -> Path:
    """Find the folder with the RAVDESS speech clips.

    If ``data`` is given, only that folder is searched. Otherwise ``EMOVOX_DATA`` is searched, then
    the cache filled by ``emovox data fetch``. Each may contain ``ravdess/speech`` or ``ravdess``,
    or the clips themselves in any layout accepted by ``emovox.corpora.ravdess.read_ravdess``.

    Args:
        data: The folder given with ``--data``.

    Returns:
        A folder with at least one RAVDESS speech clip.

    Raises:
        CorpusError: No clip is found, or a named folder does not exist.
    """
    places = list_places(data)
    if "the cache" in places:
        places["the cache"] /= "ravdess"
    for place in places.values():
        for folder in (place / "ravdess" / "speech", place / "ravdess", place):
            if folder.is_dir() and holds_ravdess(folder):
                return folder
    looked = ", ".join(f"{folder} ({source})" for source, folder in places.items())
    raise CorpusError(
        f"no RAVDESS speech clip found in {looked}: expected files named like "
        "03-01-06-02-01-02-12.wav; run 'emovox data fetch ravdess', or name the folder with --data "
        "or EMOVOX_DATA",
        code="corpus.missing",
    )


def list_places(data: Path | None = None) -> dict[str, Path]:
    """Return the folders to search for corpora, keyed by where each setting comes from.

    Args:
        data: The folder given with ``--data``, which is then the only one.

    Returns:
        One or two folders; the cache may not exist.

    Raises:
        CorpusError: A named folder does not exist.
    """
    if data is not None:
        _require_folder(data, "--data")
        return {"--data": data.expanduser()}
    named = os.environ.get("EMOVOX_DATA")
    if not named:
        return {"the cache": find_cache()}
    _require_folder(Path(named), "EMOVOX_DATA")
    return {"EMOVOX_DATA": Path(named).expanduser(), "the cache": find_cache()}


def _require_folder(folder: Path, source: str) -> None:
    folder = folder.expanduser()
    if folder.suffix.lower() == ".zip" and folder.is_file():
        raise CorpusError(
            f"{folder} ({source}) is a zip file, expected a folder; install it with "
            f"'emovox data fetch ravdess --from {folder}'"
        )
    if not folder.is_dir():
        raise CorpusError(
            f"{folder} ({source}) is not a folder: expected the one with the corpora or the "
            "RAVDESS clips; correct it or leave it out"
        )
