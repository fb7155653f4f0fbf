"""The cache folder: where it is, and writing into it without depending on it."""

import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from emovox.errors import EmovoxError
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
