"""Channels: what each one holds, and how they become one."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emovox.audio.blocks import Block
from emovox.audio.limits import SILENCE_PEAK
from emovox.errors import AudioError

MIX, EACH = "mix", "each"

OPPOSITE_CORRELATION = -0.5
"""Channels correlated at most this much are of opposite phase: their mean would cancel out."""

SAME_CORRELATION = 0.5
"""Channels correlated less than this differ: they are not one sound from two microphones."""

_NAMES = {"left": 1, "right": 2}


@dataclass(frozen=True, slots=True, eq=False)
class ChannelSurvey:
    """Level and similarity of the channels of a recording.

    Attributes:
        peaks: Largest magnitude of each channel, ``(channels,)``.
        correlations: Correlation of each channel with the strongest one, ``(channels,)``, offsets
            left out; 0 for a constant channel.
    """

    peaks: npt.NDArray[np.float64]
    correlations: npt.NDArray[np.float64]

    @property
    def loud(self) -> tuple[int, ...]:
        """Indices of the channels that are not digital silence."""
        return tuple(np.flatnonzero(self.peaks >= SILENCE_PEAK).tolist())

    @property
    def opposite(self) -> tuple[int, ...]:
        """Indices of the channels of opposite phase to the strongest one."""
        return tuple(np.flatnonzero(self.correlations <= OPPOSITE_CORRELATION).tolist())

    @property
    def different(self) -> tuple[int, ...]:
        """Indices of the channels, silent ones left out, that differ from the strongest one."""
        return tuple(i for i in self.loud if abs(self.correlations[i]) < SAME_CORRELATION)


def survey_channels(blocks: Iterable[Block]) -> ChannelSurvey:
    """Measure the channels of a recording, block by block.

    Examples:
        >>> left = np.sin(np.arange(480, dtype=np.float32))
        >>> survey_channels([Block(np.stack([left, -left], axis=1), 48_000)]).opposite
        (1,)
    """
    peaks, sums, products, n = np.zeros(1), np.zeros(1), np.zeros((1, 1)), 0
    for block in blocks:
        # NaN and infinite samples are reported when the channels are mixed.
        samples = np.nan_to_num(block.samples, posinf=0, neginf=0).astype(np.float64)
        peaks = np.maximum(peaks, np.abs(samples).max(axis=0))
        sums = sums + samples.sum(axis=0)
        products = products + samples.T @ samples  # (channels, channels)
        n += len(samples)
    covariances = products - np.outer(sums, sums) / max(n, 1)
    variances = covariances.diagonal().clip(0)
    strongest = int(variances.argmax())
    scale = np.sqrt(variances * variances[strongest])
    # Rounding leaves a little variance in a constant channel.
    constant = variances <= 1e-12 * products.diagonal()
    correlations = np.where(constant, 0, covariances[strongest] / np.where(scale > 0, scale, 1))
    return ChannelSurvey(peaks, correlations)


def mix_channels(
    samples: npt.NDArray[np.float32], signs: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Average channels.

    Args:
        samples: float32 ``(samples, channels)``.
        signs: For each channel 1, -1 to invert it, or 0 to leave it out.

    Returns:
        float32 ``(samples,)``.

    Examples:
        >>> mix_channels(np.array([[0.5, -0.5]], np.float32), (1, -1))
        array([0.5], dtype=float32)
    """
    used = [i for i, sign in enumerate(signs) if sign]
    if len(used) == 1:
        return np.ascontiguousarray(samples[:, used[0]] * np.float32(signs[used[0]]))
    # The caller reports infinite samples; suppress NumPy's warning.
    with np.errstate(over="ignore", invalid="ignore"):
        if set(signs) != {1}:
            samples = samples[:, used] * np.array([signs[i] for i in used], np.float32)
        mono: npt.NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    return mono


def parse_channel(channel: str | int) -> str | int:
    """Return ``mix``, ``each``, or the number of a channel.

    Args:
        channel: ``mix``, ``each``, ``left`` (1), ``right`` (2), or a number from 1.

    Raises:
        AudioError: It is none of these.

    Examples:
        >>> parse_channel("right"), parse_channel("3"), parse_channel("mix")
        (2, 3, 'mix')
    """
    if channel in (MIX, EACH):
        return channel
    number = _NAMES.get(channel, 0) if isinstance(channel, str) else channel
    if isinstance(channel, str) and channel.isascii() and channel.isdecimal():
        number = int(channel)
    if number < 1:
        raise AudioError(
            f"the channel is {channel!r}; expected mix, left, right, each, or a number from 1",
            code="setting.invalid",
        )
    return number


def check_channel(number: int, n_channels: int) -> None:
    """Raise AudioError if a recording has no channel of this number."""
    if number > n_channels:
        count = "1 channel" if n_channels == 1 else f"{n_channels} channels"
        raise AudioError(
            f"has {count}, expected at least {number}; choose another channel",
            code="audio.no_channel",
        )
