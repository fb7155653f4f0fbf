"""Recordings in every format that soundfile and PyAV write."""

import io
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

Encode = Callable[..., bytes]


class Pipe:
    """A file that cannot seek, so that FFmpeg writes the headers of a stream."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def encode_sound(
    samples: npt.NDArray[Any],
    rate_hz: int,
    kind: str,
    codec: str,
    *,
    piped: bool = False,
    quality: int | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """Return samples ``(samples,)`` or ``(samples, 2)`` in a format of FFmpeg, or of libsndfile.

    Formats of libsndfile have upper-case names. A quality asks for a variable bit rate.
    """
    buffer = io.BytesIO()
    if kind.isupper():
        sf.write(buffer, samples, rate_hz, format=kind, subtype=codec)
        return buffer.getvalue()
    pipe = Pipe()
    layout = "mono" if samples.ndim == 1 else "stereo"
    with av.open(pipe if piped else buffer, "w", format=kind, options=options or {}) as opened:
        stream = opened.add_stream(codec, rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream)
        context = stream.codec_context
        if codec.startswith("wma"):
            stream.bit_rate = 48_000
        if quality is not None:
            context.qscale = True
            context.global_quality = quality * 118
        packed = (samples * 32_767).astype(np.int16).reshape(1, -1)  # (1, samples * channels)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(
            format=context.format,
            layout=layout,
            rate=rate_hz,
            frame_size=context.frame_size or None,
        )
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            opened.mux(stream.encode(piece))
        opened.mux(stream.encode(None))
    return pipe.data if piped else buffer.getvalue()


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Return ``encode_sound``."""
    return encode_sound


@pytest.fixture(scope="session")
def voice() -> Callable[[int, float], npt.NDArray[np.float64]]:
    """Return a function that makes a voice-like sound: a harmonic tone in syllables, and breath."""

    def make(rate_hz: int, duration_s: float) -> npt.NDArray[np.float64]:
        time_s = np.arange(round(rate_hz * duration_s)) / rate_hz
        tone = sum(np.sin(2 * np.pi * 150 * n * time_s) / n for n in range(1, 6))
        noise = np.random.default_rng(1).standard_normal(len(time_s))
        syllables = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * time_s)
        return np.asarray(0.2 * tone * syllables + 0.03 * noise)

    return make
