"""Which interval fits a score: a bootstrap of many speakers or clips, a t interval of few."""

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
"""With fewer speakers than these, percentiles of a bootstrap are too narrow: t intervals."""


def interval_over_speakers(
    outcomes: IntArray,
    speakers: npt.NDArray[np.str_],
    score: OutcomeScore,
    generator: np.random.Generator,
    *,
    lowest: npt.ArrayLike = 0.0,
) -> tuple[Interval, ...]:
    """Return 95% intervals over speakers: a bootstrap of many, a t interval of few.

    Percentiles of a bootstrap over few speakers who differ are too narrow: it underestimates their
    variance by ``1 / speakers``, and takes the normal distribution's tails for those of t. Fewer
    than ``FEW_SPEAKERS`` therefore get the t interval of the delete-one-speaker jackknife
    (Tukey, 1958; for clusters MacKinnon, Nielsen & Webb, 2023, Cluster-robust inference: A guide
    to empirical practice, Journal of Econometrics 232, 272-299).

    Args:
        outcomes: What became of each clip, int ``(clips,)``, from 0.
        speakers: Speaker of each clip, ``(clips,)``.
        score: Counts of the outcomes ``(draws, outcomes)`` to scores ``(scores, draws)``.
        generator: Source of the bootstrap's randomness.
        lowest: Least value that each score can take: 0, or -1 for a difference. The most is 1.

    Returns:
        The interval of each score.

    Raises:
        ValueError: If the arrays differ in length, or fewer than two speakers are there.

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
    resample_by: Literal["speakers", "clips"],
    score: OutcomeScore,
    generator: np.random.Generator,
    *,
    seeds: Sequence[FloatArray] = (),
    lowest: float = 0.0,
) -> tuple[Interval, ...]:
    """Return 95% intervals of scores of clips that are tested once each.

    With ``seeds`` it is a t interval whose variance is that over speakers or clips (a jackknife)
    plus that over the seeds of each model: percentiles of a bootstrap over few seeds would be too
    narrow. What varies with seed and clip at once counts in both terms, which errs on the side of
    caution, as drawing both does (Owen, 2007, The pigeonhole bootstrap, Annals of Applied
    Statistics 1, 386-411).

    Args:
        outcomes: What became of each clip, int ``(clips,)``, from 0.
        predictions: The same clips; says who speaks.
        resample_by: ``"speakers"`` or ``"clips"``.
        score: Counts of the outcomes ``(draws, outcomes)`` to scores ``(scores, draws)``.
        generator: Source of randomness.
        seeds: Scores of each seed, ``(seeds, scores)``, for each model whose mean is in the score.
        lowest: Least value that a score can take: 0, or -1 for a difference.

    Returns:
        The interval of each score.

    Raises:
        ValueError: If a clip is tested more than once, or one speaker is to be resampled.
    """
    n_different = np.unique(predictions.clips).size
    if n_different < len(predictions):
        raise ValueError(
            f"found {len(predictions)} tests of {n_different} clips; expected each clip once to "
            f"resample {resample_by}: resample splits instead"
        )
    speakers = predictions.speakers
    if any(len(of_seeds) > 1 for of_seeds in seeds):
        values = score(np.bincount(outcomes)[None])[:, 0]
        over_seeds = [Variance(s.var(axis=0, ddof=1) / len(s), len(s) - 1) for s in seeds]
        over_units = (
            measure_clip_variance(outcomes, score)
            if resample_by == "clips"
            else measure_speaker_variance(outcomes, speakers, score)
        )
        return t_intervals(values, [over_units, *over_seeds], lowest=lowest)
    if resample_by == "clips":
        return bootstrap_over_clips(outcomes, score, generator)
    return interval_over_speakers(outcomes, speakers, score, generator, lowest=lowest)


def name_interval(resample_by: str, n_units: int, n_seeds: int = 1) -> str:
    """Say what kind of interval stands beside a score, in print.

    Args:
        resample_by: ``"speakers"``, ``"clips"`` or ``"splits"``.
        n_units: How many of them there are.
        n_seeds: Over how many seeds it runs as well; 1: it does not.

    Returns:
        ``"interval over speakers"`` of a bootstrap; a t interval says how many.

    Examples:
        >>> name_interval("speakers", 24), name_interval("speakers", 9)
        ('interval over speakers', 't interval over 9 speakers')
        >>> name_interval("clips", 36, n_seeds=5)
        't interval over 5 seeds and 36 clips'
    """
    if n_seeds > 1 and resample_by != "splits":
        return f"t interval over {n_seeds} seeds and {n_units:,} {resample_by}"
    if resample_by == "speakers" and n_units < FEW_SPEAKERS:
        return f"t interval over {n_units} speakers"
    return f"interval over {resample_by}"
