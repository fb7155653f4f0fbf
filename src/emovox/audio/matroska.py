"""Walk the elements of a WebM or Matroska file: decoders skip to the next cluster after damage.

Elements are described in RFC 8794 (EBML), sections 4 to 6, and RFC 9559 (Matroska), section 5.
"""

from typing import BinaryIO

from emovox.audio.limits import refuse_cut_mid, refuse_gap
from emovox.audio.tags import find_tag_end

_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_IN_FILE = {0x1A45DFA3, _SEGMENT, 0xEC, 0xBF}
_IN_SEGMENT = {
    0x114D9B74,  # SeekHead
    0x1549A966,  # Info
    0x1654AE6B,  # Tracks
    _CLUSTER,
    0x1C53BB6B,  # Cues
    0x1941A469,  # Attachments
    0x1043A770,  # Chapters
    0x1254C367,  # Tags
}
_IN_CLUSTER = {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF}
_KNOWN = _IN_FILE | _IN_SEGMENT | _IN_CLUSTER
_MAX_ELEMENTS = 2**22
"""More are not walked: a hostile file could have one in every two bytes."""


def check_elements(file: BinaryIO) -> None:
    """Raise AudioError if elements are missing, or the last one is incomplete."""
    file_bytes = file.seek(0, 2)
    position, ends = 0, [file_bytes]
    for _ in range(_MAX_ELEMENTS):
        while len(ends) > 1 and position == ends[-1]:
            ends.pop()
        file.seek(position)
        head = file.read(12)
        if find_tag_end(file, position) == file_bytes or (len(head) < 12 and not head.strip(b"\0")):
            return
        name, name_bytes = _read_name(head)
        size, size_bytes = _read_size(head[name_bytes:])
        start = position + name_bytes + size_bytes
        if name not in _KNOWN:
            refuse_gap(f"before byte {position:,}, where the next element should begin")
        if size is None and name not in (_SEGMENT, _CLUSTER):
            refuse_gap(f"at byte {position:,}, where an element has no size")
        end = start if size is None else start + size
        if len(ends) > 1 and end > ends[-1]:
            refuse_gap(f"before byte {ends[-1]:,}, where a cluster should end")
        if end > file_bytes:
            refuse_cut_mid(file_bytes, "element")
        if name in (_SEGMENT, _CLUSTER):
            if size is not None:
                ends.append(end)
            position = start
        else:
            position = end


def _read_name(head: bytes) -> tuple[int, int]:
    """Return the identifier that begins an element, and its number of bytes."""
    n_bytes = 9 - head[0].bit_length()
    return int.from_bytes(head[:n_bytes], "big"), n_bytes


def _read_size(head: bytes) -> tuple[int | None, int]:
    """Return the size of an element, None if its writer did not know it, and the bytes it takes."""
    n_bytes = 9 - head[0].bit_length() if head else 1
    mask = (1 << 7 * n_bytes) - 1
    size = int.from_bytes(head[:n_bytes], "big") & mask
    return None if size == mask else size, n_bytes
