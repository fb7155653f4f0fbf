"""Score a turn while it is spoken: its latest window, and its hops as soon as they are certain."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from emovox.audio.waveform import Waveform
from emovox.recognition.timeline import (
    HOP_S,
    WINDOW_HOP_S,
    WINDOW_S,
    cut_hops,
    cut_window,
    place_windows,
    score_hops,
    smooth_hops,
)

STEP_S = 0.5
"""After the first full window, the next ones end this much later. It divides ``WINDOW_HOP_S``, so
that every window of the timeline is one of them, and is computed once."""

Hops = list[tuple[float, float, npt.NDArray[np.float64]]]


class TurnScorer:
    """Scores a turn that has not ended.

    Args:
        score: Returns the probabilities of a window, float64 ``(classes,)``.
        start_s: Start of the turn in the recording, in seconds.
    """

    def __init__(
        self, score: Callable[[Waveform], npt.NDArray[np.float64]], start_s: float
    ) -> None:
        self.start_s = start_s
        self._score = score
        self._scores: dict[int, npt.NDArray[np.float64]] = {}  # of windows, by their place
        self._latest: tuple[int, npt.NDArray[np.float64]] | None = None
        self._n_hops = 0

    def score_latest(self, turn: Waveform) -> npt.NDArray[np.float64]:
        """Score the latest window: all of a turn up to ``WINDOW_S``, otherwise that much of it.

        Args:
            turn: The turn so far.

        Returns:
            float64 ``(classes,)``; the same as before, if the next window has not ended.
        """
        steps = int((turn.duration_s - WINDOW_S) / STEP_S)
        if turn.duration_s < WINDOW_S:
            return self._score(turn)
        if self._latest is None or self._latest[0] != steps:
            per_hop = round(WINDOW_HOP_S / STEP_S)
            if steps % per_hop == 0:
                scores = self._score_window(turn, steps // per_hop)
            else:
                scores = self._score(_cut(turn, steps * STEP_S))
            self._latest = steps, scores
        return self._latest[1]

    def score_certain(self, turn: Waveform, certain_s: float) -> Hops:
        """Score the hops that no longer depend on where the turn ends.

        Args:
            turn: The turn so far.
            certain_s: It lasts at least this long, in seconds.

        Returns:
            Start, end and smoothed scores of each hop that was not returned before.
        """
        # Windows that end half a hop before the end are not replaced by the last one; the hop
        # after a certain one has to be certain, too.
        n_hops = int((certain_s - WINDOW_S - WINDOW_HOP_S / 2) / HOP_S) - 1
        if n_hops <= self._n_hops:
            return []
        edges_s = HOP_S * np.arange(n_hops + 2)
        starts_s = np.arange(0, edges_s[-1], WINDOW_HOP_S)
        scores = [self._score_window(turn, place) for place in range(len(starts_s))]
        hops = smooth_hops(score_hops(edges_s, starts_s, WINDOW_S, scores))
        return self._take_hops(edges_s[:-1], hops[:-1])

    def finish(self, turn: Waveform) -> Hops:
        """Score the hops that remain.

        Args:
            turn: All of the turn.

        Returns:
            Start, end and smoothed scores of each hop that was not returned before.
        """
        edges_s = cut_hops(turn.duration_s)
        starts_s, window_s = place_windows(turn.duration_s)
        scores = [self._score_window(turn, place) for place in range(len(starts_s) - 1)]
        scores.append(self._score(_cut(turn, float(starts_s[-1]), window_s)))
        return self._take_hops(edges_s, smooth_hops(score_hops(edges_s, starts_s, window_s, scores)))

    def _score_window(self, turn: Waveform, place: int) -> npt.NDArray[np.float64]:
        """Score a window of the timeline, once."""
        if place not in self._scores:
            self._scores[place] = self._score(_cut(turn, place * WINDOW_HOP_S))
        return self._scores[place]

    def _take_hops(self, edges_s: npt.NDArray[np.float64], hops: npt.NDArray[np.float64]) -> Hops:
        """Return what was not returned before, at times of the recording."""
        times_s = np.round(self.start_s + edges_s, 6).tolist()
        new = slice(self._n_hops, len(hops))
        self._n_hops = len(hops)
        return list(zip(times_s[:-1][new], times_s[1:][new], hops[new], strict=True))


def _cut(turn: Waveform, start_s: float, window_s: float = WINDOW_S) -> Waveform:
    """Return a window of a turn."""
    return Waveform(cut_window(turn, start_s, window_s), turn.rate_hz)
