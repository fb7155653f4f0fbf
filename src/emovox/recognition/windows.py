"""Split long recordings into windows for the model."""

import math

import numpy as np

from emovox.audio.waveform import Waveform

MAX_WINDOW_S = 15.0
"""Longer recordings are split into windows of at most this length."""


def cut_windows(waveform: Waveform) -> list[Waveform]:
    """Split a recording into windows of equal length, at most ``MAX_WINDOW_S`` each.

    Models are trained on utterances of a few seconds. Windows also keep time and memory linear in
    the duration; an encoder's would otherwise grow quadratically.
    """
    n_windows = max(1, math.ceil(waveform.duration_s / MAX_WINDOW_S))
    pieces = np.array_split(waveform.samples, n_windows)
    return [Waveform(piece, waveform.rate_hz) for piece in pieces]
