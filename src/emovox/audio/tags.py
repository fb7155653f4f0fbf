"""Skip what is stored around audio: tags of players, and padding."""

from typing import BinaryIO

_PADDING_BYTES = 2**16


def find_tag_end(file: BinaryIO, start: int) -> int:
    """Return the position after the tags and zeros that begin at ``start``."""
    while True:
        file.seek(start)
        head = file.read(32)
        size = _measure_tag(head)
        if size == 0 and head.startswith(b"\0\0\0\0\0\0\0\0"):
            file.seek(start)
            padding = file.read(_PADDING_BYTES)
            size = len(padding) - len(padding.lstrip(b"\0"))
        if size == 0 or not head:
            return start
        start += size


def _measure_tag(head: bytes) -> int:
    """Return the bytes of the tag that begins with ``head``, or 0."""
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
        size = 0
        for byte in head[6:10]:  # seven bits each
            size = size << 7 | byte
        return 10 + size + (10 if head[5] & 0x10 else 0)  # the flag of a footer
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        is_header = head[23] & 0x20
        return int.from_bytes(head[12:16], "little") + (32 if is_header else 0)
    return 0
