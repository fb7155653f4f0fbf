"""The one waveform type, and its resampling."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

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
        _refuse_short(len(samples), found_rate_hz, rate_hz)
    return resampled


class BlockResampler:
    """Resamples mono samples that arrive in blocks, with the result of ``resample`` on all of them.

    Args:
        found_rate_hz: Sampling rate of the blocks in Hz.
        rate_hz: Sampling rate of the result in Hz.

    Examples:
        >>> resampler = BlockResampler(48_000, 16_000)
        >>> len(resampler.push(np.zeros(480, np.float32))) + len(resampler.finish())
        160
    """

    def __init__(self, found_rate_hz: int, rate_hz: int) -> None:
        self._stream = None
        if found_rate_hz != rate_hz:
            import soxr

            self._stream = soxr.ResampleStream(
                found_rate_hz, rate_hz, 1, dtype="float32", quality="HQ"
            )

    def push(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what a block ``(samples,)`` makes certain, float32 ``(samples,)``; maybe none."""
        if self._stream is None:
            return block
        resampled: npt.NDArray[np.float32] = self._stream.resample_chunk(np.ascontiguousarray(block))
        return resampled

    def finish(self) -> npt.NDArray[np.float32]:
        """Return the rest, float32 ``(samples,)``."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest: npt.NDArray[np.float32] = self._stream.resample_chunk(
            np.zeros(0, np.float32), last=True
        )
        return rest


def resample_blocks(
    blocks: Iterable[npt.NDArray[np.float32]], found_rate_hz: int, rate_hz: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Resample mono samples block by block, with the result of ``resample`` on all of them.

    Args:
        blocks: float32 ``(samples,)`` each.
        found_rate_hz: Sampling rate of the blocks in Hz.
        rate_hz: Sampling rate of the result in Hz.

    Yields:
        float32 ``(samples,)``, at least one sample; the same blocks if the rates are equal.

    Raises:
        AudioError: There are too few samples to produce one at the new rate.

    Examples:
        >>> blocks = [np.zeros(200, np.float32), np.zeros(280, np.float32)]
        >>> sum(map(len, resample_blocks(blocks, 48_000, 16_000)))
        160
    """
    if found_rate_hz == rate_hz:
        yield from blocks
        return
    resampler = BlockResampler(found_rate_hz, rate_hz)
    n_in = n_out = 0
    for block in blocks:
        n_in += len(block)
        resampled = resampler.push(block)
        if len(resampled):
            n_out += len(resampled)
            yield resampled
    rest = resampler.finish()
    if n_out + len(rest) == 0:
        _refuse_short(n_in, found_rate_hz, rate_hz)
    if len(rest):
        yield rest


def join_blocks(blocks: Iterable[npt.NDArray[np.float32]], rate_hz: int) -> Waveform:
    """Join blocks to a waveform, without holding them twice."""
    joined = bytearray()
    for block in blocks:
        joined += block.data.cast("B")
    return Waveform(np.frombuffer(joined, np.float32), rate_hz)


def _refuse_short(n_samples: int, found_rate_hz: int, rate_hz: int) -> NoReturn:
    """Raise the error for samples of which none remains at the new rate."""
    raise AudioError(
        f"holds {n_samples} sample(s) at {found_rate_hz} Hz, too few to resample to "
        f"{rate_hz} Hz; record more",
        code="audio.too_short",
    )
