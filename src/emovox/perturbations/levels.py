"""Levels and filters: gain, clipping, Butterworth filters, noise mixed in at a given SNR."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, lfilter

Samples = npt.NDArray[np.float32]


def measure_rms(samples: Samples) -> float:
    """Return the root mean square of samples ``(samples,)``, computed in double precision."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def apply_gain(samples: Samples, gain_db: float) -> Samples:
    """Change the level without clipping.

    Args:
        samples: Float32 ``(samples,)``.
        gain_db: Gain in decibels.

    Returns:
        Float32 ``(samples,)``.

    Examples:
        >>> apply_gain(np.float32([0.5, -0.25]), 20)
        array([ 5. , -2.5], dtype=float32)
    """
    return samples * np.float32(10 ** (gain_db / 20))


def clip_share(samples: Samples, share: float) -> Samples:
    """Clip the loudest samples, like a recorder with too high a gain.

    Args:
        samples: Float32 ``(samples,)``.
        share: Share of the samples to clip, in [0, 1), e.g. 0.003.

    Returns:
        Float32 ``(samples,)``; the loudest ``round(share * samples)`` are limited to the magnitude
        of the next loudest one.

    Examples:
        >>> clip_share(np.float32([0.1, -0.9, 0.5, 0.2]), 0.25)
        array([ 0.1, -0.5,  0.5,  0.2], dtype=float32)
    """
    magnitudes = np.abs(samples)
    kept = len(samples) - round(share * len(samples))
    limit = np.partition(magnitudes, kept - 1)[kept - 1]
    return np.clip(samples, -limit, limit)


def filter_highpass(samples: Samples, rate_hz: int, cutoff_hz: float, order: int = 1) -> Samples:
    """Apply a causal Butterworth high-pass filter.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        cutoff_hz: Frequency at which the gain is -3 dB.
        order: Filter order: 1 for 6 dB per octave, 2 for 12.

    Returns:
        Float32 ``(samples,)``.

    Examples:
        >>> filter_highpass(np.ones(48_000, np.float32), 16_000, 100.0)[-1].round(6) == 0
        np.True_
    """
    return _filter(samples, rate_hz, cutoff_hz, order, "highpass")


def filter_lowpass(samples: Samples, rate_hz: int, cutoff_hz: float, order: int = 1) -> Samples:
    """Apply a causal Butterworth low-pass filter.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        cutoff_hz: Frequency at which the gain is -3 dB, below half the sampling rate.
        order: Filter order: 1 for 6 dB per octave, 2 for 12.

    Returns:
        Float32 ``(samples,)``.

    Examples:
        >>> float(filter_lowpass(np.ones(48_000, np.float32), 16_000, 7_000.0)[-1].round(6))
        1.0
    """
    return _filter(samples, rate_hz, cutoff_hz, order, "lowpass")


def filter_resonance(
    samples: npt.NDArray[np.float64], rate_hz: int, frequency_hz: float, *, bandwidth_hz: float
) -> npt.NDArray[np.float64]:
    """Apply a resonance (a pair of poles), limited to frequencies that the rate can represent."""
    frequency_hz = min(frequency_hz, 0.45 * rate_hz)
    radius = np.exp(-np.pi * bandwidth_hz / rate_hz)
    poles = [1, -2 * radius * np.cos(2 * np.pi * frequency_hz / rate_hz), radius**2]
    return np.asarray(lfilter([1 - radius], poles, samples))


def _filter(
    samples: Samples,
    rate_hz: int,
    cutoff_hz: float,
    order: int,
    kind: Literal["highpass", "lowpass"],
) -> Samples:
    """Filter in double precision, since a cutoff of 50 Hz needs coefficients very close to 1."""
    if not 0 < cutoff_hz < rate_hz / 2:
        raise ValueError(
            f"found a cutoff of {cutoff_hz} Hz at {rate_hz} Hz; expected it between 0 and half "
            "the rate: resample first"
        )
    numerator, denominator = butter(order, cutoff_hz, kind, fs=rate_hz)
    return np.asarray(lfilter(numerator, denominator, samples), dtype=np.float32)


def mix_noise(
    samples: Samples, noise: Samples, snr_db: float, *, hold_level: bool = True
) -> Samples:
    """Mix noise into speech at a given signal-to-noise ratio.

    The ratio is that of the root mean squares over the entire recording, including pauses, as in
    ser-tests. If the level is held, the mix is as loud as the speech was, or softer if it would
    exceed full scale.

    Args:
        samples: The speech, float32 ``(samples,)``.
        noise: The noise, of the same shape.
        snr_db: Level of the speech above the noise, in decibels.
        hold_level: Whether to scale the mix to the level of the speech.

    Returns:
        Float32 ``(samples,)``; unchanged if the speech or the noise is silent.

    Raises:
        ValueError: The lengths differ.

    Examples:
        >>> speech, noise = np.float32([0.5, -0.5]), np.float32([0.5, 0.5])
        >>> mix_noise(speech, noise, 20, hold_level=False)
        array([ 0.55, -0.45], dtype=float32)
    """
    if samples.shape != noise.shape:
        raise ValueError(
            f"found {len(samples):,} samples and {len(noise):,} of noise; expected the same number"
        )
    speech_rms, noise_rms = measure_rms(samples), measure_rms(noise)
    if speech_rms == 0 or noise_rms == 0:
        return samples
    mixed = samples + noise * np.float32(speech_rms / noise_rms / 10 ** (snr_db / 20))
    return match_level(mixed, speech_rms) if hold_level else mixed


def match_level(samples: Samples, rms: float) -> Samples:
    """Scale samples to a root mean square, or to a peak of 1 if they would exceed it.

    Args:
        samples: Float32 ``(samples,)``.
        rms: The target root mean square.

    Returns:
        Float32 ``(samples,)``; silence stays silence.

    Examples:
        >>> match_level(np.float32([0.1, -0.1]), 0.5)
        array([ 0.5, -0.5], dtype=float32)
    """
    found, peak = measure_rms(samples), float(np.abs(samples).max())
    if found == 0:
        return samples
    return samples * np.float32(min(rms / found, 1 / peak))
