"""Timing: zeros before and after, a cropped beginning or end, parts, changed speed."""

import numpy as np
import soxr

from emovox.errors import AudioError
from emovox.perturbations.levels import Samples


def append_zeros(samples: Samples, n_samples: int) -> Samples:
    """Append digital silence to a recording.

    Args:
        samples: Float32 ``(samples,)``.
        n_samples: Number of zeros.

    Returns:
        Float32 ``(samples + n_samples,)``.

    Examples:
        >>> append_zeros(np.float32([0.5]), 2)
        array([0.5, 0. , 0. ], dtype=float32)
    """
    return np.concatenate([samples, np.zeros(n_samples, np.float32)])


def prepend_zeros(samples: Samples, n_samples: int) -> Samples:
    """Prepend digital silence to a recording.

    Args:
        samples: Float32 ``(samples,)``.
        n_samples: Number of zeros.

    Returns:
        Float32 ``(n_samples + samples,)``.

    Examples:
        >>> prepend_zeros(np.float32([0.5]), 2)
        array([0. , 0. , 0.5], dtype=float32)
    """
    return np.concatenate([np.zeros(n_samples, np.float32), samples])


def crop_beginning(samples: Samples, n_samples: int) -> Samples:
    """Remove the first samples.

    Args:
        samples: Float32 ``(samples,)``.
        n_samples: Number of samples to remove.

    Returns:
        Float32 ``(samples - n_samples,)``.

    Raises:
        AudioError: Nothing would be left.

    Examples:
        >>> crop_beginning(np.float32([0.1, 0.2, 0.3]), 2)
        array([0.3], dtype=float32)
    """
    _check_crop(samples, n_samples)
    return samples[n_samples:]


def crop_end(samples: Samples, n_samples: int) -> Samples:
    """Remove the last samples.

    Args:
        samples: Float32 ``(samples,)``.
        n_samples: Number of samples to remove.

    Returns:
        Float32 ``(samples - n_samples,)``.

    Raises:
        AudioError: Nothing would be left.

    Examples:
        >>> crop_end(np.float32([0.1, 0.2, 0.3]), 2)
        array([0.1], dtype=float32)
    """
    _check_crop(samples, n_samples)
    return samples[: len(samples) - n_samples]


def cut_loudest(samples: Samples, n_samples: int) -> Samples:
    """Cut out the part of a recording with the most energy.

    Args:
        samples: Float32 ``(samples,)``.
        n_samples: Length of the part.

    Returns:
        Float32 ``(n_samples,)``; a recording that is no longer than that is returned unchanged.

    Examples:
        >>> cut_loudest(np.float32([0.1, 0.5, 0.4, 0.1]), 2)
        array([0.5, 0.4], dtype=float32)
    """
    if len(samples) <= n_samples:
        return samples
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    start = int((energy[n_samples:] - energy[:-n_samples]).argmax())
    return samples[start : start + n_samples]


def _check_crop(samples: Samples, n_samples: int) -> None:
    """Refuse to crop an entire recording."""
    if not 0 <= n_samples < len(samples):
        raise AudioError(
            f"holds {len(samples):,} samples, of which {n_samples:,} cannot be cropped; expected "
            "a longer recording: leave it out",
            code="audio.too_short",
        )


def change_speed(samples: Samples, rate_hz: int, speed: float) -> Samples:
    """Play a recording faster or slower, which also changes its pitch, as on tape.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        speed: Speed factor; 1.1 is a tenth faster and 1.65 semitones higher.

    Returns:
        Float32 of about ``samples / speed``, at the same rate.

    Examples:
        >>> len(change_speed(np.zeros(11_000, np.float32), 16_000, 1.1))
        10000
    """
    faster: Samples = soxr.resample(samples, rate_hz * speed, rate_hz, "HQ")
    return faster
