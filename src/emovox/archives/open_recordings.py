"""Open the recordings of a plan: files, members of tars, objects in stores, and parts of each."""

import hashlib
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from emovox.archives.addresses import (
    address_to_path,
    check_bytes,
    fetch,
    hash_file,
    is_remote,
    open_section,
)
from emovox.archives.containers import open_zip_member
from emovox.archives.settings import ArchiveSettings
from emovox.audio.limits import refuse_empty
from emovox.audio.recording import open_recording
from emovox.audio.sources import MAX_MEMORY_BYTES
from emovox.errors import AudioError


@dataclass(frozen=True, slots=True)
class OpenedItem:
    """A recording that a recogniser can read.

    Attributes:
        source: A path, a binary file, or an array of the requested part.
        sha256: SHA-256 of the recording's bytes.
        rate_hz: Sampling rate of an array in Hz; ``None`` for other sources.
        start_s: Where in the recording the array begins, in seconds.
    """

    source: Any
    sha256: str | None
    rate_hz: int | None = None
    start_s: float = 0.0


@contextmanager
def open_item(item: dict[str, Any], settings: ArchiveSettings) -> Iterator[OpenedItem]:
    """Open a recording of a plan.

    Args:
        item: A row of the plan.
        settings: Track and maximum duration are used if a part of it is requested.

    Yields:
        The opened recording.

    Raises:
        AudioError: It cannot be read.
    """
    with _open_whole(item) as (source, sha256):
        if item["start_s"] is None and item["end_s"] is None:
            yield OpenedItem(source, sha256)
            return
        start_s = item["start_s"] or 0.0
        samples, rate_hz = cut_part(source, start_s, item["end_s"], settings)
        yield OpenedItem(samples, sha256, rate_hz, start_s)


@contextmanager
def _open_whole(item: dict[str, Any]) -> Iterator[tuple[Any, str | None]]:
    """Open a whole recording, and find the SHA-256 of its bytes."""
    address, offset = item["source"], item["offset"]
    if item["member"] is not None and offset is None:
        with open_zip_member(address, item["member"]) as stream, spool(stream) as opened:
            yield opened
        return
    if is_remote(address):
        file, sha256 = fetch(address, offset or 0, None if offset is None else item["bytes"])
        with file:
            yield file, sha256
        return
    path = address_to_path(address)
    try:
        if offset is not None:
            check_bytes(item["bytes"])
            with io.BufferedReader(open_section(path, offset, item["bytes"])) as section:
                sha256 = hash_file(section)
                section.seek(0)
                yield section, sha256
            return
        with open(path, "rb") as whole:
            sha256 = hash_file(whole)
    except (OSError, ValueError):
        if offset is not None:
            raise AudioError(
                "the tar cannot be read; check the path", code="audio.not_found"
            ) from None
        yield path, None  # what is wrong with it is found again, and described, by the reader
        return
    yield path, sha256


@contextmanager
def spool(stream: Any) -> Iterator[tuple[Any, str]]:
    """Copy a stream to a seekable file, up to the limit of a stream, and find its SHA-256.

    Raises:
        AudioError: It is too large, whatever its header says, or damaged.
    """
    digest = hashlib.sha256()
    with tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES) as buffer:
        try:
            while chunk := stream.read(2**20):
                buffer.write(chunk)
                digest.update(chunk)
                check_bytes(buffer.tell())
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise AudioError(
                f"is damaged in its zip ({error}); copy the zip again", code="audio.damaged"
            ) from error
        buffer.seek(0)
        yield buffer, digest.hexdigest()


def cut_part(
    source: Any, start_s: float, end_s: float | None, settings: ArchiveSettings
) -> tuple[np.ndarray[Any, Any], int]:
    """Decode a part of a recording, with all its channels.

    Args:
        source: A path or a binary file.
        start_s: Start of the part in seconds.
        end_s: End of the part in seconds; ``None``: the end of the recording.
        settings: Track and maximum duration of the part.

    Returns:
        float32 ``(samples, channels)`` and the sampling rate in Hz.

    Raises:
        AudioError: The recording cannot be decoded up to there, or has nothing there.
    """
    longest_s = end_s if end_s is not None else start_s + settings.longest_s
    if end_s is not None and not 0 < end_s - start_s <= settings.longest_s:
        raise AudioError(
            f"the part from {start_s:g} to {end_s:g} s lasts {end_s - start_s:g} s; expected more "
            f"than 0 and at most {settings.longest_s:g}: correct the manifest",
            code="audio.bad_part",
        )
    kept, rate_hz, n_before = [], 0, 0
    # A day is the most that any recording may last: the part is what the settings limit.
    with open_recording(source, max_duration_s=max(86_400.0, longest_s)) as recording:
        for block in recording.decode(settings.track or 1):
            rate_hz = block.rate_hz
            first, last = (
                round(start_s * rate_hz),
                None if end_s is None else round(end_s * rate_hz),
            )
            n = len(block.samples)
            wanted = block.samples[
                max(0, first - n_before) : None if last is None else max(0, last - n_before)
            ]
            n_before += n
            if len(wanted):
                kept.append(wanted)
            if sum(map(len, kept)) > settings.longest_s * rate_hz + 1:
                raise AudioError(
                    f"the part from {start_s:g} s lasts more than {settings.longest_s:g} s; "
                    "name its end in the manifest",
                    code="audio.too_long",
                )
            if last is not None and n_before >= last:
                break
    if not kept:
        if not n_before:
            refuse_empty()
        raise AudioError(
            f"has nothing from {start_s:g} s on: it lasts {n_before / rate_hz:.2f} s; correct the "
            "manifest",
            code="audio.bad_part",
        )
    return np.concatenate(kept), rate_hz
