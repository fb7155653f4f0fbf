"""Cut a recording into the windows that a model hears at once."""

import math

import numpy as np

from emovox.audio.load import Waveform

MAX_WINDOW_S = 15.0
"""Longer recordings are heard in windows of at most this length."""


def cut_windows(waveform: Waveform) -> list[Waveform]:
    """Cut a recording into windows of one length, none longer than ``MAX_WINDOW_S``.

    A model learns from utterances of a few seconds: a longer recording is many of them. Work and
    memory then grow with its length, where an encoder's would grow with the square of it.
    """
    n_windows = max(1, math.ceil(waveform.duration_s / MAX_WINDOW_S))
    pieces = np.array_split(waveform.samples, n_windows)
    return [Waveform(piece, waveform.rate_hz) for piece in pieces]
