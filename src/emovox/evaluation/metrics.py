"""Compute scores from arrays of true classes and predicted probabilities.

The definitions are scikit-learn's, and the tests compare every number with it. They are written
over confusion matrices, which lets a report and the bootstrap draws of its intervals share them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

SCORE_NAMES = ("WA", "UA", "F1")
"""Accuracy, mean recall over classes, and macro F1: the order of every triple of scores."""

SCORE_DEFINITIONS = {
    "accuracy": "share of the test clips that are right",
    "uar": "mean recall over the classes with test clips",
    "macro_f1": "mean F1 over the classes with test clips; scikit-learn's default also counts a "
    "class without test clips, as 0, if it is predicted",
}
"""What each of the three scores is, for ``metrics.json``."""

CALIBRATION_BINS = 15
"""Equal-width confidence bins, as in Guo et al. (2017), https://arxiv.org/abs/1706.04599."""

# A softmax written with four decimals still sums to 1 within this.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """Precision, recall and F1 of one class.

    Attributes:
        label: Name of the class.
        precision: Share of the predictions of this class that are right, in [0, 1]; 0 if there are
            none.
        recall: Share of the clips of this class that are found, in [0, 1]; 0 if there are none.
        f1: Harmonic mean of the two, in [0, 1]; 0 if both are 0.
        support: Number of test clips of the class.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The clips with a confidence in ``(low, high]``, and how often they were right.

    Attributes:
        low: Lower edge of the confidence, excluded.
        high: Upper edge of the confidence, included.
        count: Number of clips, at least 1.
        confidence: Mean confidence of these clips.
        accuracy: Share of these clips that were right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """All metrics of one set of test clips.

    Attributes:
        accuracy: Share of clips that were right (WA), in [0, 1].
        uar: Mean recall over the classes that have test clips (UA), in [0, 1].
        macro_precision: Mean precision over the same classes.
        macro_recall: Mean recall over the same classes: equal to ``uar``.
        macro_f1: Mean F1 over the same classes.
        per_class: One entry for each label, in the labels' order, absent classes included.
        absent_classes: Labels without a test clip; macro averages leave them out.
        log_loss: Mean negative natural logarithm of the true class' probability.
        expected_calibration_error: Mean absolute difference between confidence and accuracy over
            ``CALIBRATION_BINS`` bins, weighted by their clips, in [0, 1].
        calibration_bins: The bins that contain clips, by increasing confidence.
        confusion: int64 ``(classes, classes)``; rows are true, columns predicted.
    """

    accuracy: float
    uar: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    per_class: tuple[ClassMetrics, ...]
    absent_classes: tuple[str, ...]
    log_loss: float
    expected_calibration_error: float
    calibration_bins: tuple[CalibrationBin, ...]
    confusion: IntArray

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON-ready types, keyed by attribute."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "per_class": [asdict(entry) for entry in self.per_class],
            "absent_classes": list(self.absent_classes),
            "calibration_bins": [asdict(entry) for entry in self.calibration_bins],
            "confusion": self.confusion.tolist(),
        }


def compute_metrics(
    true: npt.ArrayLike, probabilities: npt.ArrayLike, labels: Sequence[str]
) -> Metrics:
    """Score a model's probabilities for a set of test clips.

    The predicted class is the most probable one, or the first of several equals.

    Args:
        true: Index of each clip's true class, int ``(clips,)``.
        probabilities: Probability of each class, float ``(clips, classes)``; rows sum to 1.
        labels: Names of the classes, in the order of the columns.

    Returns:
        The metrics, as scikit-learn defines them with ``labels`` set to the classes that have
        test clips and ``zero_division=0``; ``uar`` is its ``balanced_accuracy_score``.

    Raises:
        ValueError: If the arrays do not fit together, or rows are not probabilities.

    Examples:
        >>> metrics = compute_metrics([0, 1], [[0.9, 0.1], [0.6, 0.4]], ["calm", "angry"])
        >>> metrics.accuracy, metrics.per_class[1].recall
        (0.5, 0.0)
    """
    true_index, scores = check_scores(true, probabilities, labels)
    predicted = scores.argmax(axis=1)
    confusion = count_confusions(np.ones((1, true_index.size)), true_index, predicted, len(labels))
    wa, ua, f1 = score_confusions(confusion)[:, 0]
    precisions, recalls, f1s = _score_classes(confusion[0])
    support = confusion[0].sum(axis=1)
    present = support > 0
    error, bins = _calibrate(scores.max(axis=1), predicted == true_index)
    return Metrics(
        accuracy=float(wa),
        uar=float(ua),
        macro_precision=float(precisions[present].mean()),
        macro_recall=float(ua),
        macro_f1=float(f1),
        per_class=tuple(
            ClassMetrics(label, float(precisions[i]), float(recalls[i]), float(f1s[i]), n)
            for i, (label, n) in enumerate(zip(labels, support.astype(int).tolist(), strict=True))
        ),
        absent_classes=tuple(np.array(labels)[~present].tolist()),
        log_loss=_mean_log_loss(true_index, scores),
        expected_calibration_error=error,
        calibration_bins=bins,
        confusion=confusion[0].astype(np.int64),
    )


