"""Choose the interval of a score: a bootstrap over many units, a t interval over few."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from emovox.evaluation.intervals import (
    Interval,
    OutcomeScore,
    bootstrap_over_clips,
    bootstrap_over_speakers,
)
from emovox.evaluation.metrics import FloatArray, IntArray
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.t_intervals import (
    Variance,
    measure_clip_variance,
    measure_speaker_variance,
    t_intervals,
)

FEW_SPEAKERS = 15
"""With fewer speakers, bootstrap percentiles are too narrow, and t intervals are used instead."""


def interval_over_speakers(
    outcomes: IntArray,
    speakers: npt.NDArray[np.str_],
    score: OutcomeScore,
    generator: np.random.Generator,
    *,
    lowest: npt.ArrayLike = 0.0,
) -> tuple[Interval, ...]:
    """Return 95% intervals over speakers: a bootstrap over many, a t interval over few.

    Bootstrap percentiles over few speakers are too narrow: the bootstrap underestimates the
    variance by a fraction of ``1 / speakers``, and uses normal tails where t tails are needed.
    Fewer than ``FEW_SPEAKERS`` therefore get the t interval of the delete-one-speaker jackknife
    (Tukey, 1958; for clusters MacKinnon, Nielsen & Webb, 2023, Cluster-robust inference: A guide
    to empirical practice, Journal of Econometrics 232, 272-299).

    Args:
        outcomes: Outcome of each clip, int ``(clips,)``, from 0.
        speakers: Speaker of each clip, ``(clips,)``.
        score: Function from counts ``(draws, outcomes)`` to scores ``(scores, draws)``.
        generator: Source of randomness of the bootstrap.
        lowest: Minimum of each score: 0, or -1 for a difference. The maximum is 1.

    Returns:
        The interval of each score.

    Raises:
        ValueError: If the arrays differ in length, or there are fewer than two speakers.

    Examples:
        >>> hits = np.array([1, 1, 1, 0])
        >>> share = lambda counts: counts[None, :, 1] / counts.sum(axis=1)
        >>> interval_over_speakers(hits, np.array(list("aabb")), share, np.random.default_rng(0))
        (Interval(low=0.0, high=1.0, level=0.95),)
    """
    if np.unique(speakers).size >= FEW_SPEAKERS:
        return bootstrap_over_speakers(outcomes, speakers, score, generator)
    values = score(np.bincount(outcomes)[None])[:, 0]
    variance = measure_speaker_variance(outcomes, speakers, score)
    return t_intervals(values, [variance], lowest=lowest)


def find_intervals(
    outcomes: IntArray,
    predictions: Predictions,
    resample_by: Literal["speakers", "clips", "corpora"],
    score: OutcomeScore,
    generator: np.random.Generator,
    *,
    seeds: Sequence[FloatArray] = (),
    lowest: float = 0.0,
) -> tuple[Interval, ...]:
    """Return 95% intervals of scores for clips that are each tested once.

    With ``seeds``, this is a t interval. Its variance is the jackknife variance over speakers or
    clips plus the variance over the seeds of each model, because bootstrap percentiles over few
    seeds would be too narrow. The interaction of seed and clip counts in both terms. This is
    conservative, as is resampling both (Owen, 2007, The pigeonhole bootstrap, Annals of Applied
    Statistics 1, 386-411).

    Over ``"corpora"``, the score is the mean over the corpora that the folds are named by. These
    are fixed; only the speakers within each vary. It is a t interval too, whose variance is the sum
    of the corpora's jackknife variances, each divided by the squared number of corpora.

    Args:
        outcomes: Outcome of each clip, int ``(clips,)``, from 0.
        predictions: Predictions for the same clips, with their speakers.
        resample_by: ``"speakers"``, ``"clips"`` or ``"corpora"``.
        score: Function from counts ``(draws, outcomes)`` to scores ``(scores, draws)``.
        generator: Source of randomness.
        seeds: Scores of each seed, ``(seeds, scores)``, for each model averaged over seeds.
        lowest: Minimum of a score: 0, or -1 for a difference.

    Returns:
        The interval of each score.

    Raises:
        ValueError: If a clip is tested more than once, or there is only one speaker to resample.
    """
    n_different = np.unique(predictions.clips).size
    if n_different < len(predictions):
        raise ValueError(
            f"found {len(predictions)} tests of {n_different} clips; expected each clip once to "
            f"resample {resample_by}: resample splits instead"
        )
    speakers = predictions.speakers
    over_seeds = [Variance(s.var(axis=0, ddof=1) / len(s), len(s) - 1) for s in seeds if len(s) > 1]
    if resample_by == "corpora":
        values, over_corpora = measure_corpora(outcomes, predictions, score)
        return t_intervals(values, [*over_corpora, *over_seeds], lowest=lowest)
    if over_seeds:
        values = score(np.bincount(outcomes)[None])[:, 0]
        over_units = (
            measure_clip_variance(outcomes, score)
            if resample_by == "clips"
            else measure_speaker_variance(outcomes, speakers, score)
        )
        return t_intervals(values, [over_units, *over_seeds], lowest=lowest)
    if resample_by == "clips":
        return bootstrap_over_clips(outcomes, score, generator)
    return interval_over_speakers(outcomes, speakers, score, generator, lowest=lowest)


def measure_corpora(
    outcomes: IntArray, predictions: Predictions, score: OutcomeScore
) -> tuple[FloatArray, list[Variance]]:
    """Return the mean of scores over corpora, and the variance that each corpus adds to it.

    The speakers of a corpus are left out one at a time; of a corpus with one speaker, the clips.

    Args:
        outcomes: Outcome of each clip, int ``(clips,)``, from 0.
        predictions: Predictions for the same clips; each fold is a corpus.
        score: Function from counts ``(draws, outcomes)`` to scores ``(scores, draws)``.

    Returns:
        The mean of each score, float64 ``(scores,)``, and one variance per corpus.
    """
    width = int(outcomes.max()) + 1
    values, variances = [], []
    corpora = np.unique(predictions.folds)
    for corpus in corpora:
        rows = predictions.folds == corpus
        own, speakers = outcomes[rows], predictions.speakers[rows]
        values.append(score(np.bincount(own, minlength=width)[None])[:, 0])
        variance = (
            measure_speaker_variance(own, speakers, score, n_outcomes=width)
            if np.unique(speakers).size > 1
            else measure_clip_variance(own, score, n_outcomes=width)
        )
        variances.append(Variance(variance.values / corpora.size**2, variance.freedom))
    mean: FloatArray = np.mean(values, axis=0)
    return mean, variances


def name_interval(resample_by: str, n_units: int, n_seeds: int = 1) -> str:
    """Name the kind of interval printed with a score.

    Args:
        resample_by: ``"speakers"``, ``"clips"``, ``"splits"`` or ``"corpora"``.
        n_units: Number of speakers, clips, splits or corpora.
        n_seeds: Number of seeds that the interval also covers; 1 if it covers no other seeds.

    Returns:
        A name such as ``"interval over speakers"``; t intervals include the number of units.

    Examples:
        >>> name_interval("speakers", 24), name_interval("speakers", 9)
        ('interval over speakers', 't interval over 9 speakers')
        >>> name_interval("clips", 36, n_seeds=5)
        't interval over 5 seeds and 36 clips'
    """
    if resample_by == "corpora":
        seeds = f"{n_seeds} seeds and " if n_seeds > 1 else ""
        return f"t interval over {seeds}speakers within {n_units} corpora"
    if n_seeds > 1 and resample_by != "splits":
        return f"t interval over {n_seeds} seeds and {n_units:,} {resample_by}"
    if resample_by == "speakers" and n_units < FEW_SPEAKERS:
        return f"t interval over {n_units} speakers"
    return f"interval over {resample_by}"
