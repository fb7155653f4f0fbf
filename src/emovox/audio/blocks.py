"""Blocks of decoded samples, which keep memory independent of a recording's length."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emovox.audio.limits import check_duration, check_header, refuse_empty
from emovox.errors import AudioError

BLOCK_VALUES = 2**20
"""Samples times channels of one block: 4 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive decoded samples.

    Attributes:
        samples: float32 ``(samples, channels)``, full scale at 1, not yet checked.
        rate_hz: Sampling rate in Hz.
    """

    samples: npt.NDArray[np.float32]
    rate_hz: int


def check_blocks(blocks: Iterable[Block], max_duration_s: float) -> Iterator[Block]:
    """Yield blocks that share a rate and a number of channels, up to the maximum duration.

    Raises:
        AudioError: A limit is exceeded, the format changes midway, or there are no samples.
    """
    first: Block | None = None
    held = 0
    for block in blocks:
        first = first or block
        channels = block.samples.shape[1]
        check_header(block.rate_hz, channels)
        if block.rate_hz != first.rate_hz:
            raise AudioError(
                f"changes its rate from {first.rate_hz} to {block.rate_hz} Hz midway, expected "
                "one; convert it",
                code="audio.bad_rate",
            )
        if channels != first.samples.shape[1]:
            raise AudioError(
                f"changes from {first.samples.shape[1]} to {channels} channels midway, expected "
                "one number; convert it",
                code="audio.bad_channels",
            )
        held += len(block.samples)
        check_duration(held / block.rate_hz, max_duration_s, so_far=True)
        if len(block.samples):
            yield block
    if held == 0:
        refuse_empty()
