"""Decide what a stream shows now: steady, but soon after a change."""

import numpy as np
import numpy.typing as npt

from emovox.recognition.results import Scores

LATEST_WEIGHT = 0.7
"""Weight of the latest window; the rest is that of the updates of the same turn before it."""

MARGIN = 0.05
"""Another emotion is shown only if it is more probable by this much than the one that is shown."""

Decision = tuple[str | None, float | None, Scores | None, str | None]


class LatestEmotion:
    """Smooths the scores of a turn's updates, and keeps its emotion until another is clear.

    Args:
        labels: Names of the emotions.
        min_confidence: Confidence below which it abstains.
    """

    def __init__(self, labels: tuple[str, ...], min_confidence: float) -> None:
        self._labels = labels
        self._min_confidence = min_confidence
        self.begin_turn()

    def begin_turn(self) -> None:
        """Forget the turn before."""
        self._scores: npt.NDArray[np.float64] | None = None
        self._shown: int | None = None

    def decide(self, scores: npt.NDArray[np.float64] | None, *, in_turn: bool) -> Decision:
        """Return the emotion, its confidence, the scores, and why there is no emotion.

        Args:
            scores: Probabilities of the latest window, float64 ``(classes,)``; ``None`` if it is
                too short, or there is none.
            in_turn: Whether somebody is speaking.
        """
        if not in_turn:
            return None, None, None, "no speech"
        if scores is None:
            return None, None, None, "too short"
        if self._scores is not None:
            scores = LATEST_WEIGHT * scores + (1 - LATEST_WEIGHT) * self._scores
        self._scores = scores
        best = int(scores.argmax())
        if self._shown is None or scores[best] > scores[self._shown] + MARGIN:
            self._shown = best
        confidence = float(scores[self._shown])
        named = Scores(zip(self._labels, scores.tolist(), strict=True))
        if confidence < self._min_confidence:
            return None, confidence, named, "uncertain"
        return self._labels[self._shown], confidence, named, None
