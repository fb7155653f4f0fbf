"""Calibration: make a confidence of 60% right in 60 of 100 clips, and say what is too unsure."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from emovox.evaluation.intervals import Interval, bootstrap_over_clips, bootstrap_over_speakers
from emovox.evaluation.metrics import CALIBRATION_BINS, FloatArray, IntArray, bin_confidences
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import ResampleBy

MAX_TEMPERATURE = 100.0

TARGET_ACCURACY = 0.8
"""Of the clips that a model answers by default, so many shall be right."""

MIN_ANSWERED = 20
"""A share of fewer clips than these is no ground for a threshold."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a model needs to know how far to trust itself.

    Attributes:
        temperature: By which its logits are divided; 1: as trained.
        min_confidence: Below this it says "uncertain"; 0: never.
        n_clips: Clips that both were fitted on; 0: not fitted.
        n_speakers: Their speakers; 0: unknown.
    """

    temperature: float = 1.0
    min_confidence: float = 0.0
    n_clips: int = 0
    n_speakers: int = 0

    def to_dict(self) -> dict[str, float]:
        """Return the calibration as JSON-ready types, keyed by attribute."""
        return asdict(self)


def calibrate(predictions: Predictions) -> Calibration:
    """Fit the temperature, then the threshold of what it makes of the same clips.

    Args:
        predictions: Of a model as trained, on clips that neither train nor test it.

    Returns:
        Temperature and threshold.

    Example:
        >>> calibrate(validation_predictions).temperature  # doctest: +SKIP
        2.3
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
    """Find the lowest threshold above which enough answers are right.

    This is selective classification by a target of accuracy (Geifman and El-Yaniv 2017, *Selective
    Classification for Deep Neural Networks*), without their guarantee: on other clips the share may
    miss the target to either side. The lowest of a hundred thresholds that a few clips favour is a
    lucky one, so the answers' mean confidence has to reach the target as well.

    Args:
        predictions: Calibrated, on clips that neither train nor test the model.
        target: Share of right answers among those given, in [0, 1].

    Returns:
        The threshold in steps of 0.01: the lowest that leaves at least :data:`MIN_ANSWERED` clips
        of which the target's share is right, and is expected to be. Where there is none, the target
        itself: a calibrated confidence of 80% is right in 80 of 100.

    Example:
        >>> fit_min_confidence(predictions)  # doctest: +SKIP
        0.62
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
    """Find the temperature that makes predictions most probable.

    One number that divides all logits and changes no answer (Guo et al. 2017, *On Calibration of
    Modern Neural Networks*). What it is fitted on must be neither training nor test clips of the
    model that will use it.

    Args:
        predictions: Of a model as trained, on clips that it was not trained on.

    Returns:
        The temperature, in [0.01, 100]; over 1 where the model is too sure of itself.

    Example:
        >>> fit_temperature(predictions)  # doctest: +SKIP
        4.2
    """

    def mean_log_loss(log_temperature: float) -> float:
        scaled = apply_temperature(predictions.probabilities, float(np.exp(log_temperature)))
        of_true = scaled[np.arange(len(predictions)), predictions.true]
        return -float(np.log(np.maximum(of_true, np.finfo(np.float64).tiny)).mean())

    limit = float(np.log(MAX_TEMPERATURE))
    found = minimize_scalar(mean_log_loss, bounds=(-limit, limit), method="bounded")
    return float(np.exp(found.x))


def apply_temperature(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Return what a softmax gives when its logits are divided by a temperature.

    Args:
        probabilities: At temperature 1, float64 ``(clips, classes)``.
        temperature: Over 0.

    Returns:
        float64 ``(clips, classes)``; rows sum to 1.
    """
    # float32 holds nothing below 1e-45: what was rounded to zero is taken for that.
    logits = np.log(np.maximum(probabilities, 1e-45)) / temperature
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalized: FloatArray = scaled / scaled.sum(axis=1, keepdims=True)
    return normalized


def bootstrap_calibration_error(
    predictions: Predictions, resample_by: ResampleBy, generator: np.random.Generator
) -> Interval:
    """Return the interval of the expected calibration error.

    Chance differences of confidence and accuracy add up without their signs, so resampling makes
    the error larger. The draws are therefore moved until their median is the measured error.

    Args:
        predictions: On test clips.
        resample_by: Whole speakers or splits and clips within them, or single clips.
        generator: Source of randomness; the same state gives the same bytes.

    Returns:
        The 95% interval, in [0, 1].

    Example:
        >>> bootstrap_calibration_error(predictions, "speakers", generator)  # doctest: +SKIP
        Interval(low=0.021, high=0.063, level=0.95)
    """
    confidence = predictions.probabilities.max(axis=1)
    correct = predictions.predicted == predictions.true
    _, index = bin_confidences(confidence)
    # What a draw needs to know of a clip: its bin, and whether it is right.
    outcomes: IntArray = 2 * index + correct
    n_outcomes = 2 * CALIBRATION_BINS
    n_clips = np.bincount(outcomes, minlength=n_outcomes)
    sums = np.bincount(outcomes, weights=confidence, minlength=n_outcomes)
    # By how much a clip of an outcome is surer than it is right.
    excess = sums / np.maximum(n_clips, 1) - np.arange(n_outcomes) % 2

    def score(counts: IntArray) -> FloatArray:
        padded = np.pad(counts, ((0, 0), (0, n_outcomes - counts.shape[1])))
        gaps = (padded * excess).reshape(len(counts), CALIBRATION_BINS, 2)  # (draws, bins, 2)
        error = np.abs(gaps.sum(axis=2)).sum(axis=1) / counts.sum(axis=1)
        moved: FloatArray = np.maximum(error - np.median(error) + measured, 0)[np.newaxis]
        return moved  # (1, draws)

    gaps = (n_clips * excess).reshape(CALIBRATION_BINS, 2)  # (bins, 2)
    measured = float(np.abs(gaps.sum(axis=1)).sum() / correct.size)
    if resample_by == "clips":
        return bootstrap_over_clips(outcomes, score, generator)[0]
    groups = predictions.speakers if resample_by == "speakers" else predictions.folds
    return bootstrap_over_speakers(outcomes, groups, score, generator)[0]
