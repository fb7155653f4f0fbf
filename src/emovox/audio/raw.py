"""Samples without a header, such as dumps of telephone calls."""

from dataclasses import dataclass
from typing import BinaryIO

import soundfile as sf

from emovox.audio.limits import check_header
from emovox.errors import AudioError

ENCODINGS = {
    "s16le": ("PCM_16", "LITTLE"),
    "s16be": ("PCM_16", "BIG"),
    "s8": ("PCM_S8", "FILE"),
    "u8": ("PCM_U8", "FILE"),
    "s24le": ("PCM_24", "LITTLE"),
    "s24be": ("PCM_24", "BIG"),
    "s32le": ("PCM_32", "LITTLE"),
    "s32be": ("PCM_32", "BIG"),
    "f32le": ("FLOAT", "LITTLE"),
    "f32be": ("FLOAT", "BIG"),
    "f64le": ("DOUBLE", "LITTLE"),
    "f64be": ("DOUBLE", "BIG"),
    "mulaw": ("ULAW", "FILE"),
    "alaw": ("ALAW", "FILE"),
    "vox": ("VOX_ADPCM", "FILE"),
}
"""libsndfile's subtype and byte order of each encoding."""

_HEADERS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"fLaC", b"OggS", b"ID3", b"caff")


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Format of samples without a header.

    Attributes:
        rate_hz: Sampling rate in Hz.
        encoding: Sample format: ``s16le`` (16-bit integers, little-endian), the same with ``s8``,
            ``s24``, ``s32``, ``f32``, ``f64`` and ``be`` or ``le``, or ``u8``, ``mulaw``, ``alaw``
            (G.711) and ``vox`` (Dialogic ADPCM).
        channels: Number of interleaved channels.

    Raises:
        AudioError: A value is out of range.

    Examples:
        >>> RawFormat(8_000, "mulaw").channels
        1
    """

    rate_hz: int
    encoding: str = "s16le"
    channels: int = 1

    def __post_init__(self) -> None:
        check_header(self.rate_hz, self.channels)
        if self.encoding not in ENCODINGS:
            raise AudioError(
                f"the sample format is {self.encoding!r}; expected one of {', '.join(ENCODINGS)}",
                code="setting.invalid",
            )


def open_raw(file: BinaryIO, raw: RawFormat) -> sf.SoundFile:
    """Open samples without a header with libsndfile.

    Raises:
        AudioError: The file has a header after all.
    """
    file.seek(0)
    head = file.read(4)
    if head.startswith(_HEADERS):
        raise AudioError(
            f"begins with the header {head!r}, expected samples without one; leave out the raw "
            "format",
            code="audio.raw_header",
        )
    file.seek(0)
    subtype, endian = ENCODINGS[raw.encoding]
    return sf.SoundFile(
        file,
        samplerate=raw.rate_hz,
        channels=raw.channels,
        format="RAW",
        subtype=subtype,
        endian=endian,
    )
