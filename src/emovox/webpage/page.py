"""The files of the page: as a static folder, or one by one for a server."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from emovox.errors import EmovoxError
from emovox.files import replace_file
from emovox.recognition.description import DESCRIPTION_NAME, serialize_description
from emovox.recognition.model_file import ModelFile
from emovox.recognition.voice_activity import find_speech_model

BUILT_PAGE = Path(__file__).parents[1] / "assets" / "page"
MODEL_FOLDER = "model"
"""Where the page looks for the model, relative to itself."""


def list_page_files(model: ModelFile, *, service: bool = False) -> Mapping[str, Path | bytes]:
    """List everything that the page loads, by relative address.

    Args:
        model: The model that it runs.
        service: Whether the same address offers the interface of ``emovox serve``: the page then
            lets its user choose to send recordings there.

    Returns:
        A path on the disk or the content for each address, such as ``index.html`` or
        ``model/model.onnx``.

    Raises:
        EmovoxError: The page is not part of this installation.
    """
    if not (BUILT_PAGE / "index.html").is_file():
        raise EmovoxError(
            "the page is not part of this installation; expected assets/page: build it with "
            "'make page', or install emovox again",
            source=str(BUILT_PAGE),
        )
    files: dict[str, Path | bytes] = {
        path.relative_to(BUILT_PAGE).as_posix(): path for path in _walk(BUILT_PAGE)
    }
    files[f"{MODEL_FOLDER}/model.onnx"] = model.path
    files[f"{MODEL_FOLDER}/silero_vad.onnx"] = find_speech_model()
    files[f"{MODEL_FOLDER}/{DESCRIPTION_NAME}"] = serialize_description(
        model, service=service
    ).encode()
    return files


def write_page(folder: Path, model: ModelFile) -> list[Path]:
    """Write the page and what it loads into a folder that any web server can serve.

    Args:
        folder: The folder; it is created if missing. Files of an earlier page are replaced.
        model: The model that the page runs.

    Returns:
        The files written, ``index.html`` last.

    Raises:
        EmovoxError: The page is not part of this installation, or a file cannot be written.
    """
    files = list_page_files(model)
    written = []
    # Last, so that a folder with an index.html is complete.
    for name in sorted(files, key=lambda name: (name == "index.html", name)):
        source = files[name]
        with replace_file(folder / name) as part:
            part.write_bytes(source.read_bytes() if isinstance(source, Path) else source)
        written.append(folder / name)
    return written


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all files in a folder, in a fixed order."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path
