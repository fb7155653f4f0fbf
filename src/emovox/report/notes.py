"""Explain in plain words what the scores of a run or a model file show, and what they do not."""

from collections.abc import Sequence

import numpy as np

from emovox.corpora.registry import CORPORA
from emovox.evaluation.abstention import Answered
from emovox.evaluation.breakdown import ConfusedPair
from emovox.evaluation.calibration import TARGET_ACCURACY
from emovox.evaluation.metrics import Metrics, score_confusions
from emovox.evaluation.predictions import Predictions
from emovox.runs.scores import FoldEntry, ModelEntry, ModelScores, RunScores, ScoreEntry
from emovox.wording import count

_FEW_CLIPS = 200
_SHOWN = 5
_WELL_CALIBRATED = 0.03

_ACTED_NOTE = (
    "The scores say nothing about everyday speech, other languages, noise or telephone lines. "
    "A label is the emotion that the actor was asked to portray, not what anyone felt."
)
_RAVDESS_NOTE = (
    "Acted speech: professional actors speak two fixed sentences in a studio, in North American "
    f"English. {_ACTED_NOTE}"
)


def describe_findings(
    uar: ScoreEntry, metrics: Metrics, pairs: Sequence[ConfusedPair]
) -> list[str]:
    """Describe what the test predictions show.

    Args:
        uar: Mean recall over classes, with its interval.
        metrics: Scores of all test predictions.
        pairs: Confused pairs, the most frequent first.

    Returns:
        A few sentences.
    """
    baseline = score_majority_baseline(metrics)[1]
    if uar.low is None or uar.low > baseline:
        notes = [f"UA is {uar.mean / baseline:.1f} times the majority baseline ({baseline:.1%})."]
    else:
        notes = [
            "The data do not show that it beats the majority baseline: "
            f"UA {baseline:.1%} is within the interval or above it."
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
            f"Most frequent confusion: {pairs[0].true} predicted as {pairs[0].predicted}, "
            f"{share.count} of {share.total}."
        )
    if metrics.absent_classes:
        notes.append(
            f"No test clip of: {', '.join(metrics.absent_classes)}. "
            "The scores say nothing about these, and no mean counts them."
        )
    return notes


def describe_confidence(metrics: Metrics) -> str:
    """Describe whether confidence and accuracy agree on average.

    Args:
        metrics: Metrics of the calibrated predictions.

    Returns:
        A sentence.
    """
    n_tests = sum(entry.count for entry in metrics.calibration_bins)
    confidence = sum(b.confidence * b.count for b in metrics.calibration_bins) / n_tests
    gap = confidence - metrics.accuracy
    verdict = "neither overconfident nor underconfident"
    if abs(gap) > _WELL_CALIBRATED:
        verdict = "overconfident" if gap > 0 else "underconfident"
    return (
        f"On average it is {verdict}: mean confidence {confidence:.1%}, accuracy "
        f"{metrics.accuracy:.1%}; expected calibration error "
        f"{100 * metrics.expected_calibration_error:.1f} points."
    )


def describe_temperatures(folds: Sequence[FoldEntry]) -> str:
    """Describe the folds' temperatures, and the clips that they were fitted on.

    Args:
        folds: Entries of the folds in ``metrics.json``.

    Returns:
        A sentence.
    """
    fitted = [fold.calibration for fold in folds if fold.calibration and fold.calibration.n_clips]
    if not fitted or len(fitted) < len(folds):
        return "Probabilities as trained, not calibrated: there were no validation clips."
    temperatures = sorted(entry.temperature for entry in fitted)
    clips = count(min(entry.n_clips for entry in fitted), "validation clip")
    speakers = count(min(entry.n_speakers for entry in fitted), "speaker")
    if len(fitted) == 1:
        return f"Temperature {temperatures[0]:.3g}, fitted on {clips} of {speakers}."
    return (
        f"Temperatures {temperatures[0]:.3g} to {temperatures[-1]:.3g}, each fitted on its fold's "
        f"validation clips (at least {clips} of {speakers})."
    )


