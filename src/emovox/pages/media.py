"""A recording as it stands in a page: a small player and a small picture of its spectrum."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import soundfile as sf
from PIL import Image
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from emovox.audio.load import Waveform, load_audio

PAGE_RATE_HZ = 24_000
"""Rate of the embedded recordings; a multiple of 12 kHz keeps the spectrum's grid in whole Hz."""

TOP_FREQUENCY_HZ = 8_000
TOP_DB = 80.0
"""Range of the spectrogram's colours below its loudest point."""

_WINDOW_SAMPLES = 768  # 32 ms: harmonics of a voice can just be told apart
_IMAGE_SIZE = (360, 120)
_COLOURS = 64  # few enough for a small PNG, more than an eye tells apart here
_PEAK = 0.9


@dataclass(frozen=True, slots=True)
class ClipMedia:
    """A recording ready to be embedded.

    Attributes:
        audio_uri: ``data:`` URI of an MP3, mono, 24 kHz, as loud as its format allows.
        spectrogram_uri: ``data:`` URI of a PNG, 0 to 8 kHz, the lowest frequency below.
        duration_s: Length in seconds.
    """

    audio_uri: str
    spectrogram_uri: str
    duration_s: float


def make_clip_media(path: Path) -> ClipMedia:
    """Make the player and the picture of one recording.

    Args:
        path: The recording, in any format that :func:`emovox.audio.load.load_audio` reads.

    Returns:
        Both as ``data:`` URIs; the same recording gives the same bytes.

    Raises:
        AudioError: The recording cannot be read.

    Example:
        >>> make_clip_media(Path("clip.wav")).duration_s  # doctest: +SKIP
        3.3
    """
    waveform = load_audio(path, PAGE_RATE_HZ)
    return ClipMedia(
        audio_uri=to_data_uri("audio/mpeg", encode_audio(waveform)),
        spectrogram_uri=to_data_uri("image/png", draw_spectrogram(waveform)),
        duration_s=waveform.duration_s,
    )


def encode_audio(waveform: Waveform) -> bytes:
    """Encode a waveform as a small MP3, which every browser plays.

    Args:
        waveform: Mono samples at 24 kHz.

    Returns:
        The file's bytes: about 5 kB a second of speech.
    """
    # Acted whispers and shouts differ by 40 dB; a listener should not have to reach for the knob.
    peak = max(float(np.abs(waveform.samples).max()), 1e-4)
    file = io.BytesIO()
    # libsndfile writes a random serial number into each Ogg stream, but none into an MP3.
    sf.write(
        file,
        waveform.samples * (_PEAK / peak),
        waveform.rate_hz,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=0.5,
    )
    return file.getvalue()


def draw_spectrogram(waveform: Waveform) -> bytes:
    """Draw the spectrum over time as a small PNG.

    Args:
        waveform: Mono samples at 24 kHz.

    Returns:
        The PNG's bytes, 360x120 pixels: 0 to 8 kHz upwards, 80 dB from dark to bright.
    """
    decibels = _to_decibels(waveform)
    levels = (decibels - decibels.max() + TOP_DB).clip(0) / TOP_DB * (_COLOURS - 1)
    image = Image.fromarray(levels.astype(np.float32)).resize(
        _IMAGE_SIZE, Image.Resampling.BILINEAR
    )
    indices = np.asarray(image).round().clip(0, _COLOURS - 1).astype(np.uint8)
    palette = (mpl.colormaps["magma"](np.linspace(0, 1, _COLOURS))[:, :3] * 255).astype(np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette(palette.tobytes())
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _to_decibels(waveform: Waveform) -> npt.NDArray[np.float64]:
    """Return the power in dB, ``(bins, frames)``, the highest frequency first."""
    samples = waveform.samples.astype(np.float64)
    # A clip shorter than a window is shown as the silence around it shows it.
    samples = np.pad(samples, (0, max(0, _WINDOW_SAMPLES - samples.size)))
    hop = max(1, samples.size // _IMAGE_SIZE[0])
    transform = ShortTimeFFT(hann(_WINDOW_SAMPLES, sym=False), hop=hop, fs=waveform.rate_hz)
    power = transform.spectrogram(samples)
    power = power[transform.f <= TOP_FREQUENCY_HZ][::-1]
    decibels: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-12))
    return decibels


def to_data_uri(media_type: str, content: bytes) -> str:
    """Return a file's content as a ``data:`` URI, which a page holds itself."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
