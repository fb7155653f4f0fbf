"""Recordings in a tar (WebDataset's layout) or a zip: listed by their headers, never extracted."""

import os
import tarfile
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from emovox.archives.addresses import address_to_path, is_remote, open_file_system
from emovox.audio.folders import AUDIO_SUFFIXES
from emovox.errors import ArchiveError, AudioError

CONTAINER_SUFFIXES = (".tar", ".zip")


def iterate_members(address: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each recording in a tar or a zip.

    Args:
        address: A zip, or a tar that is not compressed: every member is read by itself.

    Yields:
        ``source``, ``member`` and ``bytes``, and for a tar the ``offset`` in the file. Links,
        devices and files that are not recordings are passed over: nothing is written, whatever the
        members are called.

    Raises:
        ArchiveError: It is neither, or is damaged.
    """
    is_tar = address.lower().endswith(".tar")
    try:
        with open_container(address) as file:
            yield from _iterate_tar(address, file) if is_tar else _iterate_zip(address, file)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise ArchiveError(
            f"cannot be listed as a {'tar' if is_tar else 'zip'} ({error}); expected a zip, or a "
            "tar that is not compressed, as WebDataset writes it",
            code="archive.damaged",
            source=address,
        ) from error


def open_container(address: str) -> Any:
    """Open a tar or a zip for reading."""
    if is_remote(address):
        files, path = open_file_system(address)
        return files.open(path, "rb", cache_type="readahead")
    return open(address_to_path(address), "rb")


def open_zip_member(address: str, member: str) -> Any:
    """Open a recording in a zip as a stream, whose reader limits its size.

    Raises:
        AudioError: The zip has no such member, it is encrypted, or the zip cannot be read.
    """
    try:
        modified = None if is_remote(address) else os.stat(address_to_path(address)).st_mtime_ns
        return _open_zip(address, modified).open(member)
    except (KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, OSError) as error:
        raise AudioError(
            f"cannot be read from the zip ({' '.join(str(error).split())[:100]}); pack it again, "
            "without a password",
            code="audio.unreadable",
        ) from error


@lru_cache(maxsize=1)
def _open_zip(address: str, modified: int | None) -> zipfile.ZipFile:  # noqa: ARG001  # of the key
    """Open a zip; the last one is kept, since its list of members is read each time."""
    return zipfile.ZipFile(open_container(address))


def _iterate_tar(address: str, file: Any) -> Iterator[dict[str, Any]]:
    """Yield the recordings of an open tar."""
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            # A sparse member is not stored as it reads.
            if member.isreg() and not member.issparse() and _is_recording(member.name):
                yield {
                    "source": address,
                    "member": member.name.encode("utf-8", "backslashreplace").decode(),
                    "offset": member.offset_data,
                    "bytes": member.size,
                }
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps them all


def _iterate_zip(address: str, file: Any) -> Iterator[dict[str, Any]]:
    """Yield the recordings of an open zip."""
    with zipfile.ZipFile(file) as found:
        for member in found.infolist():
            if not member.is_dir() and _is_recording(member.filename):
                yield {"source": address, "member": member.filename, "bytes": member.file_size}


def _is_recording(name: str) -> bool:
    """Return whether the name of a member is that of a recording."""
    base = name.rpartition("/")[2]
    hidden = base.startswith(".") or "__MACOSX" in name
    return not hidden and base.lower().endswith(AUDIO_SUFFIXES)
