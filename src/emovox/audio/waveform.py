"""The one waveform type, and its resampling."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emovox.errors import AudioError


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Mono audio: finite float32 samples and their rate. Functions accept any rate.

    Attributes:
        samples: Shape ``(samples,)``, float32, contiguous, full scale at -1 and 1. Float or
            resampled sources may exceed it slightly; nothing is clipped.
        rate_hz: Sampling rate in Hz.
    """

    samples: npt.NDArray[np.float32]
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate_hz


def resample(
    samples: npt.NDArray[np.float32], found_rate_hz: int, rate_hz: int
) -> npt.NDArray[np.float32]:
    """Resample mono samples with soxr at quality "HQ".

    Args:
        samples: float32 ``(samples,)``.
        found_rate_hz: Sampling rate of ``samples`` in Hz.
        rate_hz: Sampling rate of the result in Hz.

    Returns:
        float32 ``(samples,)``; the same array if the rates are equal.

    Raises:
        AudioError: There are too few samples to produce one at the new rate.

    Examples:
        >>> len(resample(np.zeros(480, np.float32), 48_000, 16_000))
        160
    """
    if found_rate_hz == rate_hz:
        return samples
    import soxr  # imported only if needed, because it slows down a cold start

    resampled: npt.NDArray[np.float32] = soxr.resample(samples, found_rate_hz, rate_hz, "HQ")
    if len(resampled) == 0:
        raise AudioError(
            f"holds {len(samples)} sample(s) at {found_rate_hz} Hz, too few to resample to "
            f"{rate_hz} Hz; record more",
            code="audio.too_short",
        )
    return resampled
