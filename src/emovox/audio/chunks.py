"""Find out how many bytes of samples a file promises, and how many it holds.

WAV, RF64, W64, AIFF, AU, CAF, AVI, WMA and NIST SPHERE state it.
"""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from emovox.errors import AudioError

_MAX_CHUNKS = 1_000
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_TOLERATED_BYTES = 64
"""By which writers miscount, for example their own header."""

_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


@dataclass(frozen=True, slots=True)
class DataChunk:
    """The sample data of a file whose header states their size.

    Attributes:
        declared_bytes: Size according to the header.
        held_bytes: Size of the part that the file contains.
        streamed: Whether the writer did not know the size, for example when writing to a pipe.
        format_tag: WAVE format tag, such as 1 for PCM; 0 in other formats.
    """

    declared_bytes: int
    held_bytes: int
    streamed: bool
    format_tag: int = 0


def find_data_chunk(file: BinaryIO) -> DataChunk | None:
    """Return the sample data chunk of a file, or None if it has none; rewinds the file."""
    file_bytes = file.seek(0, 2)
    file.seek(0)
    head = file.read(36)
    found: DataChunk | None = None
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        found = _find_iff_data(file, head, file_bytes)
        if head[8:12] == b"AVI ":
            declared = int.from_bytes(head[4:8], "little") + 8
            found = _make_chunk(declared, file_bytes, declared in (8, 2**32 + 7))
    elif head[:4] == b"riff":
        found = _find_w64_data(file, file_bytes)
    elif head[:4] == b"caff":  # codespell:ignore caff
        found = _find_caf_data(file, file_bytes)
    elif head[:4] == b"\x30\x26\xb2\x75":
        found = _find_asf_data(file, file_bytes)
    elif head[:4] == b"NIST":
        found = _find_nist_data(file, file_bytes)
    elif head[:4] == b".snd" and len(head) >= 12:
        start, size = struct.unpack(">II", head[4:12])
        found = _make_chunk(size, file_bytes - start, size in (0, 2**32 - 1))
    file.seek(0)
    return found


def check_held_bytes(file: BinaryIO) -> None:
    """Raise AudioError if a file holds fewer bytes of samples than its header states."""
    chunk = find_data_chunk(file)
    if chunk is None or chunk.streamed:
        return
    if chunk.held_bytes < chunk.declared_bytes - _TOLERATED_BYTES:
        raise AudioError(
            f"is cut short: the header promises {chunk.declared_bytes:,} bytes, the file holds "
            f"{chunk.held_bytes:,}; copy or record it again",
            code="audio.truncated",
        )


def walk_chunks(
    file: BinaryIO, start: int, header: str, padding: int
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, declared size and start of each chunk; sizes are padded to a multiple."""
    position = start
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(struct.calcsize(header))
        if len(head) < struct.calcsize(header):
            return
        name, size = struct.unpack(header, head)
        # W64 counts the chunk's header too.
        size -= len(head) if len(name) == 16 else 0
        position += len(head)
        yield name, size, position
        if size < 0:
            return
        position += -(-size // padding) * padding


def _make_chunk(size: int, left_bytes: int, streamed: bool, format_tag: int = 0) -> DataChunk:
    """Return the data chunk, of which ``left_bytes`` of the file can be a part."""
    return DataChunk(size, max(0, min(size, left_bytes)), streamed, format_tag)


def _find_iff_data(file: BinaryIO, head: bytes, file_bytes: int) -> DataChunk | None:
    """Return the data chunk of a WAV, RF64 or AIFF file."""
    order = ">" if head[:4] in (b"RIFX", b"FORM") else "<"
    wanted = b"SSND" if head[:4] == b"FORM" else b"data"
    form_bytes, size_64, format_tag = struct.unpack(order + "I", head[4:8])[0] + 8, 0, 0
    for name, size, start in walk_chunks(file, 12, order + "4sI", 2):
        if name == b"ds64":
            (size_64,) = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))
        elif name == b"fmt ":
            body = file.read(26).ljust(26, b"\0")
            (format_tag,) = struct.unpack(order + "H", body[:2])
            if format_tag == 0xFFFE:  # extensible: the tag begins a GUID
                (format_tag,) = struct.unpack(order + "H", body[24:])
        elif name == wanted:
            left_bytes = file_bytes - start
            if head[:4] == b"RF64" and size == 2**32 - 1 and 0 < size_64 < 2**63 - 2**16:
                return _make_chunk(size_64, left_bytes, False, format_tag)
            # When writing to a pipe, programs leave 0 or a number as large as they can (FFmpeg:
            # 2^32 - 1, SoX: 2^31 - 2^12 minus the header, arecord: 2^31). A size of 0 is genuine
            # if the file size in the header is right.
            largest = size >= 2**32 - 2**13 or abs(size - 2**31) <= 2**13
            unwritten = size == 0 and left_bytes > 0 and not start < form_bytes <= file_bytes + 1
            streamed = (largest and size > left_bytes) or unwritten
            return _make_chunk(size, left_bytes, streamed, format_tag)
    return None


def _find_w64_data(file: BinaryIO, file_bytes: int) -> DataChunk | None:
    """Return the data chunk of a Sony Wave64 file."""
    for name, size, start in walk_chunks(file, 40, "<16sq", 8):
        if name == _W64_DATA:
            streamed = size <= 0 or size >= 2**62
            return _make_chunk(size, file_bytes - start, streamed)
    return None


def _find_caf_data(file: BinaryIO, file_bytes: int) -> DataChunk | None:
    """Return the data chunk of a CAF file; what follows it counts, since packet tables may."""
    found: DataChunk | None = None
    end = 0
    for name, size, start in walk_chunks(file, 8, ">4sq", 1):
        if name == b"caff":  # joined files; codespell:ignore caff
            break
        end = start + size
        if name == b"data":
            found = _make_chunk(size, file_bytes - start, size < 0)
    if found is not None and not found.streamed and end > file_bytes:
        return DataChunk(found.declared_bytes, found.declared_bytes - (end - file_bytes), False)
    return found


def _find_asf_data(file: BinaryIO, file_bytes: int) -> DataChunk | None:
    """Return the whole of a WMA file, whose properties state its size."""
    file.seek(0)
    head = file.read(2**16)
    place = head.find(_ASF_PROPERTIES)
    if not 0 <= place <= len(head) - 92:
        return None
    (declared,) = struct.unpack("<Q", head[place + 40 : place + 48])
    is_broadcast = head[place + 88] & 1
    return _make_chunk(declared, file_bytes, declared == 0 or bool(is_broadcast))


def _find_nist_data(file: BinaryIO, file_bytes: int) -> DataChunk | None:
    """Return the samples of a NIST SPHERE file, if they are not compressed."""
    file.seek(0)
    fields = dict(re.findall(rb"(\w+) -\w+ (\S+)", file.read(1_024)))
    try:
        names = (b"sample_count", b"channel_count", b"sample_n_bytes")
        declared = math.prod(int(fields[name]) for name in names)
    except (KeyError, ValueError):
        return None
    if fields.get(b"sample_coding", b"pcm") not in (b"pcm", b"ulaw", b"alaw"):
        return None
    return _make_chunk(declared, file_bytes - 1_024, False)
