"""Walk the pages of an Ogg file: what is missing, and which recordings are joined in it.

Pages are described in RFC 3533, section 6 (https://www.rfc-editor.org/rfc/rfc3533).
"""

from typing import BinaryIO

from emovox.audio.limits import refuse_cut_mid, refuse_gap

_FIRST, _LAST = 2, 4  # flags of a stream's first and last page


def find_ogg_links(file: BinaryIO) -> list[tuple[int, int]]:
    """Return start and end of each recording in an Ogg file; a chained file has several.

    Raises:
        AudioError: A page is missing or incomplete. Decoders would skip it without a word.
    """
    file_bytes = file.seek(0, 2)
    starts: list[int] = []
    sequences: dict[int, int] = {}
    position, previous_flags, ended = 0, 0, False
    while position < file_bytes:
        file.seek(position)
        header = file.read(27)
        sizes = file.read(header[26]) if len(header) == 27 else b""
        if not header.startswith(b"OggS"):
            if ended and b"OggS" not in file.read(2**16):
                break  # tags or padding after the end
            refuse_gap(f"at byte {position:,}, where an Ogg page should begin")
        end = position + 27 + len(sizes) + sum(sizes)
        if len(header) < 27 or len(sizes) < header[26] or end > file_bytes:
            refuse_cut_mid(file_bytes, "page")
        flags, serial = header[5], int.from_bytes(header[14:18], "little")
        sequence = int.from_bytes(header[18:22], "little")
        if flags & _FIRST and not previous_flags & _FIRST:
            starts.append(position)
            sequences.clear()
        if not flags & _FIRST and serial in sequences and sequence != sequences[serial] + 1:
            refuse_gap(f"before byte {position:,}: Ogg page {sequence} follows {sequences[serial]}")
        sequences[serial] = sequence
        position, previous_flags, ended = end, flags, bool(flags & _LAST)
    starts = starts or [0]
    return list(zip(starts, [*starts[1:], file_bytes], strict=True))
