"""Follow the emotion through a recording: a prediction for each hop, merged into segments.

    blocks -> spans of speech -> turns -> overlapping windows -> probabilities of each hop
           -> smoothed -> predictions -> merged into segments

Samples are kept until the turn that holds them has ended, so that memory does not grow with the
duration.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emovox.audio.selection import Selection
from emovox.audio.waveform import Waveform
from emovox.recognition.classify import make_prediction
from emovox.recognition.results import Prediction
from emovox.recognition.speech_spans import find_probabilities, find_spans, join_turns

if TYPE_CHECKING:
    from emovox.recognition.recognizer import Recognizer

MAX_TIMELINE_S = 86_400.0
"""Maximum duration of a recording: a day."""

WINDOW_S = 3.0
"""Length of the windows in a long turn. Models are trained on utterances of 2 to 5 s."""

WINDOW_HOP_S = 1.5
"""From the start of one window to that of the next; half to one and a half times that before the
last."""

HOP_S = 1.0
"""What a prediction is made for."""

SMOOTHING = (0.25, 0.5, 0.25)
"""Weights of the hop before, the hop itself, and the hop after it."""


def iterate_hops(
    recognizer: "Recognizer",
    blocks: Iterable[npt.NDArray[np.float32]],
    selection: Selection,
    file: str | None,
) -> Iterator[Prediction]:
    """Yield a prediction for each hop of speech, and for each pause, or part of one.

    Args:
        recognizer: Runs the model and the speech detector.
        blocks: The recording at the model's rate, float32 ``(samples,)`` each.
        selection: The track and channels that the blocks come from.
        file: Name of the recording.

    Yields:
        Predictions that follow each other without gaps, from 0 to the end of the recording.
    """
    rate_hz = recognizer.info.sample_rate_hz
    held = _HeldSamples(blocks)
    probabilities = find_probabilities(recognizer.detector, held.pass_on(), rate_hz)
    spans = find_spans(probabilities, lambda: held.n_passed / rate_hz)
    for turn in join_turns(spans):
        samples = held.take(round(turn.end_s * rate_hz))
        if not turn.speech_s:
            times_s = turn.start_s, turn.end_s
            yield make_prediction(recognizer, times_s, None, 0.0, selection, file)
            continue
        edges_s, scores = score_turn(recognizer.score_waveform, Waveform(samples, rate_hz))
        edges_s = np.round(turn.start_s + edges_s, 6)
        edges_s[-1] = turn.end_s
        for start_s, end_s, hop in zip(
            edges_s[:-1].tolist(), edges_s[1:].tolist(), smooth_hops(scores), strict=True
        ):
            yield make_prediction(recognizer, (start_s, end_s), hop, turn.speech_s, selection, file)


def score_turn(
    score: Callable[[Waveform], npt.NDArray[np.float64]], turn: Waveform
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Score the hops of a turn by the windows that overlap them.

    Args:
        score: Returns the probabilities of a window, float64 ``(classes,)``.
        turn: The turn.

    Returns:
        Edges of the hops in seconds after the start of the turn, float64 ``(hops + 1,)``: each
        hop lasts ``HOP_S``, the last one half to one and a half times that, or a short turn all of
        it. Probabilities of each hop, float64 ``(hops, classes)``: the mean of all windows that
        overlap it, weighted by how long they do.
    """
    edges_s = cut_hops(turn.duration_s)
    starts_s, window_s = place_windows(turn.duration_s)
    scores = [
        score(Waveform(cut_window(turn, start_s, window_s), turn.rate_hz))
        for start_s in starts_s.tolist()
    ]
    return edges_s, score_hops(edges_s, starts_s, window_s, scores)


def cut_hops(duration_s: float) -> npt.NDArray[np.float64]:
    """Cut a turn into hops, and return their edges in seconds, float64 ``(hops + 1,)``."""
    # Half a hop or less at the end is part of the hop before it.
    n_hops = max(1, int(np.ceil(duration_s / HOP_S - 0.5)))
    return np.append(HOP_S * np.arange(n_hops), duration_s)


def cut_window(turn: Waveform, start_s: float, window_s: float) -> npt.NDArray[np.float32]:
    """Return the samples of a window, by its start in seconds after that of the turn."""
    first = round(start_s * turn.rate_hz)
    return turn.samples[first : first + round(window_s * turn.rate_hz)]


