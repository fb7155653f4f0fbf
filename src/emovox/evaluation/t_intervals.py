"""t intervals of scores that rest on few speakers or seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from emovox.evaluation.intervals import LEVEL, Interval, OutcomeScore, number_groups
from emovox.evaluation.metrics import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Variance:
    """The part of the scores' variance that comes from one kind of unit.

    Attributes:
        values: Variance of each score, float64 ``(scores,)``.
        freedom: Degrees of freedom of these estimates: number of units minus one.
    """

    values: FloatArray
    freedom: int


def t_intervals(
    values: FloatArray,
    variances: Sequence[Variance],
    *,
    lowest: npt.ArrayLike = 0.0,
    level: float = LEVEL,
) -> tuple[Interval, ...]:
    """Return t intervals of scores whose variance has one or more sources.

    Variances of independent sources (speakers, and the seeds of each model) add up, with degrees
    of freedom after Satterthwaite (1946, Biometrics Bulletin 2, 110-114).

    Args:
        values: The scores, float64 ``(scores,)``.
        variances: Variance from each source.
        lowest: Minimum of each score: 0, or -1 for a difference. The maximum is 1.
        level: Confidence level.

    Returns:
        The interval of each score, symmetric about the score and clipped to its range.

    Examples:
        >>> round(t_intervals(np.array([0.5]), [Variance(np.array([0.01]), 8)])[0].high, 6)
        0.7306
    """
    parts = np.stack([part.values for part in variances])  # (sources, scores)
    freedom = np.array([part.freedom for part in variances])
    total = parts.sum(axis=0)
    # Without any variance the degrees of freedom do not matter.
    spread = (parts**2 / freedom[:, None]).sum(axis=0)
    degrees = np.divide(total**2, spread, out=np.ones_like(total), where=spread > 0)
    half = stdtrit(degrees, (1 + level) / 2) * np.sqrt(total)
    low, high = np.clip(values - half, lowest, 1.0), np.clip(values + half, lowest, 1.0)
    return tuple(Interval(float(a), float(b), level) for a, b in zip(low, high, strict=True))


def measure_speaker_variance(
    outcomes: IntArray,
    speakers: npt.NDArray[np.str_],
    score: OutcomeScore,
    *,
    n_outcomes: int = 0,
) -> Variance:
    """Estimate the variance of scores over speakers by a delete-one jackknife.

    A few speakers may agree by chance, which would make the variance far too small. It is
    therefore at least the variance over independent clips (the larger of the two, as Angrist &
    Pischke, 2009, Mostly Harmless Econometrics, section 8.2, recommend for few groups).

    Args:
        outcomes: Outcome of each clip, int ``(clips,)``, from 0.
        speakers: Speaker of each clip, ``(clips,)``.
        score: Function from counts ``(draws, outcomes)`` to scores ``(scores, draws)``.
        n_outcomes: Number of possible outcomes; 0 infers it from the clips.

    Returns:
        The variance of each score over speakers.

    Raises:
        ValueError: If the arrays differ in length, or there are fewer than two speakers.

    Examples:
        >>> share = lambda counts: counts[None, :, 1] / counts.sum(axis=1)
        >>> hits, speakers = np.array([1, 1, 1, 0]), np.array(["a", "a", "b", "b"])
        >>> measure_speaker_variance(hits, speakers, share)
        Variance(values=array([0.0625]), freedom=1)
    """
    n_speakers, index = number_groups(outcomes, speakers)
    width = n_outcomes or int(outcomes.max()) + 1
    of_speakers = np.bincount(index * width + outcomes, minlength=n_speakers * width)
    of_speakers = of_speakers.reshape(n_speakers, width)  # (speakers, outcomes)
    over_speakers = _jackknife(of_speakers, np.ones(n_speakers), score)
    over_clips = measure_clip_variance(outcomes, score, n_outcomes=width)
    return Variance(np.maximum(over_speakers, over_clips.values), n_speakers - 1)


def measure_clip_variance(
    outcomes: IntArray, score: OutcomeScore, *, n_outcomes: int = 0
) -> Variance:
    """Estimate the variance of scores over clips by a delete-one jackknife.

    Args:
        outcomes: Outcome of each of two or more clips, int ``(clips,)``, from 0.
        score: Function from counts ``(draws, outcomes)`` to scores ``(scores, draws)``.
        n_outcomes: Number of possible outcomes; 0 infers it from the clips.

    Returns:
        The variance of each score over clips.

    Examples:
        >>> share = lambda counts: counts[None, :, 1] / counts.sum(axis=1)
        >>> measure_clip_variance(np.array([1, 0, 1]), share)  # 2/3 * 1/3 / 2
        Variance(values=array([0.11111111]), freedom=2)
    """
    n_seen = np.bincount(outcomes, minlength=n_outcomes)
    one_each = np.eye(n_seen.size, dtype=np.int64)[n_seen > 0]
    values = _jackknife(one_each, n_seen[n_seen > 0].astype(np.float64), score)
    return Variance(values, outcomes.size - 1)


def _jackknife(parts: IntArray, times: FloatArray, score: OutcomeScore) -> FloatArray:
    """Return the jackknife variance of each score, leaving out one of ``(parts, outcomes)``."""
    total = (times @ parts).astype(np.int64)
    without = score(total - parts)  # (scores, parts)
    n = times.sum()
    mean = without @ times / n
    variance: FloatArray = (n - 1) / n * ((without - mean[:, None]) ** 2 @ times)
    return variance
