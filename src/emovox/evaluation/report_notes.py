"""What a run's scores show and what they do not, in plain words."""

import numpy as np

from emovox.evaluation.metrics import Metrics, score_confusions
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.run_files import RunScores

_FEW_CLIPS = 200
_WELL_CALIBRATED = 0.03

_RAVDESS_NOTE = (
    "Acted speech: professional actors speak two fixed sentences in a studio, in North American "
    "English. Nothing here tells how the model does on everyday speech, other languages, noise or "
    "telephone lines. A label is the emotion that the actor was asked to portray, not what anyone "
    "felt."
)


def count_words(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``"1 clip"`` or ``"1,440 clips"``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def describe_findings(metrics: Metrics) -> list[str]:
    """Say what the test predictions show.

    Args:
        metrics: Scores of all test predictions.

    Returns:
        A few sentences.

    Example:
        >>> describe_findings(metrics)[0]  # doctest: +SKIP
        'Most often found: angry (22 of 24, 91.7%); least often: sad (6 of 18, 33.3%).'
    """
    present = [entry for entry in metrics.per_class if entry.support]
    ranked = sorted(present, key=lambda entry: -entry.recall)
    parts = [
        f"{entry.label} ({round(entry.recall * entry.support)} of {entry.support}, "
        f"{entry.recall:.1%})"
        for entry in (ranked[0], ranked[-1])
    ]
    notes = [f"Most often found: {parts[0]}; least often: {parts[1]}."]
    if metrics.absent_classes:
        notes.append(
            f"No test clip of: {', '.join(metrics.absent_classes)}. "
            "Nothing is known of these, and no mean counts them."
        )
    n_tests = sum(entry.count for entry in metrics.calibration_bins)
    confidence = sum(b.confidence * b.count for b in metrics.calibration_bins) / n_tests
    gap = confidence - metrics.accuracy
    verdict = "about as sure as it is right"
    if abs(gap) > _WELL_CALIBRATED:
        verdict = "too sure of itself" if gap > 0 else "less sure of itself than it could be"
    notes.append(
        f"On average it is {verdict}: mean confidence {confidence:.1%}, right in "
        f"{metrics.accuracy:.1%}; expected calibration error "
        f"{100 * metrics.expected_calibration_error:.1f} points."
    )
    return notes


def describe_limits(
    scores: RunScores, metrics: Metrics, predictions: Predictions, corpus: str
) -> list[str]:
    """Say what must not be read out of the scores.

    Args:
        scores: The run's own account.
        metrics: Scores of all test predictions.
        predictions: What the model said.
        corpus: Name of the corpus, as in the recipe.

    Returns:
        A few sentences, the most important first.

    Example:
        >>> describe_limits(scores, metrics, predictions, "ravdess")[0][:18]  # doctest: +SKIP
        'Speaker-dependent:'
    """
    n_clips = np.unique(predictions.clips).size
    speakers = count_words(np.unique(predictions.speakers).size, "speaker")
    notes = []
    if scores.protocol.speaker_independent:
        notes.append(
            "Speaker-independent: no test speaker was heard in training. The scores speak for new "
            f"voices, as far as these {speakers} are like them."
        )
    else:
        notes.append(
            f"Speaker-dependent: the {speakers} of the test clips also speak in the training "
            "clips. For voices that the model has never heard, expect lower scores; a "
            "speaker-independent protocol measures that."
        )
    if n_clips < _FEW_CLIPS:
        n_per_test = scores.folds[0].n_clips if scores.folds else len(predictions)
        width = scores.summary.accuracy
        interval = ""
        if width.low is not None and width.high is not None:
            interval = f", and the interval is {100 * (width.high - width.low):.0f} points wide"
        notes.append(
            f"Few clips: in a test of {n_per_test}, one clip is {100 / n_per_test:.1f} points"
            f"{interval}. A few points between two models mean nothing here; 'emovox compare' "
            "says whether the clips show one better."
        )
    if len(predictions) > n_clips:
        notes.append(
            f"Repeated splits: {count_words(n_clips, 'clip')} were tested {len(predictions):,} "
            f"times over {scores.n_folds} splits. Tables and figures pool all tests, so a clip "
            "counts as often as it was drawn. The interval is for other splits of the same clips, "
            "not for new clips or speakers."
        )
    if scores.n_seeds == 1:
        notes.append(
            "One seed: training again with another would move the scores by an amount that this "
            "run does not measure."
        )
    if metrics.absent_classes:
        notes.append("Some emotions have no test clip: see the findings.")
    if corpus == "ravdess":
        notes.append(_RAVDESS_NOTE)
    return notes


def score_most_frequent(metrics: Metrics) -> tuple[float, float, float]:
    """Score a model that always answers the most frequent emotion: what no model should be below.

    Args:
        metrics: Scores of all test predictions.

    Returns:
        Accuracy, UAR and macro F1, each in [0, 1].

    Example:
        >>> score_most_frequent(metrics)[0]  # doctest: +SKIP
        0.133
    """
    support = metrics.confusion.sum(axis=1)
    constant = np.zeros_like(metrics.confusion)
    constant[:, support.argmax()] = support
    accuracy, uar, f1 = score_confusions(constant[None])[:, 0].tolist()
    return accuracy, uar, f1
