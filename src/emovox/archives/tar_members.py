"""Recordings in a tar, in WebDataset's layout: found by their headers, and never extracted."""

import tarfile
from collections.abc import Iterator
from typing import Any

from emovox.archives.addresses import address_to_path, is_remote, open_file_system
from emovox.audio.folders import AUDIO_SUFFIXES
from emovox.errors import ArchiveError


def iterate_members(address: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each recording in a tar, with its place in the file.

    Args:
        address: A tar that is not compressed, in which every member can be read by itself.

    Yields:
        ``source``, ``member``, ``offset`` and ``bytes``. Links, devices and files that are not
        recordings are passed over: nothing is written, whatever the members are called.

    Raises:
        ArchiveError: It is not a tar, is compressed, or is damaged.
    """
    try:
        with _open(address) as file, tarfile.open(fileobj=file, mode="r:") as tar:
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
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ArchiveError(
            f"cannot be listed as a tar ({error}); expected one that is not compressed, as "
            "WebDataset writes it",
            code="archive.damaged",
            source=address,
        ) from error


def _open(address: str) -> Any:
    """Open a tar for reading."""
    if is_remote(address):
        files, path = open_file_system(address)
        return files.open(path, "rb", cache_type="readahead")
    return open(address_to_path(address), "rb")


def _is_recording(name: str) -> bool:
    """Return whether the name of a member is that of a recording."""
    base = name.rpartition("/")[2]
    return not base.startswith(".") and base.lower().endswith(AUDIO_SUFFIXES)
