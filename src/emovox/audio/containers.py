"""Check the structure of audio files, and decode the containers that need FFmpeg."""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from emovox.errors import AudioError

if TYPE_CHECKING:
    import av
    import av.container

MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 384_000
MAX_CHANNELS = 32
TAIL_TOLERANCE_S = 0.05
"""Tolerated error of a header: two MP3 frames, or a writer that miscounts its own header."""

SOUNDFILE_MAGICS = tuple(b"RIFF RIFX RF64 riff FORM .snd fLaC OggS NIST ID3 \xff".split())
"""First bytes of the formats left to libsndfile: its rarer readers are not well tested."""

_MAX_OGG_PAGE_BYTES = 65_307
_MAX_CHUNKS = 1_000


@dataclass(frozen=True, slots=True)
class DataChunk:
    """The sample data chunk of a WAV or AIFF file.

    Attributes:
        declared_bytes: Size according to its header.
        held_bytes: Size of the part that the file contains.
        streamed: Whether the writer did not know the size, for example when writing to a pipe.
    """

    declared_bytes: int
    held_bytes: int
    streamed: bool


def check_header(rate_hz: int, channels: int) -> None:
    """Raise AudioError if the sampling rate or the number of channels is out of range."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"has a rate of {rate_hz} Hz, expected {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} Hz; "
            "correct the rate or convert the recording",
            code="audio.bad_rate",
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(
            f"has {channels} channels, expected 1 to {MAX_CHANNELS}; convert it to mono",
            code="audio.bad_channels",
        )


def check_duration(duration_s: float, max_duration_s: float, *, so_far: bool = False) -> None:
    """Raise AudioError if the duration, final or decoded ``so_far``, exceeds the limit."""
    if duration_s > max_duration_s:
        lasts = f"more than {max_duration_s:g} s" if so_far else f"{duration_s:.2f} s"
        raise AudioError(
            f"lasts {lasts}, expected at most {max_duration_s:g} s; cut it into pieces or raise "
            "the limit (emovox predict --max-duration, in Python max_duration_s)",
            code="audio.too_long",
        )


def mix_to_mono(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Average the channels of ``(samples, channels)``; return ``(samples,)`` unchanged."""
    if samples.ndim == 1:
        return samples
    # The caller reports infinite samples; suppress NumPy's warning.
    with np.errstate(over="ignore", invalid="ignore"):
        mono: npt.NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    return mono