def check_scores(
    true: npt.ArrayLike, probabilities: npt.ArrayLike, labels: Sequence[str]
) -> tuple[IntArray, FloatArray]:
    """Return the true classes and probabilities as checked arrays.

    Args:
        true: Index of each clip's true class, int ``(clips,)``.
        probabilities: Probability of each class, float ``(clips, classes)``.
        labels: Names of the classes, in the order of the columns.

    Returns:
        int64 ``(clips,)`` and float64 ``(clips, classes)``.

    Raises:
        ValueError: If shapes differ, there are no clips, a label is given twice, a true class has
            no column, or a row contains NaN or a negative number, or does not sum to 1.
    """
    true_index, scores = np.asarray(true), np.asarray(probabilities, dtype=np.float64)
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise ValueError(f"found labels {list(labels)}; expected two or more different names")
    if true_index.ndim != 1 or scores.shape != (true_index.size, len(labels)):
        raise ValueError(
            f"found true classes of shape {true_index.shape} and probabilities of shape "
            f"{scores.shape}; expected (clips,) and (clips, {len(labels)}), one column per label"
        )
    if true_index.size == 0:
        raise ValueError("found no test clip; expected at least one to score")
    if not np.issubdtype(true_index.dtype, np.integer):
        raise ValueError(f"found true classes of type {true_index.dtype}; expected integers")
    if true_index.min() < 0 or true_index.max() >= len(labels):
        raise ValueError(
            f"found true classes from {true_index.min()} to {true_index.max()}; "
            f"expected 0 to {len(labels) - 1}, the columns of {len(labels)} labels"
        )
    # Comparisons with NaN are false, so NaN fails here too.
    valid = (scores >= 0).all(axis=1) & (np.abs(scores.sum(axis=1) - 1) <= _SUM_TOLERANCE)
    if not valid.all():
        row = int(np.flatnonzero(~valid)[0])
        raise ValueError(
            f"found {scores[row].tolist()} as the probabilities of clip {row} (and "
            f"{np.count_nonzero(~valid) - 1} more like it); expected numbers from 0 that sum to 1"
        )
    return true_index.astype(np.int64), scores


def count_confusions(
    weights: npt.ArrayLike, true: IntArray, predicted: IntArray, n_classes: int
) -> FloatArray:
    """Count one confusion matrix for each weighting of the same clips.

    Args:
        weights: Number of times each clip counts, ``(draws, clips)``.
        true: Index of each clip's true class, ``(clips,)``.
        predicted: Index of each clip's predicted class, ``(clips,)``.
        n_classes: Number of classes.

    Returns:
        float64 ``(draws, classes, classes)``; rows are true, columns predicted.
    """
    cells = np.zeros((true.size, n_classes * n_classes))
    cells[np.arange(true.size), true * n_classes + predicted] = 1
    counts: FloatArray = np.asarray(weights, dtype=np.float64) @ cells
    return counts.reshape(-1, n_classes, n_classes)  # (draws, classes, classes)


def score_confusions(confusions: npt.NDArray[Any]) -> FloatArray:
    """Return accuracy, UAR and macro F1 of each confusion matrix.

    Args:
        confusions: ``(draws, classes, classes)``; rows are true, columns predicted.

    Returns:
        float64 ``(3, draws)`` in [0, 1], in the order of ``SCORE_NAMES``; classes without a
        clip in a draw are left out of that draw's means.
    """
    _, recalls, f1s = _score_classes(confusions)
    accuracy = np.trace(confusions, axis1=-2, axis2=-1) / confusions.sum(axis=(-2, -1))
    present = confusions.sum(axis=-1) > 0
    uar = recalls.mean(axis=-1, where=present)
    macro_f1 = f1s.mean(axis=-1, where=present)
    return np.stack([accuracy, uar, macro_f1])


def _score_classes(confusions: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return precision, recall and F1, each ``(..., classes)``; 0 if undefined."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1).astype(np.float64)
    predicted, support = confusions.sum(axis=-2), confusions.sum(axis=-1)
    return (
        hits / np.maximum(predicted, 1),
        hits / np.maximum(support, 1),
        2 * hits / np.maximum(predicted + support, 1),
    )


def _mean_log_loss(true: IntArray, probabilities: FloatArray) -> float:
    """Return the mean log-loss, with zero probabilities clipped as in scikit-learn."""
    chosen = probabilities[np.arange(true.size), true]
    # Rounding may leave a probability slightly above 1, which would make the loss negative.
    return float(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0)).mean() + 0.0)


def bin_confidences(confidence: FloatArray) -> tuple[FloatArray, IntArray]:
    """Assign confidences to ``CALIBRATION_BINS`` bins of equal width.

    Args:
        confidence: Probability of each clip's most probable class, ``(clips,)`` in [0, 1].

    Returns:
        Edges of the bins, float64 ``(bins + 1,)``, and each clip's bin, int64 ``(clips,)``; an
        edge belongs to the bin below it.

    Examples:
        >>> bin_confidences(np.array([0.0, 1 / 15, 0.5, 1.0]))[1].tolist()
        [0, 0, 7, 14]
    """
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return edges, np.digitize(confidence, edges[1:-1], right=True).astype(np.int64)


def _calibrate(
    confidence: FloatArray, correct: npt.NDArray[np.bool_]
) -> tuple[float, tuple[CalibrationBin, ...]]:
    """Return the expected calibration error (Guo et al., 2017) and the nonempty bins."""
    edges, index = bin_confidences(confidence)
    bins = tuple(
        CalibrationBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            count=int(np.count_nonzero(index == i)),
            confidence=float(confidence[index == i].mean()),
            accuracy=float(correct[index == i].mean()),
        )
        for i in np.unique(index)
    )
    error = sum(entry.count * abs(entry.accuracy - entry.confidence) for entry in bins)
    return float(error / confidence.size), bins
