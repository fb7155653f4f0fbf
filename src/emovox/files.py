"""Write files atomically, and turn names into folder names."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emovox.errors import EmovoxError


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` when the block succeeds.

    Args:
        path: The file to write; its folder is created if missing.

    Yields:
        A path in the same folder to write to. If the block raises, it is removed and ``path``
        is left unchanged. The file is on the disk before it gets its name, so that it is complete
        even after a power failure.

    Raises:
        EmovoxError: The file cannot be written, for example because the disk is full.

    Examples:
        >>> with replace_file(Path("metrics.json")) as part:
        ...     _ = part.write_text("{}")
        >>> Path("metrics.json").read_text()
        '{}'
    """
    part = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not mkstemp: it makes the file private, and the default permissions can only be read by
        # changing the umask of the whole process, other threads included.
        part.touch(exist_ok=False)
        yield part
        sync_file(part)
        part.replace(path)
    except OSError as error:
        raise EmovoxError(
            f"cannot be written ({error.strerror or error}); expected a writable folder with free "
            "space: free some, or name another folder",
            code="file.unwritable",
            source=str(path),
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    with replace_file(path) as part:
        part.write_text(text, encoding="utf-8")


def name_folder(name: str) -> str:
    """Return a name that is valid as a folder name on every operating system.

    Args:
        name: Any text, such as a recipe name joined to a protocol name.

    Returns:
        The name with each run of characters other than letters, digits and ``._+-`` replaced by
        one hyphen.

    Examples:
        >>> name_folder("vanilla-cross:ravdess->nemo")
        'vanilla-cross-ravdess-nemo'
    """
    return re.sub(r"-*[^\w.+-]+-*", "-", name.replace("->", ">"))
