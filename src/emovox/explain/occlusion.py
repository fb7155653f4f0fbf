"""Split a recording into regions of time and frequency that can be removed one at a time.

    samples -> STFT -> signal above the clip's background -> bands -> multiplied by cell windows

A removed region is lowered to the clip's own background, never to digital silence. No recording
contains exact zeros: to a model with features in decibels, they would be the most salient event
of the clip, and the prediction would reflect the gap instead of the missing speech.
"""

import numpy as np
import numpy.typing as npt
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from emovox.audio.waveform import Waveform
from emovox.evaluation.metrics import FloatArray

TOP_FREQUENCY_HZ = 8_000.0
"""Speech has little energy above; if a model's rate is higher, the rest is one more band."""

BACKGROUND_SHARE = 0.1
"""The quietest tenth of a clip is used as its background."""

_WINDOW_S = 0.032  # harmonics of a voice can just be told apart
_TIME_FADE_S = 0.02
_BAND_FADE_MEL = 60.0


def split_signal(waveform: Waveform, band_edges_hz: FloatArray) -> FloatArray:
    """Split the signal above a clip's background into bands.

    The background at a frequency is the mean power of the quietest tenth of the frames. The signal
    above it keeps its phase and can be removed; steady hum or hiss is background and remains. The
    bands overlap smoothly and sum to the whole signal.

    Args:
        waveform: The clip, at any rate.
        band_edges_hz: Increasing frequencies in Hz, ``(bands + 1,)``, from 0 to half the rate.

    Returns:
        float64 ``(bands, samples)``; the clip minus all bands is its background.

    Examples:
        >>> silence = Waveform(np.zeros(800, np.float32), 8_000)
        >>> float(np.abs(split_signal(silence, make_band_edges(8_000, 4))).max())
        0.0
    """
    n_samples = len(waveform.samples)
    window_samples = max(8, round(_WINDOW_S * waveform.rate_hz))
    # A clip shorter than a window is padded with silence.
    samples = np.pad(waveform.samples.astype(np.float64), (0, max(0, window_samples - n_samples)))
    transform = ShortTimeFFT(
        hann(window_samples, sym=False), hop=max(1, window_samples // 4), fs=waveform.rate_hz
    )
    spectrum = transform.stft(samples)  # (bins, frames)
    magnitude = np.abs(spectrum)
    whole = slice(
        -transform.p_min + transform.lower_border_end[1],
        -transform.p_min + transform.upper_border_begin(len(samples))[1],
    )
    background = estimate_background(magnitude[:, whole] if magnitude[:, whole].size else magnitude)
    # Digital silence has nothing to remove.
    share = np.divide(background, magnitude, out=np.ones_like(magnitude), where=magnitude > 0)
    removable = spectrum * (1 - np.minimum(share, 1))
    weights = fade_between(hz_to_mel(transform.f), hz_to_mel(band_edges_hz), _BAND_FADE_MEL)
    bands: FloatArray = np.stack(
        [transform.istft(removable * w[:, np.newaxis], k1=len(samples)).real for w in weights]
    )
    return bands[:, :n_samples]


def estimate_background(magnitude: FloatArray) -> FloatArray:
    """Estimate the background level at each frequency.

    Args:
        magnitude: float64 ``(bins, frames)``.

    Returns:
        Root mean square over the quietest tenth of the frames, float64 ``(bins, 1)``.

    Examples:
        >>> estimate_background(np.array([[1.0, 5.0, 2.0]])).tolist()
        [[1.0]]
    """
    power = magnitude**2
    n_quiet = max(1, round(BACKGROUND_SHARE * power.shape[1]))
    quietest = np.argsort(power.sum(axis=0), kind="stable")[:n_quiet]
    level: FloatArray = np.sqrt(power[:, quietest].mean(axis=1, keepdims=True))
    return level


def make_time_windows(n_samples: int, rate_hz: int, edges_s: FloatArray) -> FloatArray:
    """Return a window with smooth edges for each stretch of time.

    Args:
        n_samples: Length of the clip in samples.
        rate_hz: Sampling rate in Hz.
        edges_s: Increasing times in seconds, ``(cells + 1,)``.

    Returns:
        float64 ``(cells, samples)`` in [0, 1]; they sum to 1 at every sample.

    Examples:
        >>> make_time_windows(4, 4, np.array([0.0, 0.5, 1.0])).round().tolist()
        [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
    """
    # Positions are between samples, to treat both sides of an edge alike.
    time_s = (np.arange(n_samples) + 0.5) / rate_hz
    return fade_between(time_s, edges_s, min(_TIME_FADE_S, float(np.diff(edges_s).min())))


def fade_between(positions: FloatArray, edges: FloatArray, fade: float) -> FloatArray:
    """Return weights of each cell, with smooth transitions between neighboring cells.

    Args:
        positions: Positions of the weights, ``(points,)``.
        edges: Increasing edges, ``(cells + 1,)``; the first and last cell are unbounded.
        fade: Length of the raised cosine around each inner edge, in the unit of the edges.

    Returns:
        float64 ``(cells, points)`` in [0, 1]; they sum to 1 at every point.

    Examples:
        >>> fade_between(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]), 0.5).tolist()
        [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]
    """
    distance = (positions - edges[1:-1, np.newaxis]) / fade  # (edges, points)
    passed = (1 + np.sin(np.pi * distance.clip(-0.5, 0.5))) / 2
    ones = np.ones((1, len(positions)))
    steps = np.concatenate([ones, passed, 0 * ones])  # (cells + 1, points)
    weights: FloatArray = steps[:-1] - steps[1:]
    return weights


def make_band_edges(rate_hz: int, n_bands: int) -> FloatArray:
    """Return frequencies equally spaced in mel up to 8 kHz, and half the rate if higher.

    Args:
        rate_hz: Sampling rate of the waveform in Hz.
        n_bands: Number of bands up to 8 kHz; frequencies above are one more band.

    Returns:
        float64 ``(n_bands + 1,)`` in Hz, with one more edge for rates above 16 kHz.

    Examples:
        >>> make_band_edges(16_000, 4).round().tolist()
        [0.0, 614.0, 1768.0, 3934.0, 8000.0]
    """
    top_hz = min(TOP_FREQUENCY_HZ, rate_hz / 2)
    edges = mel_to_hz(np.linspace(0.0, float(hz_to_mel(top_hz)), n_bands + 1))
    edges[-1] = top_hz
    return np.append(edges, rate_hz / 2) if rate_hz / 2 > top_hz else edges


def hz_to_mel(frequency_hz: npt.ArrayLike) -> FloatArray:
    """Convert a frequency to mel, by O'Shaughnessy's formula (1987, Speech Communication).

    Args:
        frequency_hz: Frequency in Hz, at least 0, any shape.

    Returns:
        float64, the same shape; about 1,000 at 1 kHz.

    Examples:
        >>> round(float(hz_to_mel(1_000)))
        1000
    """
    mel: FloatArray = 2595 * np.log10(1 + np.asarray(frequency_hz, dtype=np.float64) / 700)
    return mel


def mel_to_hz(mel: npt.ArrayLike) -> FloatArray:
    """Convert mel to a frequency in Hz: the inverse of ``hz_to_mel``."""
    hz: FloatArray = 700 * (10 ** (np.asarray(mel, dtype=np.float64) / 2595) - 1)
    return hz
