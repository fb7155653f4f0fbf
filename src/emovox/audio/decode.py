"""Decode a file block by block: choose the decoder by content, and decode what is joined.

container, start -> parts of the file -> libsndfile, otherwise FFmpeg -> blocks
"""

from collections.abc import Iterator
from typing import BinaryIO, cast

from emovox.audio.blocks import Block
from emovox.audio.chunks import check_held_bytes, find_joined_forms
from emovox.audio.containers import SOUNDFILE_FORMATS, find_container, refuse_unknown
from emovox.audio.ffmpeg_decoder import decode_with_ffmpeg, find_default_tracks
from emovox.audio.mpeg import find_mpeg_parts
from emovox.audio.ogg import find_ogg_links
from emovox.audio.raw import RawFormat, open_raw
from emovox.audio.soundfile_decoder import decode_with_soundfile, read_blocks
from emovox.audio.sources import Section
from emovox.errors import AudioError

_FLAC_STARTS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")
_SEARCH_BYTES = 2**20


class AudioFile:
    """A recording in a file, which can be decoded several times.

    Args:
        file: Seekable binary file, at its start.
        suffix: Suffix of its name, for formats without any structure.
        max_duration_s: Maximum duration of a recording, in seconds.
        raw: Format of samples without a header.

    Raises:
        AudioError: The file is empty.
    """

    def __init__(
        self, file: BinaryIO, suffix: str, max_duration_s: float, raw: RawFormat | None = None
    ) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self._raw = raw
        self._max_duration_s = max_duration_s
        if self._size == 0:
            raise AudioError(
                "is empty (0 bytes), expected a recording; copy or record it again",
                code="audio.empty",
            )
        found = ("raw", 0) if raw else find_container(file, suffix)
        if found is None:
            refuse_unknown(file)
        self._kind, self._start = found
        self.default_tracks: tuple[bool, ...] = (True,)
        """Whether each audio track is marked as the default."""
        if self._kind not in SOUNDFILE_FORMATS and raw is None:
            self.default_tracks = find_default_tracks(self._cut(self._start), self._kind)

    def decode(self, track: int = 1) -> Iterator[Block]:
        """Yield the blocks of a track, the first of which has number 1.

        Raises:
            AudioError: The recording is damaged, cut short, empty or too long.
        """
        if self._raw is not None:
            yield from read_blocks(open_raw(self._cut(0), self._raw), None, self._max_duration_s)
        elif self._kind not in SOUNDFILE_FORMATS:
            file = self._cut(self._start)
            check_held_bytes(file)
            yield from decode_with_ffmpeg(file, self._kind, self._max_duration_s, track)
        else:
            for part, exact in self._find_parts():
                yield from self._decode_part(part, exact)

    def _decode_part(self, part: BinaryIO, exact: bool) -> Iterator[Block]:
        """Return the blocks of one recording, by libsndfile if it can tell the length."""
        blocks = decode_with_soundfile(part, self._max_duration_s) if exact else None
        if blocks is not None:
            return blocks
        if self._kind == "mpeg" and exact:
            refuse_unknown(self._file)
        check_held_bytes(part)
        return decode_with_ffmpeg(part, self._kind, self._max_duration_s)

    def _find_parts(self) -> Iterator[tuple[BinaryIO, bool]]:
        """Yield each recording that is joined in the file, and whether its length is exact.

        Decoders stop after the first one, or stumble over the next.
        """
        file = self._cut(self._start)
        if self._kind == "ogg":
            for start, end in find_ogg_links(file):
                yield self._cut(self._start + start, self._start + end), True
        elif self._kind in ("wav", "aiff"):
            for start, end in find_joined_forms(file):
                yield self._cut(self._start + start, self._start + end), True
        elif self._kind == "flac":
            starts = [*_find_flac_starts(file), self._size - self._start]
            for start, end in zip(starts, starts[1:], strict=False):
                yield self._cut(self._start + start, self._start + end), True
        elif self._kind == "mpeg":
            parts = find_mpeg_parts(file)
            for part in parts:
                yield self._cut(self._start + part.start, self._start + part.end), part.exact
            if not parts:  # a free bit rate
                yield file, True
        else:
            yield file, True

    def _cut(self, start: int, end: int | None = None) -> BinaryIO:
        """Return a part of the file."""
        return cast(BinaryIO, Section(self._file, start, self._size if end is None else end))


def _find_flac_starts(file: BinaryIO) -> list[int]:
    """Return the positions of the FLAC streams in a file."""
    starts = {0}
    position, overlap = 0, len(_FLAC_STARTS[0]) - 1
    while True:
        file.seek(position)
        data = file.read(_SEARCH_BYTES)
        for magic in _FLAC_STARTS:
            place = data.find(magic)
            while place >= 0:
                starts.add(position + place)
                place = data.find(magic, place + 1)
        if len(data) < _SEARCH_BYTES:
            return sorted(starts)
        position += _SEARCH_BYTES - overlap
