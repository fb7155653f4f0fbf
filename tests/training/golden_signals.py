"""Signals for the golden features: made from numpy with a seed, so no recording is committed."""

import numpy as np
from numpy.typing import NDArray

GOLDEN_RATE_HZ = 48_000


def make_golden_signals() -> dict[str, NDArray[np.float32]]:
    """Return three signals at 48 kHz by name, each float32 of shape ``(samples,)`` in [-1, 1].

    ``chirp`` has fewer frames than the 64 columns of a feature (0.4 s: 38), ``bursts`` (2.5 s) has
    sharp edges and digital silence, ``voiced`` (4 s) is a harmonic tone in noise that pauses.
    """
    rng = np.random.default_rng(20_180_516)
    signals = {"chirp": make_chirp(), "bursts": make_bursts(rng), "voiced": make_voiced(rng)}
    return {name: signal.astype(np.float32) for name, signal in signals.items()}


def make_chirp() -> NDArray[np.float64]:
    """Sweep from 200 Hz to 12 kHz in 0.4 s, at half scale."""
    time_s = np.arange(int(0.4 * GOLDEN_RATE_HZ)) / GOLDEN_RATE_HZ
    slope_hz_per_s = (12_000 - 200) / 0.4
    return np.asarray(0.5 * np.sin(2 * np.pi * (200 + slope_hz_per_s / 2 * time_s) * time_s))


def make_bursts(rng: np.random.Generator) -> NDArray[np.float64]:
    """Five 0.2 s bursts of white noise from -60 to -20 dB, 0.3 s of digital silence after each."""
    signal = np.zeros(int(2.5 * GOLDEN_RATE_HZ))
    burst_samples = int(0.2 * GOLDEN_RATE_HZ)
    for index, level_db in enumerate((-60, -50, -40, -30, -20)):
        start = int(0.5 * index * GOLDEN_RATE_HZ)
        # Uniform, not normal: its stream does not depend on the platform's exp and log.
        noise = rng.uniform(-1.0, 1.0, burst_samples)
        signal[start : start + burst_samples] = 10 ** (level_db / 20) * noise
    return signal


def make_voiced(rng: np.random.Generator) -> NDArray[np.float64]:
    """Twelve harmonics on a gliding 140 Hz with 4 Hz syllables, 0.8 s silent, noise at -70 dB."""
    time_s = np.arange(int(4.0 * GOLDEN_RATE_HZ)) / GOLDEN_RATE_HZ
    cycles = 140 * time_s + 10 * np.sin(2 * np.pi * 0.5 * time_s) / np.pi
    tone = sum(np.sin(2 * np.pi * order * cycles) / order for order in range(1, 13))
    syllables = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * time_s)
    speaking = (time_s < 1.6) | (time_s >= 2.4)
    noise = rng.uniform(-1.0, 1.0, len(time_s))
    return np.asarray(0.3 * tone * syllables * speaking + 10 ** (-70 / 20) * noise)
