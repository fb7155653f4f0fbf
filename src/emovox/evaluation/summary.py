"""One line for a score: the number, how far to trust it, and what it rests on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from emovox.corpora.clips import describe_speakers
from emovox.evaluation.intervals import (
    Interval,
    bootstrap_over_clips,
    bootstrap_over_speakers,
    interval_over_splits,
)
from emovox.evaluation.metrics import (
    SCORE_NAMES,
    FloatArray,
    IntArray,
    count_confusions,
    score_confusions,
)
from emovox.evaluation.predictions import Predictions

ResampleBy = Literal["speakers", "splits", "clips"]
"""What an interval resamples: whole speakers, repeated splits, or single clips."""

ScoreName = Literal["WA", "UA", "F1"]

# Speakers that training knows too are no sample of new ones; this few cannot stand for the rest.
_FEW_SPEAKERS = 10


@dataclass(frozen=True, slots=True)
class Score:
    """One score over all test clips, with its interval.

    Attributes:
        name: ``"WA"`` (accuracy), ``"UA"`` (mean recall over classes) or ``"F1"`` (macro F1).
        value: The score in [0, 1]: the mean over splits where splits are resampled, else the
            score of all test clips pooled over the folds.
        interval: Its interval, in [0, 1].
        folds: The score of each fold by itself, in the order of ``Summary.folds``.
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
    """The three scores of a run, and what they rest on.

    Attributes:
        wa: Accuracy.
        ua: Mean recall over classes (UAR).
        f1: Macro F1.
        folds: Names of the folds or splits, sorted.
        n_clips: Number of different test clips.
        n_speakers: Number of different test speakers.
        resample_by: What the intervals resample.
    """

    wa: Score
    ua: Score
    f1: Score
    folds: tuple[str, ...]
    n_clips: int
    n_speakers: int
    resample_by: ResampleBy

    @property
    def n_folds(self) -> int:
        """Number of folds or splits."""
        return len(self.folds)

    @property
    def scores(self) -> tuple[Score, Score, Score]:
        """WA, UA and F1, in this order."""
        return self.wa, self.ua, self.f1

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready types."""
        return {
            **{score.name: score.to_dict() for score in self.scores},
            "folds": list(self.folds),
            "n_clips": self.n_clips,
            "n_speakers": self.n_speakers,
            "n_folds": self.n_folds,
            "resample_by": self.resample_by,
        }


def choose_resampling(predictions: Predictions, *, speaker_independent: bool) -> ResampleBy:
    """Say what an interval has to resample, given how the predictions came about.

    Args:
        predictions: Those of all folds.
        speaker_independent: Whether the protocol keeps test speakers out of training.

    Returns:
        ``"splits"`` where clips are tested in more than one fold (``reference-repeated``);
        ``"clips"`` where one speaker is tested, or fewer than 10 that training knows too
        (``reference``); else ``"speakers"``.

    Example:
        >>> choose_resampling(predictions, speaker_independent=True)  # doctest: +SKIP
        'speakers'
    """
    if np.unique(predictions.clips).size < len(predictions):
        return "splits"
    n_speakers = np.unique(predictions.speakers).size
    if n_speakers < (2 if speaker_independent else _FEW_SPEAKERS):
        return "clips"
    return "speakers"


def summarize(
    predictions: Predictions, resample_by: ResampleBy, generator: np.random.Generator
) -> Summary:
    """Score a run, with a 95% interval for each score.

    Folds that part the corpus (``emobox-6``, ``luna-5``, ``loso``, ``random-10``) are scored as
    one set of clips, each tested once; every fold's own score is given beside it. Repeated splits
    are scored one by one, and their scores averaged.

    Args:
        predictions: Those of all folds.
        resample_by: What the intervals resample; :func:`choose_resampling` says which.
        generator: Source of randomness; the same state gives the same bytes.

    Returns:
        The scores and what they rest on.

    Raises:
        ValueError: If ``resample_by`` does not suit: ``"splits"`` needs two folds, ``"speakers"``
            two speakers, and both of the others that no clip is tested twice.

    Example:
        >>> summarize(predictions, "speakers", np.random.default_rng(0)).wa  # doctest: +SKIP
    """
    return summarize_seeds([predictions], resample_by, generator)


def summarize_seeds(
    seeds: Sequence[Predictions], resample_by: ResampleBy, generator: np.random.Generator
) -> Summary:
    """Score trainings that differ in their seed alone: the mean of their scores.

    Each resample draws the same clips for every seed, so that the interval says how the mean over
    these seeds would vary with other speakers.

    Args:
        seeds: Predictions of the same test clips, one for each seed.
        resample_by: What the intervals resample; :func:`choose_resampling` says which.
        generator: Source of randomness; the same state gives the same bytes.

    Returns:
        The mean scores and what they rest on.

    Raises:
        ValueError: If the seeds did not test the same clips, or ``resample_by`` does not suit.

    Example:
        >>> summarize_seeds(three, "speakers", np.random.default_rng(0)).ua  # doctest: +SKIP
    """
    seeds = align_seeds(seeds)
    predictions = seeds[0]
    by_fold = np.mean([score_folds(part) for part in seeds], axis=0)
    if resample_by == "splits":
        values = by_fold.mean(axis=1)
        intervals = tuple(interval_over_splits(row, generator) for row in by_fold)
    else:
        said = np.stack([predictions.true, *(part.predicted for part in seeds)], axis=1)
        outcomes, index = np.unique(said, axis=0, return_inverse=True)

        def score(counts: IntArray) -> FloatArray:
            n_classes = len(predictions.labels)
            of_seeds = [
                score_confusions(count_confusions(counts, outcomes[:, 0], said, n_classes))
                for said in outcomes.T[1:]
            ]
            mean: FloatArray = np.mean(of_seeds, axis=0)
            return mean

        index = index.reshape(-1)  # (clips,): numpy 2.0 alone gives (clips, 1)
        values = score(np.bincount(index)[None])[:, 0]
        intervals = bootstrap_outcomes(index, predictions, resample_by, score, generator)
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
    )


def align_seeds(seeds: Sequence[Predictions]) -> list[Predictions]:
    """Put the predictions of several trainings into one order, that of folds and clips.

    Args:
        seeds: Predictions of the same test clips, one for each seed.

    Returns:
        The same, with one clip in each row of all of them.

    Raises:
        ValueError: If the seeds did not test the same clips.

    Example:
        >>> [part.clips[0] for part in align_seeds(three)]  # doctest: +SKIP
        ['03-01-01-01-01-01-01', '03-01-01-01-01-01-01', '03-01-01-01-01-01-01']
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
    """Return the predictions in the order of folds and clips."""
    return predictions.select(np.lexsort((predictions.clips, predictions.folds)))


