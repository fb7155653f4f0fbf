"""Rooms: synthesised impulse responses, and reverberant speech."""

import numpy as np
from scipy.signal import oaconvolve

from emovox.perturbations.levels import Samples, match_level, measure_rms

FIRST_REFLECTION_S = 0.002
"""Gap between direct sound and first reflection, whose path is about 70 cm longer."""


def make_impulse_response(
    rate_hz: int,
    generator: np.random.Generator,
    *,
    rt60_s: float,
    direct_to_reverberant_db: float = 0.0,
) -> Samples:
    """Synthesise a room's impulse response: direct sound, then noise that decays by 60 dB.

    Exponentially decaying Gaussian noise is the classical model of late reverberation (Polack,
    1988; in Habets, 2007, Single- and Multi-Microphone Speech Dereverberation, section 2.4).

    Args:
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness.
        rt60_s: Time for a decay of 60 dB: about 0.4 s in a living room, 1 s in a lecture hall.
        direct_to_reverberant_db: Energy of the direct sound relative to all reflections; lower
            means farther from the microphone.

    Returns:
        Float32 of ``rt60_s * rate_hz`` samples, the direct sound first, with value 1.

    Raises:
        ValueError: The reverberation time is too short for a reflection.

    Examples:
        >>> make_impulse_response(16_000, np.random.default_rng(0), rt60_s=0.5).shape
        (8000,)
    """
    n_samples, first = round(rt60_s * rate_hz), round(FIRST_REFLECTION_S * rate_hz)
    if n_samples <= first:
        raise ValueError(
            f"found a reverberation time of {rt60_s} s; expected more than {FIRST_REFLECTION_S} s"
        )
    response = generator.standard_normal(n_samples, dtype=np.float32)
    # 60 dB is a factor of 1000 in amplitude.
    response *= np.float32(1_000.0) ** (-np.arange(n_samples, dtype=np.float32) / n_samples)
    response[:first] = 0
    energy = float(np.sum(np.square(response, dtype=np.float64)))
    response *= np.float32(np.sqrt(10 ** (-direct_to_reverberant_db / 10) / energy))
    response[0] = 1
    return response


def add_reverberation(samples: Samples, impulse_response: Samples) -> Samples:
    """Add a room's reverberation to speech and keep its level.

    Args:
        samples: Float32 ``(samples,)``.
        impulse_response: The room's impulse response at the same rate, direct sound first.

    Returns:
        Float32 ``(samples,)`` without delay; the tail after the end is cut.

    Examples:
        >>> add_reverberation(np.float32([1, 0, 0]), np.float32([1, 0.5])).round(3)
        array([0.894, 0.447, 0.   ], dtype=float32)
    """
    wet = oaconvolve(samples, impulse_response)[: len(samples)].astype(np.float32)
    return match_level(wet, measure_rms(samples))
