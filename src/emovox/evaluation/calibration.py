"""Calibration: make a confidence of 60% right in 60 of 100 clips."""

import numpy as np
from scipy.optimize import minimize_scalar

from emovox.evaluation.metrics import FloatArray
from emovox.evaluation.predictions import Predictions

MAX_TEMPERATURE = 100.0


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
