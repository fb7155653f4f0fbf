"""t intervals: how far scores may lie that rest on few speakers or seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from emovox.evaluation.intervals import LEVEL, Interval, OutcomeScore, number_groups
from emovox.evaluation.metrics import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Variance:
    """How much of the variance of some scores comes from one kind of unit.

    Attributes:
        values: Variance of each score, float64 ``(scores,)``.
        freedom: Degrees of freedom of these estimates: units less one.
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
    """Return t intervals of scores whose variance has one source or several.

    Variances of independent sources (speakers, and the seeds of either model) add up; their degrees
    of freedom are those of Satterthwaite (1946, Biometrics Bulletin 2, 110-114).

    Args:
        values: The scores, float64 ``(scores,)``.
        variances: What varies: one entry for each source.
        lowest: Least value that each score can take: 0, or -1 for a difference. The most is 1.
        level: Confidence level.

    Returns:
        The interval of each score, symmetric about it but for what lies outside its range.

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
    """Leave out one speaker at a time, and see how the scores vary.

    Few speakers may agree by chance, and would then seem to leave no doubt. So the variance is at
    least that of as many independent clips (the larger of both, as Angrist & Pischke, 2009, Mostly
    Harmless Econometrics, section 8.2, advise where groups are few).

    Args:
        outcomes: What became of each clip, int ``(clips,)``, from 0.
        speakers: Speaker of each clip, ``(clips,)``.
        score: Counts of the outcomes ``(draws, outcomes)`` to scores ``(scores, draws)``.
        n_outcomes: How many outcomes there are; 0: as many as these clips show.

    Returns:
        The variance of each score over speakers.

    Raises:
        ValueError: If the arrays differ in length, or fewer than two speakers are there.

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
    """Leave out one clip at a time, and see how the scores vary.

    Args:
        outcomes: What became of each clip, int ``(clips,)``, from 0; two or more clips.
        score: Counts of the outcomes ``(draws, outcomes)`` to scores ``(scores, draws)``.
        n_outcomes: How many outcomes there are; 0: as many as these clips show.

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
    """Return the variance of each score when parts ``(parts, outcomes)`` are left out in turn."""
    total = (times @ parts).astype(np.int64)
    without = score(total - parts)  # (scores, parts)
    n = times.sum()
    mean = without @ times / n
    variance: FloatArray = (n - 1) / n * ((without - mean[:, None]) ** 2 @ times)
    return variance
