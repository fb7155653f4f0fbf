"""Split long recordings into windows for the model."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from emovox.audio.waveform import Waveform

MAX_WINDOW_S = 15.0
"""Longer recordings are split into windows of at most this length."""

MAX_HELD_S = 300.0
"""Longer recordings are split while they are decoded; a multiple of ``MAX_WINDOW_S``."""


def cut_windows(waveform: Waveform) -> list[Waveform]:
    """Split a recording into windows of equal length, at most ``MAX_WINDOW_S`` each.

    Models are trained on utterances of a few seconds. Windows also keep time and memory linear in
    the duration; an encoder's would otherwise grow quadratically.
    """
    n_windows = max(1, math.ceil(waveform.duration_s / MAX_WINDOW_S))
    pieces = np.array_split(waveform.samples, n_windows)
    return [Waveform(piece, waveform.rate_hz) for piece in pieces]


def iterate_windows(blocks: Iterable[npt.NDArray[np.float32]], rate_hz: int) -> Iterator[Waveform]:
    """Split a recording that arrives in blocks into windows.

    Args:
        blocks: float32 ``(samples,)`` each.
        rate_hz: Sampling rate in Hz.

    Yields:
        The windows of ``cut_windows``; of a recording longer than ``MAX_HELD_S``, first those of
        that many seconds, again and again, so that memory does not grow with its length.
    """
    chapter = round(MAX_HELD_S * rate_hz)
    # The last windows are never much shorter than the others.
    least = chapter + round(MAX_WINDOW_S * rate_hz)
    held: list[npt.NDArray[np.float32]] = []
    n_held = 0
    for block in blocks:
        held.append(block)
        n_held += len(block)
        if n_held >= least:
            joined = np.concatenate(held)
            yield from cut_windows(Waveform(joined[:chapter], rate_hz))
            held = [joined[chapter:].copy()]
            n_held -= chapter
    if n_held:
        yield from cut_windows(Waveform(np.concatenate(held), rate_hz))
