"""Find the recordings that are joined in a file whose header states its size.

Decoders stop after the first one.
"""

import math
import struct
from collections.abc import Callable
from typing import BinaryIO, cast

from emovox.audio.chunks import find_data_chunk, walk_chunks
from emovox.audio.sources import Section
from emovox.audio.tags import find_tag_end

_MAX_PARTS = 1_000


def find_joined_parts(file: BinaryIO, kind: str) -> list[tuple[int, int]]:
    """Return start and end of each recording in a file of a format of ``SIZED_FORMATS``."""
    file_bytes = file.seek(0, 2)
    starts = [0]
    magic = _read_magic(file, kind)
    for _ in range(_MAX_PARTS):
        size = SIZED_FORMATS[kind](_cut(file, starts[-1], file_bytes))
        following = find_tag_end(file, starts[-1] + size)
        if (
            not starts[-1] < following < file_bytes
            or _read_magic(_cut(file, following, file_bytes), kind) != magic
        ):
            break
        starts.append(following)
    return list(zip(starts, [*starts[1:], file_bytes], strict=True))


def _cut(file: BinaryIO, start: int, end: int) -> BinaryIO:
    """Return a part of a file as a file."""
    return cast(BinaryIO, Section(file, start, end))


def _read_magic(file: BinaryIO, kind: str) -> bytes:
    """Return the first bytes of a recording that are equal in all of a format."""
    file.seek(0)
    head = file.read(12)
    if kind == "mov":
        return head[4:8]
    return head[:4] + head[8:] if kind in ("wav", "aiff", "rf64") else head[:4]


def _measure_riff(file: BinaryIO) -> int:
    """Return the bytes of a WAV, RF64 or AIFF file according to its header."""
    file.seek(0)
    head = file.read(28).ljust(28, b"\0")
    order = ">" if head[:4] in (b"RIFX", b"FORM") else "<"
    (size,) = struct.unpack(order + "I", head[4:8])
    if head[:4] == b"RF64" and size == 2**32 - 1 and head[12:16] == b"ds64":
        (size,) = struct.unpack("<Q", head[20:28])
    return int(8 + size + size % 2)


def _measure_w64(file: BinaryIO) -> int:
    """Return the bytes of a Sony Wave64 file."""
    file.seek(16)
    return int.from_bytes(file.read(8), "little") + 7 & -8


def _measure_au(file: BinaryIO) -> int:
    """Return the bytes of an AU file."""
    file.seek(4)
    start, size = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
    return int(start + size)


def _measure_caf(file: BinaryIO) -> int:
    """Return the position of the next CAF header in a file, or 0."""
    for name, _, start in walk_chunks(file, 8, ">4sq", 1):
        if name == b"caff":  # codespell:ignore caff
            return start - 12
    return 0


def _measure_asf(file: BinaryIO) -> int:
    """Return the bytes of a WMA file."""
    chunk = find_data_chunk(file)
    return 0 if chunk is None or chunk.streamed else chunk.declared_bytes


def _measure_tta(file: BinaryIO) -> int:
    """Return the bytes of a TTA file: its header, its table of frames, and the frames."""
    file.seek(0)
    rate_hz, n_samples = struct.unpack("<10xII4x", file.read(22).ljust(22, b"\0"))
    frame_samples = 256 * rate_hz // 245
    n_frames = math.ceil(n_samples / frame_samples) if frame_samples else 0
    table = file.read(4 * n_frames)[: 4 * n_frames]
    return 22 + len(table) + 4 + sum(int(size) for (size,) in struct.iter_unpack("<I", table))


def _measure_mov(file: BinaryIO) -> int:
    """Return the position of the second header of an MP4 file, or 0."""
    file_bytes = file.seek(0, 2)
    position = 0
    names = set()
    while position < file_bytes:
        file.seek(position)
        head = file.read(16).ljust(16, b"\0")
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if name == b"ftyp" and b"moov" in names:
            return position
        names.add(name)
        size = int.from_bytes(head[8:], "big") if size == 1 else size
        if size < 8:
            return 0
        position += size
    return 0


SIZED_FORMATS: dict[str, Callable[[BinaryIO], int]] = {
    "wav": _measure_riff,
    "rf64": _measure_riff,
    "aiff": _measure_riff,
    "w64": _measure_w64,
    "au": _measure_au,
    "caf": _measure_caf,  # codespell:ignore caf
    "asf": _measure_asf,
    "tta": _measure_tta,
    "mov": _measure_mov,
}
"""What measures the bytes of the first recording of a file, by format."""
