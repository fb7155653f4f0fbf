"""Walk the frames of an MP3 (or MP1, MP2) file: how long it is, and what is joined in it.

The header of a frame is described in ISO/IEC 11172-3, section 2.4.1.3; the frame that states a
file's length in http://gabriel.mp3-tech.org/mp3infotag.html.
"""

from dataclasses import dataclass
from typing import BinaryIO

from emovox.audio.limits import refuse_cut, refuse_cut_mid, refuse_gap
from emovox.audio.tags import find_tag_end

MAX_JUNK_BYTES = 2**16
"""Before the first frame, players skip junk; a recorded stream may begin inside a frame."""

TOLERATED_FRAMES = 2
"""By which counts of encoders differ: some count the frame that states the count."""

_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS = {
    (3, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by version (3: MPEG-1, otherwise MPEG-2 and 2.5) and layer (3: I, 2: II, 1: III)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The header of one MPEG audio frame.

    Attributes:
        size: Bytes of the frame.
        samples: Samples per channel.
        rate_hz: Sampling rate in Hz.
        kind: Version and layer, equal for all frames of a recording.
        side_bytes: Distance from its start to where a Xing header would be.
    """

    size: int
    samples: int
    rate_hz: int
    kind: tuple[int, int]
    side_bytes: int


def parse_frame(head: bytes) -> Frame | None:
    """Return the frame that four bytes begin, or None; free bit rates are not supported."""
    bits = int.from_bytes(head[:4], "big")
    version, layer = bits >> 19 & 3, bits >> 17 & 3
    bit_rate, rate, padding = bits >> 12 & 15, bits >> 10 & 3, bits >> 9 & 1
    if len(head) < 4 or bits >> 21 != 0x7FF or version == 1 or layer == 0:
        return None
    if bit_rate in (0, 15) or rate == 3:
        return None
    rate_hz = _RATES_HZ[version][rate]
    table = _KBITS[3 if version == 3 else 2, layer if version == 3 or layer == 3 else 1]
    samples = {3: 384, 2: 1_152, 1: 1_152 if version == 3 else 576}[layer]
    slot_bytes = 4 if layer == 3 else 1
    size = (samples * table[bit_rate] * 125 // rate_hz // slot_bytes + padding) * slot_bytes
    mono = bits >> 6 & 3 == 3
    side_bytes = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return Frame(size, samples, rate_hz, (version, layer), 4 + side_bytes)


def find_first_frame(data: bytes) -> int | None:
    """Return the position of the first frame in ``data`` that three like it follow, or None."""
    start = data.find(b"\xff")
    while start >= 0:
        first = frame = parse_frame(data[start : start + 4])
        position = start
        for _ in range(3):
            if first is None or frame is None or frame.kind != first.kind:
                break
            position += frame.size
            if position == len(data) and (start == 0 or position > start + first.size):
                return start  # a recording of fewer frames
            frame = parse_frame(data[position : position + 4])
        else:
            if first is not None and frame is not None:
                return start
        start = data.find(b"\xff", start + 1)
    return None


def find_mpeg_parts(file: BinaryIO) -> list[tuple[int, int]]:
    """Return start and end of each recording in an MPEG audio file; joined files have several.

    Raises:
        AudioError: Frames are missing, or the last one is incomplete.
    """
    file_bytes = file.seek(0, 2)
    parts: list[tuple[int, int]] = []
    position = start = 0
    promised, counted, first = None, 0, None

    def end_part(end: int) -> None:
        if first is None:
            return
        frame_s = first.samples / first.rate_hz
        if promised is not None and promised - counted > TOLERATED_FRAMES:
            refuse_cut(promised * frame_s, counted * frame_s)
        parts.append((start, end))

    while position < file_bytes:
        file.seek(position)
        head = file.read(4)
        frame = parse_frame(head)
        if frame is None or (first is not None and frame.kind != first.kind):
            end_part(position)
            first = None
            position = _skip_tags(file, position, file_bytes)
            if position == file_bytes:
                return parts
            start, promised, counted = position, None, 0
            continue
        if position + frame.size > file_bytes:
            end_part(position)
            if promised is not None:
                return parts
            refuse_cut_mid(file_bytes, "frame")
        n_frames = _read_frame_count(file, frame) if frame.kind[1] == 1 else None
        if first is None or n_frames is not None:
            if first is not None:
                end_part(position)
            first, start, promised, counted = frame, position, n_frames, 0
            # The frame that states the length is no part of it.
            counted -= n_frames is not None
        counted += 1
        position += frame.size
    end_part(position)
    return parts


def _read_frame_count(file: BinaryIO, frame: Frame) -> int | None:
    """Return the number of frames that a Xing, Info or VBRI header promises, or None."""
    body = file.read(min(frame.size, 64) - 4)
    xing = body[frame.side_bytes - 4 :]
    if xing[:4] in (b"Xing", b"Info") and xing[7:8] and xing[7] & 1:
        return int.from_bytes(xing[8:12], "big")
    vbri = body[32:]
    return int.from_bytes(vbri[14:18], "big") if vbri[:4] == b"VBRI" else None


def _skip_tags(file: BinaryIO, position: int, file_bytes: int) -> int:
    """Return the position of the next frame after tags or padding, or the end of the file."""
    position = find_tag_end(file, position)
    file.seek(position)
    rest = file.read(MAX_JUNK_BYTES)
    if parse_frame(rest[:4]):
        return position
    if find_first_frame(rest) is not None:
        refuse_gap(f"at byte {position:,}, where an MPEG frame should begin")
    return file_bytes  # nothing but junk follows
