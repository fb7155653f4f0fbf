"""Decode a file block by block: choose the decoder by content, and decode what is joined.

container, start -> parts of the file -> libsndfile, otherwise FFmpeg -> blocks
"""

from collections.abc import Iterator
from typing import BinaryIO, cast

from emovox.audio.blocks import Block
from emovox.audio.chunks import check_held_bytes
from emovox.audio.containers import SOUNDFILE_FORMATS, find_container, refuse_unknown
from emovox.audio.ffmpeg_decoder import decode_with_ffmpeg, find_default_tracks
from emovox.audio.joined import SIZED_FORMATS, find_joined_parts
from emovox.audio.matroska import check_elements
from emovox.audio.mpeg import find_mpeg_parts
from emovox.audio.ogg import find_ogg_links
from emovox.audio.raw import RawFormat, open_raw
from emovox.audio.soundfile_decoder import decode_with_soundfile, read_blocks
from emovox.audio.sources import Section
from emovox.audio.units import UNIT_FORMATS, find_nut_parts, find_transport_parts, find_unit_parts
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
        self._by_soundfile = self._kind in SOUNDFILE_FORMATS
        if not self._by_soundfile and raw is None:
            try:
                self.default_tracks = find_default_tracks(self._cut(self._start), self._kind)
            except AudioError:
                # FFmpeg refuses what libsndfile writes if the last packet is full.
                self._by_soundfile = self._kind == "caf"  # codespell:ignore caf
                if not self._by_soundfile:
                    raise

    def decode(self, track: int = 1) -> Iterator[Block]:
        """Yield the blocks of a track, the first of which has number 1.

        Raises:
            AudioError: The recording is damaged, cut short, empty or too long.
        """
        if self._raw is not None:
            yield from read_blocks(open_raw(self._cut(0), self._raw), None, self._max_duration_s)
        else:
            for part in self._find_parts():
                yield from self._decode_part(part, track)

    def _decode_part(self, part: BinaryIO, track: int) -> Iterator[Block]:
        """Return the blocks of one recording, by libsndfile if it can tell the length."""
        # libsndfile guesses the length of an MP3 of variable rate from its first frame.
        if self._by_soundfile and self._kind != "mpeg":
            blocks = decode_with_soundfile(part, self._max_duration_s)
            if blocks is not None:
                return blocks
        check_held_bytes(part)
        return decode_with_ffmpeg(part, self._kind, self._max_duration_s, track)

    def _find_parts(self) -> Iterator[BinaryIO]:
        """Yield each recording that is joined in the file.

        Decoders stop after the first one, or stumble over the next.
        """
        for start, end in _find_parts(self._cut(self._start), self._kind):
            yield self._cut(self._start + start, self._start + end)

    def _cut(self, start: int, end: int | None = None) -> BinaryIO:
        """Return a part of the file."""
        return cast(BinaryIO, Section(self._file, start, self._size if end is None else end))


def _find_parts(file: BinaryIO, kind: str) -> list[tuple[int, int]]:
    """Return start and end of each recording in a file, and raise AudioError if parts are lost."""
    if kind in SIZED_FORMATS:
        return find_joined_parts(file, kind)
    if kind in UNIT_FORMATS:
        return find_unit_parts(file, kind)
    if kind == "matroska":
        check_elements(file)
    return _FINDERS.get(kind, _find_whole)(file)


def _find_whole(file: BinaryIO) -> list[tuple[int, int]]:
    """Return start and end of a file that holds one recording."""
    return [(0, file.seek(0, 2))]


def _find_flac_streams(file: BinaryIO) -> list[tuple[int, int]]:
    """Return start and end of each FLAC stream in a file."""
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
            ends = [*sorted(starts)[1:], position + len(data)]
            return list(zip(sorted(starts), ends, strict=True))
        position += _SEARCH_BYTES - overlap


_FINDERS = {
    "ogg": find_ogg_links,
    "mpeg": find_mpeg_parts,
    "flac": _find_flac_streams,
    "mpegts": find_transport_parts,
    "nut": find_nut_parts,
}
