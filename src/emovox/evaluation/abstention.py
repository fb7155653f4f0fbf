"""Abstention: accuracy of a model that predicts only the clips of highest confidence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emovox.evaluation.metrics import FloatArray
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import align_seeds

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Answered:
    """The predictions kept at one confidence threshold.

    Attributes:
        min_confidence: The threshold; ``None`` if each fold has its own.
        count: Number of clips at or above the threshold.
        coverage: ``count`` as a share of all clips, in [0, 1].
        accuracy: Share of the kept predictions that are right, in [0, 1]; ``None`` if none is kept.
    """

    min_confidence: float | None
    count: int
    coverage: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Abstention:
    """Accuracy and coverage with abstention on a set of test clips.

    Attributes:
        by_coverage: The most confident predictions at each of ``COVERAGES``.
        by_threshold: The predictions kept at each of ``THRESHOLDS``.
        own: The predictions kept at each model's own threshold, fitted on its validation clips;
            ``None`` if a model has no threshold.
        area: Mean share of wrong predictions over all coverages (the area under the risk-coverage
            curve of Geifman and El-Yaniv 2017), in [0, 1]; lower is better.
    """

    by_coverage: tuple[Answered, ...]
    by_threshold: tuple[Answered, ...]
    own: Answered | None
    area: float

    def to_dict(self) -> dict[str, Any]:
        """Return the entries as JSON-ready types, keyed by attribute."""
        return {
            "by_coverage": [asdict(entry) for entry in self.by_coverage],
            "by_threshold": [asdict(entry) for entry in self.by_threshold],
            "own": None if self.own is None else asdict(self.own),
            "area": self.area,
        }


def measure_abstention(
    predictions: Predictions,
    own_thresholds: Mapping[str, float] | None = None,
    *,
    coverages: Sequence[float] = COVERAGES,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Abstention:
    """Score the predictions that remain when the least confident ones are dropped.

    Args:
        predictions: Predictions for the test clips.
        own_thresholds: Each fold's ``min_confidence``, keyed by fold; ``None`` to skip.
        coverages: Shares of the clips to keep, each above 0 and at most 1.
        thresholds: Confidence thresholds in [0, 1].

    Returns:
        Coverage and accuracy. Ties with the last clip kept are also kept, which makes the result
        independent of the order of the clips.
    """
    confidence = predictions.probabilities.max(axis=1)
    correct = predictions.predicted == predictions.true

    def keep(limits: FloatArray, threshold: float | None) -> Answered:
        chosen = confidence >= limits
        count = int(np.count_nonzero(chosen))
        accuracy = float(correct[chosen].mean()) if count else None
        return Answered(threshold, count, count / correct.size, accuracy)

    falling = np.sort(confidence)[::-1]
    least = [float(falling[int(np.ceil(share * falling.size - 1e-9)) - 1]) for share in coverages]
    own = None
    if own_thresholds is not None:
        own = keep(np.array([own_thresholds[fold] for fold in predictions.folds]), None)
    return Abstention(
        by_coverage=tuple(keep(np.array(limit), limit) for limit in least),
        by_threshold=tuple(keep(np.array(limit), limit) for limit in thresholds),
        own=own,
        area=float(find_risk_curve(predictions)[1].mean()),
    )


def answer_as_shipped(
    predictions: Predictions, min_confidence: float, no_speech: Sequence[str]
) -> Answered:
    """Score a shipped model with its own threshold and speech detector.

    Args:
        predictions: Predictions over all labels of the model.
        min_confidence: The model's own confidence threshold.
        no_speech: Names of clips without enough speech; they get no emotion.

    Returns:
        Share of all clips that get an emotion, and the accuracy on them.
    """
    answered = predictions.probabilities.max(axis=1) >= min_confidence
    answered &= ~np.isin(predictions.clips, np.array(no_speech, dtype=np.str_))
    right = (predictions.predicted == predictions.true)[answered]
    return Answered(
        min_confidence,
        count=right.size,
        coverage=right.size / len(predictions),
        accuracy=float(right.mean()) if right.size else None,
    )


def average_coverages(
    seeds: Sequence[Predictions], coverages: Sequence[float] = COVERAGES
) -> tuple[tuple[float, float], ...]:
    """Score the most confident predictions, averaged over trainings that differ only in seed.

    Each seed keeps its own most confident predictions, as in ``measure_abstention``.

    Args:
        seeds: Predictions for the same test clips, one entry per seed.
        coverages: Shares of the clips to keep, each above 0 and at most 1.

    Returns:
        Mean coverage and mean accuracy, in [0, 1], for each of ``coverages``.

    Raises:
        ValueError: If the seeds did not test the same clips.
    """
    found = [
        measure_abstention(part, coverages=coverages).by_coverage for part in align_seeds(seeds)
    ]
    # Every coverage keeps at least one clip, so the accuracy is never None.
    table = [[(entry.coverage, entry.accuracy) for entry in entries] for entries in found]
    means = np.mean(np.array(table, dtype=np.float64), axis=0)  # (coverages, 2)
    return tuple((float(coverage), float(accuracy)) for coverage, accuracy in means)


def find_risk_curve(predictions: Predictions) -> tuple[FloatArray, FloatArray]:
    """Return the share of wrong predictions at every coverage.

    Args:
        predictions: Predictions for the test clips.

    Returns:
        Coverage and risk, each float64 ``(clips,)`` in [0, 1], in order of increasing coverage.
        Clips of equal confidence share the mean of their errors.
    """
    confidence = predictions.probabilities.max(axis=1)
    wrong = (predictions.predicted != predictions.true).astype(np.float64)
    _, ties = np.unique(confidence, return_inverse=True)
    shared = (np.bincount(ties, weights=wrong) / np.bincount(ties))[ties]
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, wrong.size + 1)
    return answered / wrong.size, np.cumsum(shared[order]) / answered
