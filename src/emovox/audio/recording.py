"""One opened source of sound, whatever it is, from which tracks and channels are read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from emovox.audio.arrays import check_array, iterate_array
from emovox.audio.blocks import Block, check_blocks
from emovox.audio.channels import ChannelSurvey, mix_channels, survey_channels
from emovox.audio.decode import AudioFile
from emovox.audio.limits import MAX_DURATION_S, check_levels
from emovox.audio.raw import RawFormat
from emovox.audio.sources import name_source, open_source
from emovox.audio.waveform import Waveform, join_blocks, resample_blocks
from emovox.errors import AudioError

AudioSource = str | Path | bytes | BinaryIO | Waveform | npt.ArrayLike
"""Any source of one recording; an array must come with its sampling rate."""

_KEPT_VALUES = 2**22
"""Samples times channels that are kept between passes, 16 MB; longer ones are decoded again."""


class Recording:
    """The tracks of one recording; create it with ``open_recording``.

    Args:
        decode: Returns the blocks of a track, by its number.
        default_tracks: Whether each track is marked as the default.
        max_duration_s: Maximum duration in seconds.
    """

    def __init__(
        self,
        decode: Callable[[int], Iterator[Block]],
        default_tracks: tuple[bool, ...],
        max_duration_s: float,
    ) -> None:
        self._decode = decode
        self._max_duration_s = max_duration_s
        self._tracks: dict[int, _Replay] = {}
        self._watch: Callable[[Block], None] = _watch_nothing
        self.default_tracks = default_tracks

    def watch(self, watch: Callable[[Block], None]) -> None:
        """Call a function with every block that is decoded from now on; it may raise to stop."""
        self._watch = watch

    def decode(self, track: int = 1) -> Iterator[Block]:
        """Return the checked blocks of a track; a short one is decoded once for all passes."""
        if track not in self._tracks:
            self._tracks[track] = _Replay(
                lambda: self._watched(check_blocks(self._decode(track), self._max_duration_s))
            )
        return iter(self._tracks[track])

    def _watched(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield blocks, each after the watching function has seen it."""
        for block in blocks:
            self._watch(block)
            yield block

    def survey(self, track: int = 1) -> ChannelSurvey:
        """Measure the channels of a track."""
        return survey_channels(self.decode(track))

    def count_channels(self, track: int = 1) -> int:
        """Return the number of channels of a track."""
        return int(next(self.decode(track)).samples.shape[1])

    def iterate(
        self, rate_hz: int, signs: tuple[int, ...], track: int = 1
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield a track as mono samples at a rate: mixed, checked and resampled as it goes.

        Args:
            rate_hz: Sampling rate of the result in Hz.
            signs: How to mix the channels, as in ``mix_channels``.
            track: Number of the track, from 1.

        Yields:
            float32 ``(samples,)`` each; together at least one sample.

        Raises:
            AudioError: The recording is damaged, too long, or holds what is not sound.
        """
        blocks = self.decode(track)
        first = next(blocks)
        mono = _mix_checked(chain([first], blocks), signs)
        yield from resample_blocks(mono, first.rate_hz, rate_hz)

    def read(self, rate_hz: int, signs: tuple[int, ...], track: int = 1) -> Waveform:
        """Return a track as one mono waveform; the arguments are those of ``iterate``."""
        return join_blocks(self.iterate(rate_hz, signs, track), rate_hz)


def _watch_nothing(_block: Block) -> None:
    """Let every block pass."""


class _Replay:
    """Blocks that can be iterated several times, one after the other."""

    def __init__(self, start: Callable[[], Iterator[Block]]) -> None:
        self._start = start
        self._live = start()
        self._kept: list[Block] = []
        self._n_values = 0

    def __iter__(self) -> Iterator[Block]:
        if self._n_values > _KEPT_VALUES:
            yield from self._start()
            return
        for at in count():
            if at == len(self._kept):
                block = next(self._live, None)
                if block is None:
                    return
                self._n_values += block.samples.size
                if self._n_values > _KEPT_VALUES:
                    self._kept.clear()
                    yield block
                    yield from self._live
                    return
                self._kept.append(block)
            yield self._kept[at]


@contextmanager
def open_recording(
    source: AudioSource,
    rate_hz: int | None = None,
    *,
    raw: RawFormat | None = None,
    max_duration_s: float = MAX_DURATION_S,
) -> Iterator[Recording]:
    """Open any source of one recording.

    Args:
        source: Path, encoded bytes, binary file object, waveform, or array of samples.
        rate_hz: Sampling rate of an array in Hz; other sources carry their rate.
        raw: Format of a file without a header.
        max_duration_s: Maximum duration of a recording, in seconds.

    Yields:
        The recording. Any ``AudioError`` in the block is given the name of the source.

    Raises:
        AudioError: The recording cannot be used, or ``rate_hz`` is missing for an array or given
            for another source.
        TypeError: The source has an unsupported type.
    """
    is_array = hasattr(source, "__array__") or isinstance(source, list | tuple)
    with _naming("<array>" if is_array else name_source(source)):
        _check_rate(is_array, rate_hz)
        if is_array or isinstance(source, Waveform):
            samples: Any = source.samples if isinstance(source, Waveform) else source
            found_rate_hz = source.rate_hz if isinstance(source, Waveform) else rate_hz or 0
            array = check_array(samples, found_rate_hz, max_duration_s)
            yield Recording(lambda _: iterate_array(array, found_rate_hz), (True,), max_duration_s)
            return
        with open_source(source) as file:
            suffix = Path(source).suffix if isinstance(source, str | Path) else ""
            opened = AudioFile(file, suffix, max_duration_s, raw)
            yield Recording(opened.decode, opened.default_tracks, max_duration_s)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Add the name of the source to any AudioError; reading errors become one."""
    try:
        yield
    except AudioError as error:
        error.source = name
        raise
    except OSError as error:
        raise AudioError(
            f"cannot be read ({error}); check the disk or copy it again",
            code="audio.unreadable",
            source=name,
        ) from error


def _check_rate(is_array: bool, rate_hz: int | None) -> None:
    """Raise AudioError unless arrays, and only they, come with a rate."""
    if is_array and rate_hz is None:
        raise AudioError(
            "an array without its rate; expected both, such as predict(samples, rate_hz=48_000); "
            "for several recordings, use predict_many",
            code="audio.rate_missing",
        )
    if not is_array and rate_hz is not None:
        raise AudioError(
            f"rate_hz is {rate_hz}, but only arrays take it: other sources carry their own rate; "
            "leave it out",
            code="audio.rate_unexpected",
        )


def _mix_checked(
    blocks: Iterator[Block], signs: tuple[int, ...]
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield mono blocks; raise AudioError for samples that are not finite, or beyond full scale."""
    n_before = 0
    for block in blocks:
        mono = mix_channels(block.samples, signs)
        check_levels(mono, n_before / block.rate_hz, block.rate_hz)
        n_before += len(mono)
        yield mono
