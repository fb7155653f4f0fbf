"""Synthesised environmental sounds: wind, a machine, rain, steps and beeps."""

import numpy as np

from emovox.perturbations.levels import Samples, filter_resonance
from emovox.perturbations.noises import make_coloured_noise, make_white_noise, scale_to_peak


def make_environment(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Synthesise an environmental sound: wind, a humming machine, rain, steps or beeps.

    These replace the technical and ambient noises of MUSAN, which ser-tests uses.

    Args:
        n_samples: Number of samples.
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness, also for the choice among the five.

    Returns:
        Float32 ``(n_samples,)`` with a peak of 1.

    Examples:
        >>> make_environment(8_000, 16_000, np.random.default_rng(0)).shape
        (8000,)
    """
    makers = (make_wind, make_hum, make_rain, make_steps, make_beeps)
    return makers[int(generator.integers(len(makers)))](n_samples, rate_hz, generator)


def make_wind(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Return brown noise in gusts, float32 ``(n_samples,)`` with a peak of 1."""
    wind = make_coloured_noise(n_samples, rate_hz, generator, slope_db=-6, low_hz=40)
    n_gusts = max(2, round(2 * n_samples / rate_hz))
    gusts = np.interp(
        np.arange(n_samples), np.linspace(0, n_samples, n_gusts), generator.uniform(0.1, 1, n_gusts)
    )
    return scale_to_peak(wind * gusts.astype(np.float32))


def make_hum(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Return a machine: harmonics over pink noise, float32 ``(n_samples,)`` with a peak of 1."""
    base_hz = generator.uniform(45, 130)
    turn = np.exp(2j * np.pi * base_hz / rate_hz * np.arange(n_samples))
    hum, rotation = np.zeros(n_samples), np.ones(n_samples, complex)
    for harmonic in range(1, 13):
        # Multiplication is ten times as fast as a sine per harmonic.
        rotation *= turn
        level = generator.uniform(0.3, 1) / harmonic
        hum += (level * np.exp(2j * np.pi * generator.random()) * rotation).imag
    floor = make_coloured_noise(n_samples, rate_hz, generator, slope_db=-3)
    return scale_to_peak((hum + floor).astype(np.float32))


def make_rain(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Return drops over a hiss, float32 ``(n_samples,)`` with a peak of 1."""
    hiss = make_coloured_noise(n_samples, rate_hz, generator, slope_db=-1, low_hz=500)
    drops = generator.random(n_samples) < 60 / rate_hz
    heights = np.where(drops, generator.exponential(1.0, n_samples), 0.0)
    splashes = filter_resonance(heights, rate_hz, 2_500, bandwidth_hz=900)
    splashes /= max(np.abs(splashes).max(), 1e-9)
    return scale_to_peak((0.5 * hiss + 0.5 * splashes).astype(np.float32))


def make_steps(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Return footsteps over a room's murmur, float32 ``(n_samples,)`` with a peak of 1."""
    floor = make_coloured_noise(n_samples, rate_hz, generator, slope_db=-6)
    gap = round(rate_hz * generator.uniform(0.35, 0.7))
    thuds = np.zeros(n_samples)
    for start in range(int(generator.integers(gap)), n_samples, gap):
        thuds[start] = generator.uniform(0.5, 1)
    thuds = filter_resonance(thuds, rate_hz, generator.uniform(90, 250), bandwidth_hz=30)
    clicks = make_white_noise(n_samples, generator) * np.abs(thuds)
    thuds = thuds / max(np.abs(thuds).max(), 1e-9) + clicks / max(np.abs(clicks).max(), 1e-9)
    return scale_to_peak((thuds + 0.3 * floor).astype(np.float32))


def make_beeps(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Return beeping pairs of tones, float32 ``(n_samples,)`` with a peak of 1."""
    time_s = np.arange(n_samples) / rate_hz
    low_hz, high_hz = generator.uniform(350, 1_000), generator.uniform(1_000, 1_700)
    on_s = generator.uniform(0.1, 0.4)
    tones = np.sin(2 * np.pi * low_hz * time_s) + np.sin(2 * np.pi * high_hz * time_s)
    beeps = tones * ((time_s + generator.uniform(0, on_s)) % (2 * on_s) < on_s)
    floor = make_coloured_noise(n_samples, rate_hz, generator, slope_db=-3)
    return scale_to_peak((beeps + 0.1 * floor).astype(np.float32))
