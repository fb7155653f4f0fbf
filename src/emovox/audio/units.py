"""Walk the units of a format without an index: frames, tags, packets or blocks that state a size.

Decoders skip what they do not understand; a walk finds where a part is missing, and a cut end.
"""

from collections.abc import Callable
from typing import BinaryIO

from emovox.audio.limits import refuse_cut_mid, refuse_gap
from emovox.audio.tags import find_tag_end
from emovox.errors import AudioError

_HEAD_BYTES = 32
_MAX_UNITS = 2**22
"""More are not walked: a hostile file could have one in each byte. At 20 ms each, it is a day."""

_TS_BYTES = 188
_NUT_INDEX = b"NX\xdd\x67\x2f\x23\xe6\x4e"
_AMR_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)
_AMR_WB_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)
"""Bytes of a frame by its type, 0 for reserved ones (RFC 4867, sections 3.6 and 5.3)."""

_AC3_RATES_HZ = (48_000, 44_100, 32_000)
_AC3_KBITS = tuple(
    map(int, "32 40 48 56 64 80 96 112 128 160 192 224 256 320 384 448 512 576 640".split())
)
"""Bit rates of AC-3 (ETSI TS 102 366, section 4.4.1)."""

_HEADERS = {
    "amr": (b"#!AMR\n", b"#!AMR-WB\n"),
    "voc": (b"Creative Voice File\x1a",),
    "flv": (b"FLV\x01",),
}
"""What begins a recording, in formats with a header."""


def find_unit_parts(file: BinaryIO, kind: str) -> list[tuple[int, int]]:
    """Return start and end of each recording in a file of units.

    Args:
        file: Seekable binary file.
        kind: Its format, a key of ``UNIT_FORMATS``.

    Returns:
        Several of a joined file of a format with a header; decoders read on where there is none.

    Raises:
        AudioError: Units are missing, or the last one is incomplete.
    """
    file_bytes = file.seek(0, 2)
    starts: list[int] = []
    measure = UNIT_FORMATS[kind]
    position = end = 0
    for _ in range(_MAX_UNITS):
        file.seek(position)
        head = file.read(_HEAD_BYTES)
        if not head:
            break
        size = measure(head)
        if head.startswith(_HEADERS.get(kind, ())):
            starts.append(position)
            measure = _measure_amr_wb if head.startswith(b"#!AMR-WB") else UNIT_FORMATS[kind]
            size = _measure_header(head)
        if size == 0:
            tag_end = _skip_tags(file, position, file_bytes)
            if tag_end == position:
                refuse_gap(f"before byte {position:,}, where the next frame should begin")
            position = tag_end
        elif position + size > file_bytes:
            refuse_cut_mid(file_bytes, "frame")
        else:
            position = end = position + size
    else:
        end = file_bytes
    starts = starts or [0]
    return list(zip(starts, [*starts[1:], end], strict=True))


def find_transport_parts(file: BinaryIO) -> list[tuple[int, int]]:
    """Return start and end of an MPEG transport stream.

    Raises:
        AudioError: A packet does not begin where it should, or the last one is incomplete.
    """
    file_bytes = file.seek(0, 2)
    file.seek(0)
    position = 0
    while data := file.read(_TS_BYTES * 2**13):
        starts = data[::_TS_BYTES]
        good = len(starts) - len(starts.lstrip(b"\x47"))
        if good < len(starts):
            place = position + good * _TS_BYTES
            refuse_gap(f"before byte {place:,}, where the next packet should begin")
        position += len(data)
    if file_bytes % _TS_BYTES:
        refuse_cut_mid(file_bytes, "packet")
    return [(0, file_bytes)]


