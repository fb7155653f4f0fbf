"""Embed a recording in a page, as compressed audio and a small spectrogram."""

import base64
import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from emovox.audio.load import load_audio
from emovox.audio.waveform import Waveform

PAGE_RATE_HZ = 24_000
"""Rate of the embedded recordings; multiples of 12 kHz have frequency bins of whole Hz."""

TOP_FREQUENCY_HZ = 8_000
TOP_DB = 80.0
"""Dynamic range of the spectrogram's colours, below its loudest point."""

_WINDOW_SAMPLES = 720  # 30 ms: just resolves the harmonics of speech; a bin is 33 Hz
_WIDTH, _HEIGHT = 360, 120
# 64 colours of matplotlib's magma: few enough for a small PNG, more than the eye distinguishes.
_MAGMA = bytes.fromhex(
    "0000030101090303110605190a07220e0a2a120d33170f3c1c10462211502811592f1062350f6a3c0f71430f754a1079"
    "52127c58157e5e177f651a806b1c80711f817721817e24818426818a2881912a80972c7f9e2e7ea4307dab337cb1357a"
    "b93778c03a75c63c73cd3f70d3426dd9466ade4a67e44e64e85461ed595ff0605df3675bf66e5bf8755cf97d5dfb8460"
    "fc8e63fd9567fd9d6bfda470feac75feb37bfebb80fec286fec98dfdd193fdd89afddfa1fce6a8fceeb0fcf5b7fbfcbf"
)
_PEAK = 0.9


@dataclass(frozen=True, slots=True)
class ClipMedia:
    """A recording ready to be embedded.

    Attributes:
        audio_uri: ``data:`` URI of an MP3, mono, 24 kHz, normalized to its peak.
        spectrogram_uri: ``data:`` URI of a PNG, 0 to 8 kHz, the lowest frequency at the bottom.
        duration_s: Length in seconds.
    """

    audio_uri: str
    spectrogram_uri: str
    duration_s: float


def make_clip_media(path: Path) -> ClipMedia:
    """Make the audio and the spectrogram of one recording.

    Args:
        path: The recording, in any format that ``emovox.audio.load.load_audio`` reads.

    Returns:
        Both as ``data:`` URIs; the same recording gives the same bytes.

    Raises:
        AudioError: The recording cannot be read.

    Examples:
        >>> round(make_clip_media(Path("clip.opus")).duration_s, 1)
        3.2
    """
    waveform = load_audio(path, PAGE_RATE_HZ)
    return ClipMedia(
        audio_uri=to_data_uri("audio/mpeg", encode_audio(waveform)),
        spectrogram_uri=to_data_uri("image/png", draw_spectrogram(waveform)),
        duration_s=waveform.duration_s,
    )


def encode_audio(waveform: Waveform) -> bytes:
    """Encode a waveform as a small MP3 that every browser can play.

    Args:
        waveform: Mono samples at 24 kHz.

    Returns:
        The file's bytes, about 5 kB per second of speech.
    """
    return encode_blocks([waveform.samples], float(np.abs(waveform.samples).max()))


def encode_blocks(blocks: Iterable[npt.NDArray[np.float32]], peak: float) -> bytes:
    """Encode a recording that arrives in blocks as one MP3.

    Args:
        blocks: Mono samples at 24 kHz, float32 ``(samples,)`` each.
        peak: Largest magnitude of the recording, which is normalized.

    Returns:
        The file's bytes, about 5 kB per second of speech.
    """
    # Acted whispers and shouts differ by 40 dB; normalizing spares listeners the volume control.
    gain = np.float32(_PEAK / max(peak, 1e-4))
    file = io.BytesIO()
    # libsndfile writes a random serial number into each Ogg stream, but none into an MP3.
    with sf.SoundFile(
        file,
        "w",
        samplerate=PAGE_RATE_HZ,
        channels=1,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=0.5,
    ) as encoder:
        for block in blocks:
            encoder.write(block * gain)
    return file.getvalue()


def draw_spectrogram(waveform: Waveform) -> bytes:
    """Draw a spectrogram as a small PNG.

    Args:
        waveform: Mono samples at 24 kHz.

    Returns:
        The PNG's bytes, 360x120 pixels: 0 to 8 kHz from bottom to top, 80 dB from dark to bright.
    """
    samples = waveform.samples.astype(np.float64)
    # A clip shorter than a window is padded with silence.
    samples = np.pad(samples, (0, max(0, _WINDOW_SAMPLES - samples.size)))
    starts = np.linspace(0, samples.size - _WINDOW_SAMPLES, _WIDTH).astype(int)
    frames = samples[starts[:, np.newaxis] + np.arange(_WINDOW_SAMPLES)]  # (columns, window)
    spectrum = np.fft.rfft(frames * np.hanning(_WINDOW_SAMPLES))
    n_bins = TOP_FREQUENCY_HZ * _WINDOW_SAMPLES // waveform.rate_hz
    power = np.abs(spectrum[:, :n_bins]) ** 2
    power = power.reshape(_WIDTH, _HEIGHT, -1).mean(
        axis=2
    )  # (columns, rows), low frequencies first
    decibels = 10 * np.log10(np.maximum(power.T[::-1], 1e-12))
    n_colours = len(_MAGMA) // 3
    levels = (decibels - decibels.max() + TOP_DB).clip(0) / TOP_DB * (n_colours - 1)
    return encode_png(levels.round().astype(np.uint8), _MAGMA)


def encode_png(indices: npt.NDArray[np.uint8], palette: bytes) -> bytes:
    """Encode an image of palette indices as a PNG (https://www.w3.org/TR/png-3/).

    Args:
        indices: Colour indices, uint8 ``(rows, columns)``, the top row first.
        palette: Red, green and blue of each index in order, at most 256 colours.

    Returns:
        The file's bytes.
    """
    height, width = indices.shape
    # Width, height, 8 bits, palette colours, and the only compression, filter and row order.
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = np.pad(indices, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter, none
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def to_data_uri(media_type: str, content: bytes) -> str:
    """Return a file's content as a ``data:`` URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