def score_hops(
    edges_s: npt.NDArray[np.float64],
    starts_s: npt.NDArray[np.float64],
    window_s: float,
    scores: list[npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    """Average the scores of the windows that overlap each hop, weighted by how long they do.

    Args:
        edges_s: Edges of the hops in seconds, ``(hops + 1,)``.
        starts_s: Starts of the windows in seconds, ``(windows,)``.
        window_s: Length of each window in seconds.
        scores: Probabilities of each window, float64 ``(classes,)``.

    Returns:
        float64 ``(hops, classes)``.
    """
    overlaps_s = np.minimum(edges_s[1:, np.newaxis], starts_s + window_s) - np.maximum(
        edges_s[:-1, np.newaxis], starts_s
    )  # (hops, windows)
    weights = overlaps_s.clip(min=0)
    averaged: npt.NDArray[np.float64] = weights @ np.stack(scores)  # (hops, classes)
    return averaged / weights.sum(axis=1, keepdims=True)


def place_windows(duration_s: float) -> tuple[npt.NDArray[np.float64], float]:
    """Place windows over a turn: one every ``WINDOW_HOP_S``, and the last at its end.

    Args:
        duration_s: Duration of the turn in seconds.

    Returns:
        Starts of the windows in seconds, float64 ``(windows,)``, and the length of each: all of a
        turn up to ``WINDOW_S`` and half of ``WINDOW_HOP_S``, otherwise ``WINDOW_S``.

    Examples:
        >>> place_windows(3.5), place_windows(6.5)
        ((array([0.]), 3.5), (array([0. , 1.5, 3.5]), 3.0))
    """
    # Half a hop more or less lies between the last two.
    n_hops = int(np.ceil((duration_s - WINDOW_S) / WINDOW_HOP_S - 0.5))
    if n_hops < 1:
        return np.zeros(1), duration_s
    return np.append(WINDOW_HOP_S * np.arange(n_hops), duration_s - WINDOW_S), WINDOW_S


def smooth_hops(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Average the probabilities of each hop of a turn with those before and after it.

    Args:
        scores: float64 ``(hops, classes)``.

    Returns:
        float64 ``(hops, classes)``; the first and last hop count for what is missing beyond them.

    Examples:
        >>> smooth_hops(np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
        [[0.75, 0.25], [0.25, 0.75]]
    """
    padded = np.pad(scores, ((1, 1), (0, 0)), mode="edge")
    before, here, after = SMOOTHING
    smoothed: npt.NDArray[np.float64] = (
        before * padded[:-2] + here * padded[1:-1] + after * padded[2:]
    )
    return smoothed


def merge_segments(hops: Iterable[Prediction]) -> Iterator[Prediction]:
    """Merge consecutive predictions of the same emotion, or without one for the same reason.

    Args:
        hops: Predictions that follow each other without gaps, as ``Recognizer.timeline`` yields
            them with ``merge=False``.

    Yields:
        Segments. Scores are averaged, weighted by duration.
    """
    merger = SegmentMerger()
    for hop in hops:
        yield from merger.push(hop)
    yield from merger.finish()


class SegmentMerger:
    """Merges predictions to segments, as they arrive; its memory does not grow with a segment."""

    def __init__(self) -> None:
        self._first: Prediction | None = None
        self._end_s = 0.0
        self._n_hops = 0
        self._sums = np.zeros(0)  # of scores times durations, (classes,)

    def push(self, hop: Prediction) -> Iterator[Prediction]:
        """Yield the segment that ends before a prediction, if one does."""
        if self._first is not None and _key(self._first) != _key(hop):
            yield from self.finish()
        if self._first is None:
            self._first, self._n_hops, self._sums = hop, 0, np.zeros(len(hop.scores or ()))
        if hop.scores is not None:
            self._sums += (hop.end_s - hop.start_s) * np.array([*hop.scores.values()])
        self._end_s = hop.end_s
        self._n_hops += 1

    def finish(self) -> Iterator[Prediction]:
        """Yield the last segment, if there is one."""
        first, self._first = self._first, None
        if first is None:
            return
        if self._n_hops == 1 or first.scores is None:
            yield replace(first, end_s=self._end_s)
            return
        scores = self._sums / (self._end_s - first.start_s)
        named = dict(zip(first.scores, scores.tolist(), strict=True))
        yield replace(first, end_s=self._end_s, confidence=float(scores.max()), scores=named)


def _key(hop: Prediction) -> tuple[str | None, int | None, str | None, str | None]:
    return hop.file, hop.channel, hop.emotion, hop.abstained


class _HeldSamples:
    """Samples that were passed on, and are kept until they are taken."""

    def __init__(self, blocks: Iterable[npt.NDArray[np.float32]]) -> None:
        self._blocks = blocks
        self._held: list[npt.NDArray[np.float32]] = []
        self._n_taken = 0
        self.n_passed = 0

    def pass_on(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the blocks, and keep them."""
        for block in self._blocks:
            self._held.append(block)
            self.n_passed += len(block)
            yield block

    def take(self, end: int) -> npt.NDArray[np.float32]:
        """Return the samples that were not taken yet, up to an index."""
        held = np.concatenate(self._held) if len(self._held) > 1 else self._held[0]
        n = end - self._n_taken
        self._held = [held[n:]]
        self._n_taken = end
        return held[:n]
