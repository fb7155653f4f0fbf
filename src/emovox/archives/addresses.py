"""Addresses of files: paths, ``file://`` and what fsspec opens (``s3://``, ``gs://``, ``hf://``).

Reads of object stores are repeated while the store fails or cuts bodies short, from where they had
got to.
"""

import hashlib
import logging
import os
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from emovox.audio.sources import MAX_MEMORY_BYTES, MAX_STREAM_BYTES, Section
from emovox.errors import AudioError, EmovoxError

_log = logging.getLogger(__name__)

CHUNK_BYTES = 8 * 2**20
TRIES = 8
WAIT_S = 0.25
"""Attempts at one request; the waits between them double from ``WAIT_S``, half a minute in all."""

INSTALLS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs",
            "hf": "huggingface_hub"}  # fmt: skip
"""Packages for the addresses of each kind."""

T = TypeVar("T")


def is_remote(address: str) -> bool:
    """Return whether an address is not a path on this machine.

    Examples:
        >>> is_remote("s3://bucket/a.wav"), is_remote("a.wav"), is_remote("file:///a%FF.wav")
        (True, False, False)
    """
    scheme, separator, _ = address.partition("://")
    return bool(separator) and scheme.isalnum() and scheme != "file"


def path_to_address(path: str) -> str:
    """Return a path as text: one that is not UTF-8 as a ``file:`` URI (RFC 8089)."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return Path(path).absolute().as_uri()
    return Path(path).absolute().as_uri() if path.startswith("file:") else path


def address_to_path(address: str) -> str:
    """Return the path of an address that ``path_to_address`` returned."""
    if address.startswith("file://"):
        return os.fsdecode(unquote_to_bytes(urlsplit(address).path))
    return address


def open_file_system(address: str) -> tuple[Any, str]:
    """Return fsspec's file system for an address, and the path in it.

    Raises:
        EmovoxError: The package that opens such addresses is missing, or no one is known.
    """
    import fsspec

    scheme = address.partition("://")[0]
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError:
        package = INSTALLS.get(scheme, f"fsspec's package for {scheme}")
        raise EmovoxError(
            f"addresses with {scheme}:// need {package}, which is not installed; pip install "
            f"{package}",
            code="package.missing",
        ) from None
    except ValueError as error:
        raise EmovoxError(
            f"{address}: {error}; expected a path, or an address such as s3://bucket/folder"
        ) from None
    return found


def try_again(request: Callable[[], T], name: str) -> T:
    """Return the result of a request to an object store, repeated while the store fails.

    Raises:
        FileNotFoundError: There is no such object.
        PermissionError: It may not be read.
        OSError: The store failed every time.
    """
    for attempt in range(TRIES):
        try:
            return request()
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            raise
        except Exception as error:  # each store raises its own, some of them no OSError
            if attempt == TRIES - 1:
                raise OSError(f"{type(error).__name__} after {TRIES} attempts") from error
            _log.info("%s: %s, trying again", name, error)
            # Spread out, so that a thousand workers do not return at the same moment.
            time.sleep(WAIT_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311
    raise AssertionError


def fetch(address: str, start: int = 0, n_bytes: int | None = None) -> tuple[BinaryIO, str]:
    """Fetch an object, or a part of one, into memory, or a temporary file if it is large.

    Args:
        address: Address of the object.
        start: Where to begin.
        n_bytes: How many bytes to fetch; ``None``: up to the end.

    Returns:
        The content as a file that is removed when it is closed, and its SHA-256.

    Raises:
        AudioError: The object does not exist, is too large, or the store fails for too long.
    """
    files, path = open_file_system(address)
    try:
        size = n_bytes
        if size is None:
            size = int(try_again(lambda: files.info(path)["size"], address)) - start
        check_bytes(size)
        buffer: Any = tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES)  # noqa: SIM115
        digest = hashlib.sha256()
        for at in range(start, start + size, CHUNK_BYTES):
            end = min(at + CHUNK_BYTES, start + size)
            chunk = try_again(partial(read_range, files, path, at, end), address)
            digest.update(chunk)
            buffer.write(chunk)
    except FileNotFoundError:
        raise AudioError("no such object; check the address", code="audio.not_found") from None
    except OSError as error:
        raise AudioError(
            f"cannot be read from the store ({error}); run again with --retry-failed",
            code="source.unavailable",
        ) from error
    buffer.seek(0)
    return buffer, digest.hexdigest()


def read_range(files: Any, path: str, start: int, end: int) -> bytes:
    """Return the bytes of a range; raise OSError if fewer arrive."""
    found: bytes = files.cat_file(path, start=start, end=end)
    if len(found) != end - start:
        raise OSError(f"{len(found)} bytes arrived, expected {end - start}")
    return found


def check_bytes(n_bytes: int) -> None:
    """Raise AudioError for more bytes than a stream may have."""
    if n_bytes > MAX_STREAM_BYTES:
        raise AudioError(
            f"holds {n_bytes >> 20} MiB, more than {MAX_STREAM_BYTES >> 20}, the limit for a "
            "stream; process it as a file on a disk",
            code="audio.too_large",
        )


def open_section(path: str, start: int, n_bytes: int) -> Section:
    """Open a part of a file, such as a member of a tar, as a file of its own."""
    return Section(open(path, "rb"), start, start + n_bytes)  # noqa: SIM115


def hash_file(file: BinaryIO) -> str:
    """Return the SHA-256 of an open file, read to its end."""
    digest = hashlib.sha256()
    while chunk := file.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()
