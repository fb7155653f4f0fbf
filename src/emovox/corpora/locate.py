"""Where the corpora lie on this machine."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from emovox.corpora.ravdess import holds_ravdess
from emovox.errors import CorpusError


def find_cache() -> Path:
    """Return the folder for downloads and embeddings: ``EMOVOX_CACHE`` or the user's cache."""
    named = os.environ.get("EMOVOX_CACHE")
    return Path(named).expanduser() if named else user_cache_path("emovox", appauthor=False)


def find_ravdess(data: Path | None = None) -> Path:
    """Find the folder with the RAVDESS speech clips.

    Looks in ``data`` alone where it is given, else in the folder that ``EMOVOX_DATA`` names, else
    in the cache that ``emovox data fetch`` fills. Each may be a folder of corpora with
    ``ravdess/speech`` or ``ravdess`` in it, or hold the clips itself in any layout that
    ``emovox.corpora.ravdess.read_ravdess`` takes.

    Args:
        data: The folder that the user named with ``--data``.

    Returns:
        A folder that holds at least one RAVDESS speech clip.

    Raises:
        CorpusError: There is none in the places to look at, or a named folder does not exist.
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
    """Return the folders in which to look for corpora, by what named them.

    Args:
        data: The folder that the user named with ``--data``, to look nowhere else.

    Returns:
        One or two folders; the cache need not exist.

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
            f"{folder} ({source}) is no folder: expected the one that holds the corpora or the "
            "RAVDESS clips; correct it or leave it out"
        )
