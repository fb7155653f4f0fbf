"""Summarize a run in three scores with intervals, and format each as one line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from emovox.corpora.clips import describe_speakers
from emovox.corpora.loco import LOCO
from emovox.evaluation.intervals import Interval, interval_over_splits
from emovox.evaluation.metrics import (
    SCORE_NAMES,
    FloatArray,
    IntArray,
    count_confusions,
    score_confusions,
)
from emovox.evaluation.outcomes import code_outcomes, score_models
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.resampling import find_intervals, name_interval
from emovox.wording import count, name_speaker_rule

ResampleBy = Literal["speakers", "splits", "clips", "corpora"]
"""Unit that an interval resamples: whole speakers, repeated splits, single clips, or the speakers
within each of several corpora."""

ScoreName = Literal["WA", "UA", "F1"]

# With fewer speakers that are also in training, clips are resampled instead.
_MIN_SEEN_SPEAKERS = 10


@dataclass(frozen=True, slots=True)
class Score:
    """One score over all test clips, with its interval.

    Attributes:
        name: ``"WA"`` (accuracy), ``"UA"`` (mean recall over classes) or ``"F1"`` (macro F1).
        value: The score in [0, 1]: the mean over splits or corpora if these are what the interval
            is over, otherwise the score of all test clips pooled over the folds.
        interval: Interval of ``value``, in [0, 1].
        folds: The score of each fold separately, in the order of ``Summary.folds``.
    """

    name: str
    value: float
    interval: Interval
    folds: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the score as JSON-ready types."""
        return {
            "value": self.value,
            "interval": self.interval.to_dict(),
            "folds": list(self.folds),
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """The three scores of a run, and the data they are based on.

    Attributes:
        wa: Accuracy.
        ua: Mean recall over classes (UAR).
        f1: Macro F1.
        folds: Names of the folds or splits, sorted.
        n_clips: Number of distinct test clips.
        n_speakers: Number of distinct test speakers.
        resample_by: Unit that the intervals resample.
        n_resampled_seeds: Number of seeds that the intervals also cover; 1 if they cover no other
            seeds.
    """

    wa: Score
    ua: Score
    f1: Score
    folds: tuple[str, ...]
    n_clips: int
    n_speakers: int
    resample_by: ResampleBy
    n_resampled_seeds: int = 1

    @property
    def n_folds(self) -> int:
        """Number of folds or splits."""
        return len(self.folds)

    @property
    def scores(self) -> tuple[Score, Score, Score]:
        """WA, UA and F1, in this order."""
        return self.wa, self.ua, self.f1

    @property
    def interval_name(self) -> str:
        """Kind of the intervals, such as ``"t interval over 9 speakers"``."""
        units = {"clips": self.n_clips, "speakers": self.n_speakers}
        n_units = units.get(self.resample_by, self.n_folds)
        return name_interval(self.resample_by, n_units, self.n_resampled_seeds)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready types."""
        return {
            **{score.name: score.to_dict() for score in self.scores},
            "folds": list(self.folds),
            "n_clips": self.n_clips,
            "n_speakers": self.n_speakers,
            "n_folds": self.n_folds,
            "resample_by": self.resample_by,
            "interval": self.interval_name,
        }


def choose_resampling(
    predictions: Predictions, *, speaker_independent: bool, protocol: str = ""
) -> ResampleBy:
    """Choose the unit that intervals resample, given the protocol.

    Args:
        predictions: Predictions of all folds.
        speaker_independent: Whether the protocol keeps test speakers out of training.
        protocol: Name of the protocol.

    Returns:
        ``"corpora"`` under ``loco``; ``"splits"`` if clips are tested in more than one fold
        (``reference-repeated``); ``"clips"`` with one test speaker, or fewer than 10 that are also
        in training (``reference``); otherwise ``"speakers"``.
    """
    if protocol == LOCO:
        return "corpora"
    if np.unique(predictions.clips).size < len(predictions):
        return "splits"
    n_speakers = np.unique(predictions.speakers).size
    if n_speakers < (2 if speaker_independent else _MIN_SEEN_SPEAKERS):
        return "clips"
    return "speakers"


def summarize(
    predictions: Predictions, resample_by: ResampleBy, generator: np.random.Generator
) -> Summary:
    """Score a run, with a 95% interval for each score.

    Folds that partition the corpus (``emobox-6``, ``luna-5``, ``loso``, ``random-10``) are scored
    as one set of clips, each tested once; the score of each fold is reported too. Repeated splits
    are scored one by one, and their scores averaged.

    Args:
        predictions: Predictions of all folds.
        resample_by: Unit that the intervals resample; see ``choose_resampling``.
        generator: Source of randomness; the same state gives the same bytes.

    Returns:
        The scores with intervals, and the data they are based on.

    Raises:
        ValueError: If ``resample_by`` does not fit: ``"splits"`` requires two folds,
            ``"speakers"`` two speakers, and ``"speakers"`` and ``"clips"`` distinct clips.
    """
    return summarize_seeds([predictions], resample_by, generator)


def summarize_seeds(
    seeds: Sequence[Predictions],
    resample_by: ResampleBy,
    generator: np.random.Generator,
    *,
    resample_seeds: bool = False,
) -> Summary:
    """Average the scores of trainings that differ only in seed.

    Each resample draws the same clips for every seed. The interval therefore shows how the mean
    over these seeds would vary with other speakers.

    Args:
        seeds: Predictions for the same test clips, one entry per seed.
        resample_by: Unit that the intervals resample; see ``choose_resampling``.
        generator: Source of randomness; the same state gives the same bytes.
        resample_seeds: Let the intervals cover other seeds as well. Over splits they always do,
            because each split is trained separately.

    Returns:
        The mean scores with intervals, and the data they are based on.

    Raises:
        ValueError: If the seeds did not test the same clips, or ``resample_by`` does not fit.
    """
    seeds = align_seeds(seeds)
    predictions = seeds[0]
    by_fold = np.mean([score_folds(part) for part in seeds], axis=0)
    if resample_by == "splits":
        values = by_fold.mean(axis=1)
        intervals = tuple(interval_over_splits(row, generator) for row in by_fold)
    else:
        outcomes = code_outcomes(predictions.true, *(part.predicted for part in seeds))
        of_models = score_models(outcomes, len(predictions.labels))

        def score(counts: IntArray) -> FloatArray:
            mean: FloatArray = of_models(counts).mean(axis=0)
            return mean

        of_seeds = of_models(outcomes.counts[None])[..., 0]  # (seeds, scores)
        if resample_by == "corpora":
            of_seeds = average_folds(seeds)
        values = of_seeds.mean(axis=0)
        intervals = find_intervals(
            outcomes.index,
            predictions,
            resample_by,
            score,
            generator,
            seeds=[of_seeds] if resample_seeds else (),
        )
    wa, ua, f1 = (
        Score(name, float(value), interval, tuple(folds.tolist()))
        for name, value, interval, folds in zip(
            SCORE_NAMES, values, intervals, by_fold, strict=True
        )
    )
    return Summary(
        wa=wa,
        ua=ua,
        f1=f1,
        folds=tuple(np.unique(predictions.folds).tolist()),
        n_clips=int(np.unique(predictions.clips).size),
        n_speakers=predictions.n_speakers,
        resample_by=resample_by,
        n_resampled_seeds=len(seeds) if resample_seeds else 1,
    )


def align_seeds(seeds: Sequence[Predictions]) -> list[Predictions]:
    """Sort the predictions of several trainings by fold and clip.

    Args:
        seeds: Predictions for the same test clips, one entry per seed.

    Returns:
        The predictions, with the same clip in each row of every entry.

    Raises:
        ValueError: If the seeds did not test the same clips.
    """
    aligned = [sort_rows(part) for part in seeds]
    for part in aligned[1:]:
        same = [
            np.array_equal(getattr(part, column), getattr(aligned[0], column))
            for column in ("clips", "folds", "speakers", "genders", "true")
        ]
        if not all(same) or part.labels != aligned[0].labels:
            raise ValueError("found seeds that tested different clips; expected the same folds")
    return aligned


def sort_rows(predictions: Predictions) -> Predictions:
    """Return the predictions sorted by fold and clip."""
    return predictions.select(np.lexsort((predictions.clips, predictions.folds)))


def score_folds(predictions: Predictions) -> FloatArray:
    """Score each fold separately.

    Args:
        predictions: Predictions of all folds.

    Returns:
        WA, UA and macro F1, float64 ``(3, folds)``, folds sorted by name.
    """
    names, fold_index = np.unique(predictions.folds, return_inverse=True)
    of_fold = fold_index == np.arange(names.size)[:, None]  # (folds, clips)
    return score_confusions(
        count_confusions(of_fold, predictions.true, predictions.predicted, len(predictions.labels))
    )


def average_folds(seeds: Sequence[Predictions]) -> FloatArray:
    """Return each training's mean scores over its folds, float64 ``(seeds, 3)``."""
    means: FloatArray = np.array([score_folds(part) for part in seeds]).mean(axis=2)
    return means


def describe_score(
    summary: Summary,
    name: ScoreName,
    *,
    protocol: str,
    version: int,
    speaker_independent: bool,
    n_seeds: int,
) -> str:
    """Format a score with its interval and basis as one line.

    Args:
        summary: The run's scores.
        name: Name of the score.
        protocol: Name of the protocol.
        version: Version of the protocol.
        speaker_independent: Whether the protocol keeps test speakers out of training.
        n_seeds: Number of trainings with different seeds for each fold.

    Returns:
        Score and interval in percent, the protocol, the seeds, the clips and speakers; for
        repeated splits or corpora their range as well.
    """
    score = summary.scores[SCORE_NAMES.index(name)]
    text = f"{name} {format_score(score, summary.interval_name)}"
    if summary.resample_by in ("splits", "corpora"):
        low, high = 100 * min(score.folds), 100 * max(score.folds)
        text += f", mean of {summary.n_folds} {summary.resample_by} ({low:.1f} to {high:.1f})"
    return (
        f"{text}, {protocol} v{version}, {name_speaker_rule(speaker_independent)}, "
        f"{count(n_seeds, 'seed')}, "
        f"{count(summary.n_clips, 'clip')} of {describe_speakers(summary.n_speakers)}"
    )


def format_score(score: Score, interval_name: str) -> str:
    """Return a score and its interval in percent: ``66.7 (95% interval 51.2 to 80.1)``."""
    interval = score.interval
    # What a bootstrap resamples follows from the protocol; a t interval says what it rests on.
    kind = f"{interval_name}:" if interval_name.startswith("t ") else "interval"
    return (
        f"{100 * score.value:.1f} ({100 * interval.level:g}% {kind} "
        f"{100 * interval.low:.1f} to {100 * interval.high:.1f})"
    )


def describe_basis(summary: Summary, label: str, n_seeds: int = 1) -> str:
    """Return what a table of scores rests on, as the line above it.

    Args:
        summary: The scores.
        label: Protocol, version, and whether test speakers were trained on.
        n_seeds: Number of trainings from different seeds behind each fold.

    Returns:
        The line.
    """
    folds, seeds = count(summary.n_folds, "fold"), count(n_seeds, "seed")
    clips, speakers = count(summary.n_clips, "clip"), describe_speakers(summary.n_speakers)
    intervals = summary.interval_name.replace("interval", "intervals")
    return f"{label}: {folds}, {seeds}, {clips} of {speakers}; percent, 95% {intervals}"