def find_nut_parts(file: BinaryIO) -> list[tuple[int, int]]:
    """Return start and end of a NUT file, which ends with an index.

    Raises:
        AudioError: There is no index.
    """
    file_bytes = file.seek(0, 2)
    file.seek(max(0, file_bytes - 12))
    file.seek(max(0, file_bytes - int.from_bytes(file.read(8), "big")))
    if file.read(8) != _NUT_INDEX:
        raise AudioError(
            "is cut short: it does not end with an index; copy or record it again",
            code="audio.truncated",
        )
    return [(0, file_bytes)]


def _skip_tags(file: BinaryIO, position: int, file_bytes: int) -> int:
    """Return the position after tags, and after zeros if nothing follows them."""
    tag_end = find_tag_end(file, position)
    file.seek(tag_end)
    if tag_end + _HEAD_BYTES >= file_bytes and not file.read(_HEAD_BYTES).strip(b"\0"):
        return file_bytes
    file.seek(position)
    return position if file.read(1) == b"\0" else tag_end


def _measure_header(head: bytes) -> int:
    """Return the bytes of the header that begins a recording."""
    if head.startswith(b"#!AMR"):
        return head.index(b"\n") + 1
    if head.startswith(b"FLV"):
        return int.from_bytes(head[5:9], "big") + 4  # the size of no previous tag
    return max(22, int.from_bytes(head[20:22], "little"))


def _measure_adts(head: bytes) -> int:
    """Return the bytes of an AAC frame (ISO/IEC 13818-7, section 6.2), or 0."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size >= 7 else 0


def _measure_ac3(head: bytes) -> int:
    """Return the bytes of an AC-3 or E-AC-3 frame (ETSI TS 102 366, 4.3 and E.1.2), or 0."""
    if len(head) < 8 or head[:2] != b"\x0b\x77":
        return 0
    rate, number = head[4] >> 6, head[4] & 63
    if head[5] >> 3 > 10:
        return ((head[2] & 7) << 8 | head[3]) * 2 + 2
    if rate == 3 or number >= 2 * len(_AC3_KBITS):
        return 0
    words = 1_536 * 1_000 * _AC3_KBITS[number // 2] // (16 * _AC3_RATES_HZ[rate])
    return 2 * (words + (number % 2 if rate == 1 else 0))


def _measure_amr(head: bytes, sizes: tuple[int, ...] = _AMR_BYTES) -> int:
    """Return the bytes of an AMR frame, or 0."""
    return 0 if head[0] & 0x83 else sizes[head[0] >> 3 & 15]


def _measure_amr_wb(head: bytes) -> int:
    """Return the bytes of an AMR-WB frame, or 0."""
    return _measure_amr(head, _AMR_WB_BYTES)


def _measure_flv(head: bytes) -> int:
    """Return the bytes of an FLV tag and the size that follows it, or 0."""
    if len(head) < 11 or head[0] & 31 not in (8, 9, 18) or head[8:11] != b"\0\0\0":
        return 0
    return 11 + int.from_bytes(head[1:4], "big") + 4


def _measure_program(head: bytes) -> int:
    """Return the bytes of a pack header or packet (ISO/IEC 13818-1, section 2.5.3), or 0."""
    if len(head) < 4 or head[:3] != b"\0\0\1" or head[3] < 0xB9:
        return 0
    if head[3] == 0xB9:
        return 4  # end of the stream
    if head[3] == 0xBA:
        is_second = len(head) >= 14 and head[4] >> 6 == 1
        return 14 + (head[13] & 7) if is_second else 12
    return 6 + int.from_bytes(head[4:6], "big")


def _measure_voc(head: bytes) -> int:
    """Return the bytes of a VOC block, or 0; a terminator is one byte."""
    if head[0] > 9:
        return 0
    return 4 + int.from_bytes(head[1:4], "little") if head[0] else 1


UNIT_FORMATS: dict[str, Callable[[bytes], int]] = {
    "aac": _measure_adts,
    "ac3": _measure_ac3,
    "amr": _measure_amr,
    "flv": _measure_flv,
    "mpegps": _measure_program,
    "voc": _measure_voc,
}
"""What measures the unit that some bytes begin, by format."""
