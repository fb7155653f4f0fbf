"""Write a file whole or not at all."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block ends well.

    Args:
        path: The file to write; its folder is made where it is missing.

    Yields:
        A path in the same folder to write to. When the block raises, it is removed and ``path``
        is as it was.

    Examples:
        >>> with replace_file(Path("metrics.json")) as part:
        ...     _ = part.write_text("{}")
        >>> Path("metrics.json").read_text()
        '{}'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    # Not mkstemp: it makes the file private, and only by changing the umask of the whole process,
    # other threads' too, could one learn how readable a new file is to be.
    part.touch(exist_ok=False)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    with replace_file(path) as part:
        part.write_text(text, encoding="utf-8")


def name_folder(name: str) -> str:
    """Return a name as one that every system takes for a folder.

    Args:
        name: Any text, such as a recipe's and a protocol's name.

    Returns:
        The name with a hyphen for each run of other characters than letters, digits and ``._+-``.

    Examples:
        >>> name_folder("vanilla-cross:ravdess->nemo")
        'vanilla-cross-ravdess-nemo'
    """
    return re.sub(r"-*[^\w.+-]+-*", "-", name.replace("->", ">"))
