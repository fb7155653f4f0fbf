"""Locate corpora and the cache on this machine."""

import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from emovox.corpora.ravdess import holds_ravdess
from emovox.errors import CorpusError, EmovoxError
from emovox.files import replace_file

_log = logging.getLogger(__name__)

NO_CACHE = Path(os.devnull) / "emovox"
"""A folder that can neither exist nor be made: nothing is found in it, and nothing is kept."""

_REMEDY = "results are not kept for next time; name a folder with EMOVOX_CACHE to keep them"


def find_cache() -> Path:
    """Return the cache folder for downloads and embeddings: ``EMOVOX_CACHE`` or the user's.

    Returns:
        The folder, which need not exist; ``NO_CACHE``, with a warning in the log, for a user
        without a home folder or without access to the cache.
    """
    named = os.environ.get("EMOVOX_CACHE")
    try:
        folder = Path(named or user_cache_path("emovox", appauthor=False)).expanduser()
        folder.exists()
    except RuntimeError:
        _warn_once(f"no home folder, so there is no cache: {_REMEDY}")
        return NO_CACHE
    except OSError as error:
        _warn_once(f"{folder}: cannot be used as the cache ({error.strerror}): {_REMEDY}")
        return NO_CACHE
    return folder


def write_cached(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file in the cache; if that fails, go on without it and warn once.

    Args:
        path: The file.
        write: Writes the content to the path that it is given.
    """
    try:
        with replace_file(path) as part:
            write(part)
    except EmovoxError as error:
        if error.code != "file.unwritable":
            raise
        if NO_CACHE not in path.parents:
            reason = getattr(error.__cause__, "strerror", None) or error.__cause__
            _warn_once(f"{find_cache()}: the cache cannot be written ({reason}): {_REMEDY}")


@cache
def _warn_once(text: str) -> None:
    """Log a warning, unless it was logged before."""
    _log.warning(text)


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
