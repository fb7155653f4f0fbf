"""What a run's scores show and what they do not, in plain words."""

from collections.abc import Sequence

import numpy as np

from emovox.corpora.registry import CORPORA
from emovox.evaluation.breakdown import ConfusedPair
from emovox.evaluation.metrics import Metrics, score_confusions
from emovox.evaluation.predictions import Predictions
from emovox.runs.scores import FoldEntry, RunScores

_FEW_CLIPS = 200
_WELL_CALIBRATED = 0.03

_ACTED_NOTE = (
    "Nothing here tells how the model does on everyday speech, other languages, noise or telephone "
    "lines. A label is the emotion that the actor was asked to portray, not what anyone felt."
)
_RAVDESS_NOTE = (
    "Acted speech: professional actors speak two fixed sentences in a studio, in North American "
    f"English. {_ACTED_NOTE}"
)


def count_words(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``"1 clip"`` or ``"1,440 clips"``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def describe_findings(
    scores: RunScores, metrics: Metrics, pairs: Sequence[ConfusedPair]
) -> list[str]:
    """Say what the test predictions show.

    Args:
        scores: The run's own account.
        metrics: Scores of all test predictions.
        pairs: The confused pairs, the most frequent first.

    Returns:
        A few sentences.

    Example:
        >>> describe_findings(scores, metrics, pairs)[1]  # doctest: +SKIP
        'Most often found: angry (22 of 24, 91.7%); least often: sad (6 of 18, 33.3%).'
    """
    baseline = score_most_frequent(metrics)[1]
    uar = scores.summary.uar
    if uar.low is None or uar.low > baseline:
        notes = [
            f"UA is {uar.mean / baseline:.1f} times that of one answer for all ({baseline:.1%})."
        ]
    else:
        notes = [
            f"It is not shown to do better than one answer for all: UA {baseline:.1%} lies within "
            "the interval or above it."
        ]
    present = [entry for entry in metrics.per_class if entry.support]
    ranked = sorted(present, key=lambda entry: -entry.recall)
    parts = [
        f"{entry.label} ({round(entry.recall * entry.support)} of {entry.support}, "
        f"{entry.recall:.1%})"
        for entry in (ranked[0], ranked[-1])
    ]
    notes.append(f"Most often found: {parts[0]}; least often: {parts[1]}.")
    if pairs and pairs[0].overall.count > 1:
        share = pairs[0].overall
        notes.append(
            f"Most frequent confusion: {pairs[0].true} taken for {pairs[0].predicted}, "
            f"{share.count} of {share.total}."
        )
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


def describe_temperatures(folds: Sequence[FoldEntry]) -> str:
    """Say what temperatures the folds have, and what they were fitted on.

    Args:
        folds: The folds' own account.

    Returns:
        A sentence.

    Example:
        >>> describe_temperatures(scores.folds)  # doctest: +SKIP
        'Temperature 5.12, fitted on 36 validation clips of 4 speakers.'
    """
    fitted = [fold.calibration for fold in folds if fold.calibration and fold.calibration.n_clips]
    if not fitted or len(fitted) < len(folds):
        return "Probabilities as trained, not calibrated: there were no validation clips."
    temperatures = sorted(entry.temperature for entry in fitted)
    clips = count_words(min(entry.n_clips for entry in fitted), "validation clip")
    speakers = count_words(min(entry.n_speakers for entry in fitted), "speaker")
    if len(fitted) == 1:
        return f"Temperature {temperatures[0]:.3g}, fitted on {clips} of {speakers}."
    return (
        f"Temperatures {temperatures[0]:.3g} to {temperatures[-1]:.3g}, each fitted on its fold's "
        f"validation clips (at least {clips} of {speakers})."
    )


def describe_limits(scores: RunScores, predictions: Predictions, corpus: str) -> list[str]:
    """Say what must not be read out of the scores.

    Args:
        scores: The run's own account.
        predictions: What the model said.
        corpus: Name of the corpus, as in the recipe.

    Returns:
        A few sentences, the most important first.

    Example:
        >>> describe_limits(scores, predictions, "ravdess")[0][:18]  # doctest: +SKIP
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
    elif not predictions.n_speakers:
        notes.append(
            "Speakers unknown: the corpus does not say who speaks, so that the test speakers may "
            "speak in the training clips too. For speakers that the model has never heard, expect "
            "lower scores."
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
    if corpus == "ravdess":
        notes.append(_RAVDESS_NOTE)
    elif corpus in CORPORA:
        notes.append(
            f"Acted speech, recorded for research, in {CORPORA[corpus].language}. {_ACTED_NOTE}"
        )
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
