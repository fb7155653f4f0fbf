"""Rooms: synthesised impulse responses, and speech in them."""

import numpy as np
from scipy.signal import oaconvolve

from emovox.perturbations.levels import Samples, match_level, measure_rms

FIRST_REFLECTION_S = 0.002
"""Gap between the direct sound and the first reflection: a path about 70 cm longer."""


def make_impulse_response(
    rate_hz: int,
    generator: np.random.Generator,
    *,
    rt60_s: float,
    direct_to_reverberant_db: float = 0.0,
) -> Samples:
    """Synthesise a room: the direct sound, then noise that decays by 60 dB in the time asked.

    Exponentially decaying Gaussian noise is the classical model of late reverberation (Polack,
    1988; in Habets, 2007, Single- and Multi-Microphone Speech Dereverberation, section 2.4).

    Args:
        rate_hz: Samples per second.
        generator: Source of randomness.
        rt60_s: Reverberation time: a living room has about 0.4 s, a lecture hall 1 s.
        direct_to_reverberant_db: Energy of the direct sound over all reflections; lower is
            farther from the microphone.

    Returns:
        Float32 of ``rt60_s * rate_hz`` samples, the direct sound first, with value 1.

    Raises:
        ValueError: If the time is too short to hold a reflection.

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
    """Let speech sound in a room, at the level that it had.

    Args:
        samples: Float32 ``(samples,)``.
        impulse_response: Of the room, at the same rate, the direct sound first.

    Returns:
        Float32 ``(samples,)``: what rings on after the end is cut, and nothing is delayed.

    Examples:
        >>> add_reverberation(np.float32([1, 0, 0]), np.float32([1, 0.5])).round(3)
        array([0.894, 0.447, 0.   ], dtype=float32)
    """
    wet = oaconvolve(samples, impulse_response)[: len(samples)].astype(np.float32)
    return match_level(wet, measure_rms(samples))
