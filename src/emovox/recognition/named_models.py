"""Find model files by name: the bundled one, and those that are files beside a release."""

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from emovox.cache import find_cache
from emovox.errors import ModelFileError

DEFAULT_MODEL = "default"
"""Command-line name of the bundled model."""
MODELS_VARIABLE = "EMOVOX_MODELS"
"""Names a folder with further model files."""


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model file that is loaded by name.

    Attributes:
        name: As in ``Recognizer.load``.
        file: File name.
        sha256: SHA-256 of the file; ``None``: this release has no such file.
        about: What it is, in a clause.
        url: Where to get it.
    """

    name: str
    file: str
    sha256: str | None
    about: str
    url: str


def find_default_model() -> Path:
    """Return the path of the bundled model."""
    return Path(str(resources.files("emovox") / "assets" / "default.onnx"))


@lru_cache(maxsize=1)
def read_named_models() -> dict[str, NamedModel]:
    """Return the model files that this release knows by name, besides the bundled one."""
    content = (resources.files("emovox") / "assets" / "models.json").read_text(encoding="utf-8")
    return {name: NamedModel(name, **entry) for name, entry in json.loads(content).items()}


def find_model(name: str | Path) -> Path:
    """Return the path of a model: of ``default``, of another name, or the path itself.

    Named models are searched for in the folder that ``EMOVOX_MODELS`` names, then in ``models`` in
    the cache.

    Args:
        name: A name, or the path of a file.

    Raises:
        ModelFileError: A named model is in neither folder.
    """
    if str(name) == DEFAULT_MODEL:
        return find_default_model()
    named = read_named_models().get(str(name))
    if named is None:
        return Path(name)
    if named.sha256 is None:
        raise ModelFileError(
            f"this release has no model {named.name!r} ({named.about}); expected "
            f"{DEFAULT_MODEL!r} or the path of a model.onnx: install a release that has it, or "
            "make it with scripts/make_model.py and give its path",
            code="model.missing",
        )
    folders = [Path(folder) for folder in filter(None, [os.environ.get(MODELS_VARIABLE)])]
    folders.append(find_cache() / "models")
    for folder in folders:
        path = folder.expanduser() / named.file
        if path.is_file():
            return path
    looked = " and ".join(str(folder) for folder in folders)
    raise ModelFileError(
        f"the model {named.name!r} ({named.about}) is not in {looked}: get {named.file} from "
        f"{named.url} and put it there, or name its folder with {MODELS_VARIABLE}",
        code="model.missing",
    )


def check_named_model(name: str | Path, path: Path, sha256: str) -> None:
    """Refuse a file that is not the one of a named model.

    Args:
        name: The name that was asked for, or a path, which may be any file.
        path: The file that was found.
        sha256: SHA-256 of the file.

    Raises:
        ModelFileError: It is another file.
    """
    named = read_named_models().get(str(name))
    if named is not None and sha256 != named.sha256:
        raise ModelFileError(
            f"SHA-256 {sha256}; expected {named.sha256}, the model {named.name!r} of this release: "
            f"get it again from {named.url}",
            code="model.other",
            source=str(path),
        )