def score_folds(predictions: Predictions) -> FloatArray:
    """Score each fold by itself.

    Args:
        predictions: Those of all folds.

    Returns:
        WA, UA and macro F1, float64 ``(3, folds)``, folds sorted by name.

    Example:
        >>> score_folds(predictions)[0].mean()  # doctest: +SKIP
    """
    names, fold_index = np.unique(predictions.folds, return_inverse=True)
    of_fold = fold_index == np.arange(names.size)[:, None]  # (folds, clips)
    return score_confusions(
        count_confusions(of_fold, predictions.true, predictions.predicted, len(predictions.labels))
    )


def bootstrap_outcomes(
    outcomes: IntArray,
    predictions: Predictions,
    resample_by: Literal["speakers", "clips"],
    score: Callable[[IntArray], FloatArray],
    generator: np.random.Generator,
) -> tuple[Interval, ...]:
    """Bootstrap scores of clips that are tested once each, over speakers or over clips.

    Args:
        outcomes: What became of each clip, int ``(clips,)``, from 0.
        predictions: The same clips; says who speaks.
        resample_by: ``"speakers"`` or ``"clips"``.
        score: Counts of the outcomes ``(draws, outcomes)`` to scores ``(scores, draws)``.
        generator: Source of randomness.

    Returns:
        The 95% interval of each score.

    Raises:
        ValueError: If a clip is tested more than once, or one speaker is to be resampled.

    Example:
        >>> bootstrap_outcomes(codes, predictions, "clips", score, generator)  # doctest: +SKIP
    """
    n_different = np.unique(predictions.clips).size
    if n_different < len(predictions):
        raise ValueError(
            f"found {len(predictions)} tests of {n_different} clips; expected each clip once to "
            f"resample {resample_by}: resample splits instead"
        )
    if resample_by == "clips":
        return bootstrap_over_clips(outcomes, score, generator)
    return bootstrap_over_speakers(outcomes, predictions.speakers, score, generator)


def describe_score(
    summary: Summary,
    name: ScoreName,
    *,
    protocol: str,
    version: int,
    speaker_independent: bool,
    n_seeds: int,
) -> str:
    """Return the one line in which a score is printed, wherever it is printed.

    Args:
        summary: The run's scores.
        name: Which score.
        protocol: Name of the protocol.
        version: Version of the protocol.
        speaker_independent: Whether the protocol keeps test speakers out of training.
        n_seeds: Number of trainings from different seeds behind each fold.

    Returns:
        Score and interval in percent, the protocol, the seeds, the clips and speakers; for
        repeated splits their range as well.

    Example:
        >>> print(describe_score(summary, "WA", protocol="reference", version=1,
        ...                      speaker_independent=False, n_seeds=1))  # doctest: +SKIP
        WA 66.7 (95% interval 51.2 to 80.1), reference v1, speaker-dependent, 1 seed,
        36 clips of 4 speakers
    """
    score = summary.scores[SCORE_NAMES.index(name)]
    text = f"{name} {format_score(score)}"
    if summary.resample_by == "splits":
        low, high = 100 * min(score.folds), 100 * max(score.folds)
        text += f", mean of {summary.n_folds} splits ({low:.1f} to {high:.1f})"
    speakers = "speaker-independent" if speaker_independent else "speaker-dependent"
    return (
        f"{text}, {protocol} v{version}, {speakers}, {count(n_seeds, 'seed')}, "
        f"{count(summary.n_clips, 'clip')} of {describe_speakers(summary.n_speakers)}"
    )


def format_score(score: Score) -> str:
    """Return a score and its interval in percent: ``66.7 (95% interval 51.2 to 80.1)``."""
    interval = score.interval
    return (
        f"{100 * score.value:.1f} ({100 * interval.level:g}% interval "
        f"{100 * interval.low:.1f} to {100 * interval.high:.1f})"
    )


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 seed``, ``1,440 clips``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