def identify_container(head: bytes) -> str | None:
    """Return FFmpeg's name for the container that begins with ``head``, or None.

    FFmpeg must not guess: some of its formats are playlists that open other files and URLs.
    """
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
        return "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    if head[:4] == b"RIFF":
        return {b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    magics = {
        b"\x1a\x45\xdf\xa3": "matroska",
        b"OggS": "ogg",
        b"fLaC": "flac",
        b"FORM": "aiff",
        b"caff": "caf",  # codespell:ignore caf,caff
        b"#!AMR": "amr",
        b"\x30\x26\xb2\x75": "asf",
        b"\x0b\x77": "ac3",
        b"wvpk": "wv",
        b"TTA1": "tta",
        b"FLV\x01": "flv",
    }
    return next((name for magic, name in magics.items() if head.startswith(magic)), None)


def find_data_chunk(file: BinaryIO, head: bytes) -> DataChunk | None:
    """Return the sample data chunk of a WAV or AIFF file, or None."""
    if head[:4] not in (b"RIFF", b"RIFX", b"FORM"):
        return None
    size_format = "<I" if head[:4] == b"RIFF" else ">I"
    wanted = b"SSND" if head[:4] == b"FORM" else b"data"
    place = file.tell()
    try:
        file_bytes = file.seek(0, 2)
        position = 12
        for _ in range(_MAX_CHUNKS):
            file.seek(position)
            chunk = file.read(8)
            if len(chunk) < 8:
                return None
            size: int = struct.unpack(size_format, chunk[4:])[0]
            position += 8
            if chunk[:4] == wanted:
                form_bytes: int = struct.unpack(size_format, head[4:8])[0]
                return _make_data_chunk(size, file_bytes - position, form_bytes + 8, position)
            position += size + size % 2
        return None
    finally:
        file.seek(place)


def _make_data_chunk(size: int, left_bytes: int, form_bytes: int, start: int) -> DataChunk:
    """Return the data chunk, marked as streamed if its size is only a placeholder."""
    # When writing to a pipe, programs leave 0 or the largest number (FFmpeg: 2^32 - 1, SoX:
    # 2^31 - 2^12 minus the header). A size of 0 is genuine if the file size in the header is right.
    largest = size >= 2**32 - 256 or 2**31 - 2**13 <= size < 2**31
    unwritten = size == 0 and left_bytes > 0 and not start < form_bytes <= start + left_bytes + 1
    return DataChunk(size, min(size, left_bytes), streamed=largest or unwritten)


def check_last_ogg_page(file: BinaryIO, head: bytes) -> None:
    """Raise AudioError if an Ogg file ends mid-page; libsndfile would read it as shorter."""
    if not head.startswith(b"OggS"):
        return
    file_bytes = file.seek(0, 2)
    file.seek(max(0, file_bytes - _MAX_OGG_PAGE_BYTES))
    tail = file.read(_MAX_OGG_PAGE_BYTES)
    start = tail.rfind(b"OggS")
    if start < 0:
        return
    page = tail[start:]
    body = 27 + page[26] if len(page) > 26 else len(page) + 1
    if len(page) < body or len(page) < body + sum(page[27:body]):
        raise AudioError(
            f"is cut short: its {file_bytes} bytes end mid-page; copy or record it again",
            code="audio.truncated",
        )


def decode_container(
    file: BinaryIO, container: str, max_duration_s: float
) -> tuple[npt.NDArray[np.float32], int]:
    """Decode the first audio stream of a container with FFmpeg.

    Args:
        file: Seekable binary file, at its start.
        container: FFmpeg's name of the container, from ``identify_container``.
        max_duration_s: Maximum duration of a recording, in seconds.

    Returns:
        Mono samples, float32 ``(samples,)``, at least one, and the sampling rate in Hz.

    Raises:
        AudioError: The container is damaged, cut short, too long, or has no audio stream.
    """
    import av  # takes 30 ms and loads FFmpeg, which few files need

    try:
        with av.open(file, "r", format=container, metadata_errors="ignore") as opened:
            if not opened.streams.audio:
                raise AudioError(
                    f"has no audio stream (a {container} container, perhaps cut short), expected "
                    "one; export it with sound",
                    code="audio.no_stream",
                )
            return _decode_stream(opened, opened.streams.audio[0], max_duration_s)
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise AudioError(
            f"is damaged or cut short (a {container} container that FFmpeg cannot decode: "
            f"{getattr(error, 'strerror', None) or type(error).__name__}); copy or export it again",
            code="audio.damaged",
        ) from error


def _decode_stream(
    opened: "av.container.InputContainer", stream: "av.AudioStream", max_duration_s: float
) -> tuple[npt.NDArray[np.float32], int]:
    """Decode one stream to mono, checking its duration against the limit and the header."""
    import av

    promised_end_s = _find_promised_end(opened, stream)
    start_s = float((stream.start_time or 0) * (stream.time_base or 0))
    check_duration(promised_end_s - start_s, max_duration_s)
    # Packed, because PyAV miscounts the planes beyond eight channels and reads past them.
    to_packed = av.AudioResampler(format="flt")
    blocks: list[npt.NDArray[np.float32]] = []
    rate_hz, held, end_s = 0, 0, 0.0
    for frame in opened.decode(stream):
        rate_hz = rate_hz or frame.sample_rate
        check_header(rate_hz, frame.layout.nb_channels)
        if frame.sample_rate != rate_hz:
            raise AudioError(
                f"changes its rate from {rate_hz} to {frame.sample_rate} Hz midway, expected one; "
                "convert it",
                code="audio.bad_rate",
            )
        held += frame.samples
        # Decoders pad the last frame, so allow slightly more than the header check does.
        check_duration(held / rate_hz - TAIL_TOLERANCE_S, max_duration_s, so_far=True)
        end_s = max(held / rate_hz, (frame.time or 0.0) + frame.samples / rate_hz)
        for packed in to_packed.resample(frame):
            samples = np.asarray(packed.to_ndarray(), np.float32)
            blocks.append(mix_to_mono(samples.reshape(-1, packed.layout.nb_channels)))  # (n, c)
    if end_s < promised_end_s - TAIL_TOLERANCE_S:
        raise AudioError(
            f"is cut short: the header promises {promised_end_s:.2f} s, the file holds "
            f"{end_s:.2f} s; copy or export it again",
            code="audio.truncated",
        )
    if held == 0 or not blocks:
        raise AudioError("holds no samples, only a header; record it again", code="audio.empty")
    return np.concatenate(blocks), rate_hz


def _find_promised_end(opened: "av.container.InputContainer", stream: "av.AudioStream") -> float:
    """Return the end of the audio according to the header, in seconds; 0 if unknown."""
    kind = opened.format.name
    known = kind in ("mov", "caf", "wv", "tta")  # codespell:ignore caf
    if known and stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    # Matroska's duration includes video; other containers' durations are estimates.
    if kind == "matroska" and opened.duration is not None and len(opened.streams) == 1:
        return opened.duration / 1_000_000
    return 0.0
