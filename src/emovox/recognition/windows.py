"""Split long recordings into windows for the model, at pauses."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from emovox.audio.waveform import Waveform

WINDOW_S = 6.0
"""Longer recordings are split. Models are trained on utterances of 2 to 5 s, and predict other
emotions for longer ones."""

MIN_WINDOW_S = 3.0
"""The first place where a window may end."""

PAUSE_S = 0.2
"""Length of the stretch that must be quiet for a window to end in its middle."""

FRAME_S = 0.02
SPEECH_DB = 30.0
"""Frames within this range of a recording's loudest ones count as speech."""


def iterate_windows(blocks: Iterable[npt.NDArray[np.float32]], rate_hz: int) -> Iterator[Waveform]:
    """Split a recording that arrives in blocks into windows, each of which ends in a pause.

    Memory does not grow with the duration.

    Args:
        blocks: float32 ``(samples,)`` each.
        rate_hz: Sampling rate in Hz.

    Yields:
        The whole recording, if it is at most ``WINDOW_S`` long; otherwise windows of
        ``MIN_WINDOW_S`` to ``WINDOW_S``, cut where it is quietest. The last one may be shorter.
    """
    longest = round(WINDOW_S * rate_hz)
    held = np.empty(0, np.float32)
    for block in blocks:
        # A block may be a whole recording of hours, which is copied piece by piece.
        for start in range(0, len(block), rate_hz):
            held = np.concatenate([held, block[start : start + rate_hz]])
            if len(held) > longest:
                end = find_pause(held[:longest], rate_hz)
                yield Waveform(held[:end], rate_hz)
                held = held[end:]
    if len(held):
        yield Waveform(held, rate_hz)


def find_pause(samples: npt.NDArray[np.float32], rate_hz: int) -> int:
    """Return the middle of the quietest stretch of samples ``(samples,)``, as an index.

    It lies after ``MIN_WINDOW_S``; of stretches that are equally quiet, it is in the last.
    """
    powers = measure_powers(samples, rate_hz)
    n_pause = round(PAUSE_S / FRAME_S)
    first = round(MIN_WINDOW_S / FRAME_S)
    sums = np.convolve(powers[first:], np.ones(n_pause), mode="valid")
    quietest = len(sums) - 1 - int(sums[::-1].argmin())
    return (first + quietest + n_pause // 2) * round(FRAME_S * rate_hz)


def measure_powers(samples: npt.NDArray[np.float32], rate_hz: int) -> npt.NDArray[np.float64]:
    """Return the variance of each whole frame of ``FRAME_S``, float64 ``(frames,)``.

    It is the mean square without a constant offset, in which there would be no pauses.
    """
    n_frame = round(FRAME_S * rate_hz)
    n_frames = len(samples) // n_frame
    frames = samples[: n_frames * n_frame].reshape(n_frames, n_frame)
    powers: npt.NDArray[np.float64] = np.var(frames, axis=1, dtype=np.float64)
    return powers


def measure_speech(powers: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Measure how much speech each window of a recording has.

    Args:
        powers: Variances of each window's frames, float64 ``(frames,)``.

    Returns:
        Seconds in frames within ``SPEECH_DB`` of the recording's loudest, float64 ``(windows,)``.
    """
    # The 95th percentile, so that a click does not set the level that speech is compared with.
    loud = np.quantile(np.concatenate(powers), 0.95) * 10 ** (-SPEECH_DB / 10)
    return FRAME_S * np.array([np.count_nonzero(frames >= loud) for frames in powers])


def average_windows(
    scores: list[npt.NDArray[np.float64]], speech_s: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Average the scores of windows, each weighted by its amount of speech.

    Args:
        scores: Probabilities of each window, float64 ``(classes,)``.
        speech_s: Speech in each window in seconds, float64 ``(windows,)``.

    Returns:
        float64 ``(classes,)``.
    """
    averaged: npt.NDArray[np.float64] = np.average(
        scores, axis=0, weights=np.maximum(speech_s, FRAME_S)
    )
    return averaged
