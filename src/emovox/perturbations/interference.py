"""What lies below speech or bursts into it: offset, mains hum, rumble, clicks and taps."""

import numpy as np
import numpy.typing as npt

from emovox.perturbations.levels import Samples, filter_lowpass, mix_noise
from emovox.perturbations.noises import make_white_noise

SETTLING_S = 0.5
CLICK_S = 0.002
TAP_S = 0.1
TAP_HZ = 120.0
RUMBLE_HZ = 50.0


def add_offset(samples: Samples, offset: float) -> Samples:
    """Add a constant, as a sound card with a direct-current offset does.

    Args:
        samples: Float32 ``(samples,)``.
        offset: The constant; full scale is 1.

    Returns:
        Float32 ``(samples,)``, not clipped.

    Examples:
        >>> add_offset(np.float32([0.5, -0.5]), 0.25)
        array([ 0.75, -0.25], dtype=float32)
    """
    return samples + np.float32(offset)


def add_settling_offset(samples: Samples, rate_hz: int, offset: float) -> Samples:
    """Add an offset that dies away, as after a recorder is switched on.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        offset: The offset of the first sample; full scale is 1.

    Returns:
        Float32 ``(samples,)``, not clipped.
    """
    time_s = np.arange(len(samples)) / rate_hz
    return samples + (offset * np.exp(-time_s / SETTLING_S)).astype(np.float32)


def make_mains_hum(
    n_samples: int, rate_hz: int, generator: np.random.Generator, *, mains_hz: float
) -> Samples:
    """Make mains hum: the frequency and its odd and second harmonics, at random phases.

    Args:
        n_samples: Number of samples.
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness.
        mains_hz: 50 or 60.

    Returns:
        Float32 ``(n_samples,)`` with a root mean square of about 1.
    """
    turns = mains_hz / rate_hz * np.arange(n_samples)
    harmonics = [
        np.sin(2 * np.pi * (harmonic * turns + generator.random())) / harmonic
        for harmonic in (1, 2, 3, 5, 7)
    ]
    hum: Samples = np.sum(harmonics, axis=0).astype(np.float32)
    return hum


def make_rumble(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Make the rumble of traffic, handling or a turntable: noise below 50 Hz.

    Args:
        n_samples: Number of samples.
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness.

    Returns:
        Float32 ``(n_samples,)``.
    """
    return filter_lowpass(make_white_noise(n_samples, generator), rate_hz, RUMBLE_HZ, order=2)


def add_click(
    samples: Samples, rate_hz: int, generator: np.random.Generator, *, height: float
) -> Samples:
    """Add a click of 2 ms at a random place.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness.
        height: Peak of the click, relative to that of the recording.

    Returns:
        Float32 ``(samples,)``, not clipped.
    """
    n_click = round(CLICK_S * rate_hz)
    click = np.hanning(n_click) * generator.choice([-1, 1], n_click)
    return _add_at(samples, click, height, generator)


def add_tap(
    samples: Samples, rate_hz: int, generator: np.random.Generator, *, height: float
) -> Samples:
    """Add a tap on the microphone at a random place: a dull tone that dies away within 0.1 s.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness.
        height: Peak of the tap, relative to that of the recording.

    Returns:
        Float32 ``(samples,)``, not clipped.
    """
    time_s = np.arange(round(TAP_S * rate_hz)) / rate_hz
    tap = np.exp(-time_s / 0.01) * np.sin(2 * np.pi * TAP_HZ * time_s)
    return _add_at(samples, tap / np.abs(tap).max(), height, generator)


def add_interference(samples: Samples, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Add hum or rumble at a random level, clicks, or a tap, for augmented copies."""
    kind = generator.random()
    if kind < 0.3:
        mains_hz = 50.0 if generator.random() < 0.5 else 60.0
        hum = make_mains_hum(len(samples), rate_hz, generator, mains_hz=mains_hz)
        return mix_noise(samples, hum, generator.uniform(0, 25))
    if kind < 0.5:
        rumble = make_rumble(len(samples), rate_hz, generator)
        return mix_noise(samples, rumble, generator.uniform(-5, 15))
    add = add_click if kind < 0.75 else add_tap
    for _ in range(int(generator.integers(1, 4))):
        samples = add(samples, rate_hz, generator, height=10 ** generator.uniform(-0.5, 1))
    return samples


def _add_at(
    samples: Samples, sound: npt.NDArray[np.float64], height: float, generator: np.random.Generator
) -> Samples:
    """Add a short sound at a random place, its peak relative to the recording's."""
    n_sound = min(len(sound), len(samples))
    start = int(generator.integers(len(samples) - n_sound + 1))
    peak = float(np.abs(samples).max(initial=0))
    result = samples.copy()
    result[start : start + n_sound] += (height * peak * sound[:n_sound]).astype(np.float32)
    return result