def describe_limits(scores: RunScores, predictions: Predictions, corpus: str) -> list[str]:
    """Describe the limits of a run's scores.

    Args:
        scores: Content of ``metrics.json``.
        predictions: Predictions for the test clips.
        corpus: Name of the corpus in the recipe.

    Returns:
        A few sentences, the most important first.
    """
    n_clips = np.unique(predictions.clips).size
    speakers = count(np.unique(predictions.speakers).size, "speaker")
    notes = []
    if scores.protocol.speaker_independent:
        notes.append(
            "Speaker-independent: no test speaker is in the training data. The scores hold for "
            f"unseen speakers, as far as these {speakers} stand for them."
        )
    elif not predictions.n_speakers:
        notes.append(
            "Speakers unknown: the corpus does not name its speakers, so the test speakers may "
            "also be in the training clips. Expect lower scores for unseen speakers."
        )
    else:
        notes.append(
            f"Speaker-dependent: the {speakers} of the test clips also speak in the training "
            "clips. Expect lower scores for unseen speakers; a speaker-independent protocol "
            "measures them."
        )
    if n_clips < _FEW_CLIPS:
        n_per_test = scores.folds[0].n_clips if scores.folds else len(predictions)
        notes.append(
            f"{describe_few(n_per_test, scores.summary.accuracy)} A few points between two models "
            "mean nothing here; 'emovox compare' says whether the data show one to be better."
        )
    if len(predictions) > n_clips:
        notes.append(
            f"Repeated splits: {count(n_clips, 'clip')} were tested {len(predictions):,} "
            f"times over {scores.n_folds} splits. Tables and figures pool all tests, so a clip "
            "counts as often as it was drawn. The interval is for other splits of the same clips, "
            "not for other clips or speakers."
        )
    if scores.over_corpora:
        notes.append(
            "Means over corpora: WA, UA and F1 are means of the corpora left out, each tested by a "
            "model that was trained on the others, over the labels that both have. Tables and "
            "figures of emotions, speakers and confidence pool the clips of all corpora."
        )
    if scores.n_seeds == 1:
        notes.append(
            "One seed: training again with another would move the scores by an amount that this "
            "run does not measure."
        )
    return notes + describe_corpus(corpus)


def describe_few(n_clips: int, accuracy: ScoreEntry) -> str:
    """Describe how coarse a test of few clips is."""
    interval = ""
    if accuracy.low is not None and accuracy.high is not None:
        interval = f", and the interval is {100 * (accuracy.high - accuracy.low):.0f} points wide"
    return f"Few clips: in a test of {n_clips}, one clip is {100 / n_clips:.1f} points{interval}."


def describe_corpus(corpus: str) -> list[str]:
    """Describe the recordings of a known corpus, or of several joined by commas."""
    if corpus == "ravdess":
        return [_RAVDESS_NOTE]
    known = [CORPORA[name] for name in corpus.split(", ") if name in CORPORA]
    if known:
        languages = " and ".join(dict.fromkeys(entry.language for entry in known))
        return [f"Acted speech, recorded for research, in {languages}. {_ACTED_NOTE}"]
    return []


def describe_own_threshold(own: Answered | None, n_folds: int, predictions: Predictions) -> str:
    """Describe abstention at the thresholds of a run's models.

    Args:
        own: Predictions kept at these thresholds; ``None`` if none was fitted.
        n_folds: Number of folds, each with its own model.
        predictions: Predictions for the test clips.

    Returns:
        A sentence.
    """
    if own is None:
        return "No threshold was fitted: there were no validation clips."
    whose = "its" if n_folds == 1 else "each fold’s"
    unit = "tests" if np.unique(predictions.clips).size < len(predictions) else "clips"
    return (
        f"At {whose} own threshold, fitted on validation clips for an accuracy of "
        f"{TARGET_ACCURACY:.0%}, it names an emotion for {own.coverage:.1%} of the test {unit}"
        f"{_describe_accuracy(own)}. That target holds for recordings like the validation clips "
        "only."
    )


def describe_training(model: ModelEntry) -> str:
    """Describe the training data of a model file."""
    clips = count(model.training_clips, "clip")
    return f"{', '.join(model.training_corpora)} ({clips})"


