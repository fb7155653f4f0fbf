"""Calibration: fit a temperature and a confidence threshold, and measure calibration error."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from emovox.evaluation.intervals import Interval, bootstrap_over_clips, bootstrap_over_speakers
from emovox.evaluation.metrics import FloatArray, IntArray, bin_confidences
from emovox.evaluation.outcomes import code_outcomes
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import ResampleBy

MAX_TEMPERATURE = 100.0

TARGET_ACCURACY = 0.8
"""Target accuracy of the default threshold, on recordings like the validation clips.

It does not carry over to other recordings: on other corpora, fewer than half of the predictions
above the threshold may be right (``emovox evaluate MODEL --corpus``).
"""

MIN_ANSWERED = 20
"""Minimum number of clips above a threshold for it to be considered."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperature and confidence threshold, fitted after training.

    Attributes:
        temperature: Divisor of the logits; 1 leaves the model as trained.
        min_confidence: Predictions below this confidence are "uncertain"; 0 disables abstention.
        n_clips: Number of clips that both were fitted on; 0 if not fitted.
        n_speakers: Number of speakers of these clips; 0 if unknown.
    """

    temperature: float = 1.0
    min_confidence: float = 0.0
    n_clips: int = 0
    n_speakers: int = 0

    def to_dict(self) -> dict[str, float]:
        """Return the calibration as JSON-ready types, keyed by attribute."""
        return asdict(self)


def calibrate(predictions: Predictions) -> Calibration:
    """Fit the temperature, then the threshold on the rescaled predictions of the same clips.

    Args:
        predictions: Uncalibrated predictions for clips used neither to train nor to test the model.

    Returns:
        Temperature and threshold.
    """
    temperature = fit_temperature(predictions)
    probabilities = apply_temperature(predictions.probabilities, temperature)
    return Calibration(
        temperature=temperature,
        min_confidence=fit_min_confidence(replace(predictions, probabilities=probabilities)),
        n_clips=len(predictions),
        n_speakers=predictions.n_speakers,
    )


def fit_min_confidence(predictions: Predictions, target: float = TARGET_ACCURACY) -> float:
    """Find the lowest confidence threshold that reaches a target accuracy.

    This is selective classification with a target accuracy (Geifman and El-Yaniv 2017, *Selective
    Classification for Deep Neural Networks*), without their guarantee: on other clips the accuracy
    may be lower or higher. Picking the lowest of a hundred thresholds favors chance hits, so the
    mean confidence above the threshold must reach the target as well.

    Args:
        predictions: Calibrated predictions for clips used neither to train nor to test the model.
        target: Target accuracy of the predictions above the threshold, in [0, 1].

    Returns:
        The threshold, in steps of 0.01. At least ``MIN_ANSWERED`` clips are above it, and both
        their accuracy and their mean confidence are at least ``target``. If no threshold satisfies
        this, ``target`` itself.
    """
    confidence = predictions.probabilities.max(axis=1)
    correct = predictions.predicted == predictions.true
    for hundredth in range(100):
        answered = confidence >= hundredth / 100
        if np.count_nonzero(answered) < MIN_ANSWERED:
            break
        if min(correct[answered].mean(), confidence[answered].mean()) >= target:
            return hundredth / 100
    return target


def fit_temperature(predictions: Predictions) -> float:
    """Find the temperature that minimizes the log-loss.

    One number divides all logits and changes no predicted class (Guo et al. 2017, *On Calibration
    of Modern Neural Networks*). It must be fitted on clips used neither to train nor to test.

    Args:
        predictions: Uncalibrated predictions for clips that the model was not trained on.

    Returns:
        The temperature, in [0.01, 100]; above 1 if the model is overconfident.
    """
    # A class that was not trained on has probability 0 in every prediction, at any temperature.
    predicted = np.any(predictions.probabilities > 0, axis=0)  # (classes,)
    seen = np.asarray(predicted)[predictions.true]
    if not seen.any():
        return 1.0
    probabilities, true = predictions.probabilities[seen], predictions.true[seen]

    def mean_log_loss(log_temperature: float) -> float:
        scaled = apply_temperature(probabilities, float(np.exp(log_temperature)))
        of_true = scaled[np.arange(len(true)), true]
        return -float(np.log(np.maximum(of_true, np.finfo(np.float64).tiny)).mean())

    limit = float(np.log(MAX_TEMPERATURE))
    found = minimize_scalar(mean_log_loss, bounds=(-limit, limit), method="bounded")
    return float(np.exp(found.x))


def apply_temperature(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Rescale softmax probabilities as if their logits were divided by a temperature.

    Args:
        probabilities: Probabilities at temperature 1, float64 ``(clips, classes)``.
        temperature: Divisor of the logits, above 0.

    Returns:
        float64 ``(clips, classes)``; rows sum to 1.
    """
    # The smallest float32 is 1e-45: probabilities rounded to zero are set to it.
    logits = np.log(np.maximum(probabilities, 1e-45)) / temperature
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalized: FloatArray = scaled / scaled.sum(axis=1, keepdims=True)
    return normalized


def bootstrap_calibration_error(
    predictions: Predictions, resample_by: ResampleBy, generator: np.random.Generator
) -> Interval:
    """Return the interval of the expected calibration error.

    The error sums absolute differences, so resampling noise inflates it. The draws are therefore
    shifted to have the measured error as their median.

    Args:
        predictions: Predictions for the test clips.
        resample_by: Resample whole speakers or splits and clips within them, or single clips.
        generator: Source of randomness; the same state gives the same bytes.

    Returns:
        The 95% interval, in [0, 1].
    """
    confidence = predictions.probabilities.max(axis=1)
    correct = predictions.predicted == predictions.true
    # A draw needs only each clip's bin and whether its prediction is right.
    outcomes = code_outcomes(bin_confidences(confidence)[1], correct.astype(np.int64))
    bins, right = outcomes.rows.T
    of_bin = (bins[:, None] == np.unique(bins)).astype(np.float64)  # (outcomes, bins)
    # Mean confidence minus correctness of each outcome.
    excess = np.bincount(outcomes.index, weights=confidence) / outcomes.counts - right

    def measure(counts: IntArray) -> FloatArray:
        gaps = np.abs((counts * excess) @ of_bin)  # (draws, bins)
        error: FloatArray = gaps.sum(axis=1) / counts.sum(axis=1)
        return error

    measured = measure(outcomes.counts[None])[0]

    def score(counts: IntArray) -> FloatArray:
        error = measure(counts)
        moved: FloatArray = np.maximum(error - np.median(error) + measured, 0)[None]
        return moved  # (1, draws)

    if resample_by == "clips":
        return bootstrap_over_clips(outcomes.index, score, generator)[0]
    groups = predictions.folds if resample_by == "splits" else predictions.speakers
    return bootstrap_over_speakers(outcomes.index, groups, score, generator)[0]
