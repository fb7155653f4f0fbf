"""Tones, and white and coloured noise, to mix into speech."""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfftfreq

from emovox.perturbations.levels import Samples, mix_noise


def add_tone(samples: Samples, rate_hz: int, *, frequency_hz: float, peak_snr_db: float) -> Samples:
    """Add a sine tone.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        frequency_hz: Frequency of the sine, below half the sampling rate.
        peak_snr_db: Peak of the samples above the peak of the sine, in decibels.

    Returns:
        Float32 ``(samples,)``.

    Raises:
        ValueError: The frequency is not between 0 and half the sampling rate.

    Examples:
        >>> silence = np.zeros(16_000, np.float32)
        >>> float(add_tone(silence, 16_000, frequency_hz=6_000, peak_snr_db=40).max())
        0.0
    """
    if not 0 < frequency_hz < rate_hz / 2:
        raise ValueError(
            f"found a tone of {frequency_hz} Hz at {rate_hz} Hz; expected it between 0 and half "
            "the rate: resample first"
        )
    amplitude = float(np.abs(samples).max()) / 10 ** (peak_snr_db / 20)
    phase = 2 * np.pi * frequency_hz / rate_hz * np.arange(len(samples))
    tone: Samples = (amplitude * np.sin(phase)).astype(np.float32)
    return samples + tone


def add_white_noise(samples: Samples, generator: np.random.Generator, *, snr_db: float) -> Samples:
    """Add Gaussian white noise without changing the level of the speech.

    Args:
        samples: Float32 ``(samples,)``.
        generator: Source of randomness.
        snr_db: Root mean square of the samples above that of the noise, in decibels.

    Returns:
        Float32 ``(samples,)``.

    Examples:
        >>> add_white_noise(np.ones(4, np.float32), np.random.default_rng(0), snr_db=20).shape
        (4,)
    """
    noise = make_white_noise(len(samples), generator)
    return mix_noise(samples, noise, snr_db, hold_level=False)


def make_white_noise(n_samples: int, generator: np.random.Generator) -> Samples:
    """Return Gaussian white noise, float32 ``(n_samples,)``, with a root mean square of about 1."""
    return generator.standard_normal(n_samples, dtype=np.float32)


def make_coloured_noise(
    n_samples: int,
    rate_hz: int,
    generator: np.random.Generator,
    *,
    slope_db: float,
    low_hz: float = 20.0,
    high_hz: float = np.inf,
) -> Samples:
    """Make Gaussian noise with a constant spectral slope per octave.

    Args:
        n_samples: Number of samples.
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness.
        slope_db: Slope in dB per octave: 0 is white, -3 pink, -6 brown.
        low_hz: Lowest frequency.
        high_hz: Highest frequency.

    Returns:
        Float32 ``(n_samples,)`` with a peak of 1.

    Examples:
        >>> noise = make_coloured_noise(800, 16_000, np.random.default_rng(0), slope_db=-3)
        >>> float(abs(noise).max())
        1.0
    """
    size = next_fast_len(max(n_samples, 2), real=True)
    frequencies_hz = rfftfreq(size, 1 / rate_hz)
    shape = np.zeros(len(frequencies_hz), np.float32)
    in_band = (frequencies_hz >= max(low_hz, rate_hz / size)) & (frequencies_hz <= high_hz)
    shape[in_band] = (frequencies_hz[in_band] / rate_hz) ** (slope_db / (20 * np.log10(2)))
    parts = generator.standard_normal((2, len(shape)), dtype=np.float32) * shape
    noise = irfft(parts[0] + 1j * parts[1], size)[:n_samples]
    return scale_to_peak(noise.astype(np.float32))


def scale_to_peak(samples: Samples) -> Samples:
    """Scale the peak to 1; silence stays silent."""
    peak = float(np.abs(samples).max(initial=0))
    return samples / np.float32(peak) if peak > 0 else samples