def describe_model_temperature(model: ModelEntry) -> str:
    """Describe the calibration of a model file."""
    if model.temperature == 1:
        return "The model file has temperature 1: it was never calibrated."
    return f"Temperature {model.temperature:.3g}, fitted on other recordings than these."


def describe_model_threshold(own: Answered, scores: ModelScores) -> str:
    """Describe abstention of a model file as shipped, and its limits on other corpora.

    Args:
        own: Predictions kept at the model's own threshold.
        scores: Content of ``metrics.json``.

    Returns:
        A few sentences.
    """
    text = (
        f"At its own threshold of {scores.model.min_confidence:.3g}, the model as shipped names an "
        f"emotion for {own.coverage:.1%} of the clips{_describe_accuracy(own)}."
    )
    if scores.no_speech:
        n_silent = count(len(scores.no_speech), "clip")
        text += f" In {n_silent}, too little speech was detected, so the model names no emotion."
    if scores.corpus.is_unseen:
        text += (
            " The threshold was fitted on other recordings. “Uncertain” is "
            "therefore no safeguard here: what counts is the share measured on this page."
        )
    return text


def describe_model_limits(scores: ModelScores, predictions: Predictions) -> list[str]:
    """Describe the limits of a model file's scores.

    Args:
        scores: Content of ``metrics.json``.
        predictions: Predictions over all labels of the model.

    Returns:
        A few sentences, the most important first.
    """
    speakers = count(np.unique(predictions.speakers).size, "speaker")
    notes = []
    if not scores.corpus.is_unseen:
        notes.append(
            f"Not unseen: {scores.corpus.reason}. For the scores of a recipe on clips that its "
            "models were not trained on, see a run's own report."
        )
    elif scores.corpus.speakers_known:
        notes.append(
            "Unseen according to the model file: it names no training data that these clips "
            f"could be part of. The scores hold for other speakers as far as these {speakers} "
            "stand for them."
        )
    if scores.model.encoder_training:
        notes.append(scores.model.encoder_training)
    if not scores.corpus.speakers_known:
        notes.append(
            "The corpus does not name its speakers, so the intervals treat clips as independent. "
            "If one person speaks many of them, the true intervals are wider: name the speakers."
        )
    missing = [label for label in scores.model.labels if label not in scores.labels]
    if missing:
        notes.append(
            f"WA, UA and F1 are over the {len(scores.labels)} labels that model and corpus share: "
            f"the model was not allowed to predict {', '.join(missing)}. As shipped, it may "
            "predict these, which is wrong here; confidence and abstention are therefore measured "
            "over all its labels."
        )
    if len(predictions) < _FEW_CLIPS:
        notes.append(describe_few(len(predictions), scores.summary.accuracy))
    unused = list(scores.notes)
    if scores.other_labels:
        names = ", ".join(f"{label} ({n:,})" for label, n in scores.other_labels.items())
        unused.append(f"labels that the model lacks: {names}")
    if scores.unusable:
        names = ", ".join(entry.clip for entry in scores.unusable[:_SHOWN])
        more = len(scores.unusable) - _SHOWN
        names += f" and {more:,} more" if more > 0 else ""
        unused.append(f"{count(len(scores.unusable), 'clip')} that cannot be used: {names}")
    if unused:
        notes.append(f"Not scored: {'; '.join(unused)}.")
    return notes + describe_corpus(scores.corpus.source)


def _describe_accuracy(own: Answered) -> str:
    """Return a clause on the accuracy of the kept predictions, to follow their coverage."""
    return "" if own.accuracy is None else f" and is right in {own.accuracy:.1%} of these"


def score_majority_baseline(metrics: Metrics) -> tuple[float, float, float]:
    """Score the majority baseline, which always predicts the most frequent emotion.

    Args:
        metrics: Metrics of all test predictions.

    Returns:
        Accuracy, UAR and macro F1, each in [0, 1].
    """
    support = metrics.confusion.sum(axis=1)
    constant = np.zeros_like(metrics.confusion)
    constant[:, support.argmax()] = support
    accuracy, uar, f1 = score_confusions(constant[None])[:, 0].tolist()
    return accuracy, uar, f1
