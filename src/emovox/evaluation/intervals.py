"""Intervals: how far a score would vary with other speakers, clips, splits or seeds.

This module is independent of emotions. A clip's *outcome* is an integer that encodes its true and
predicted classes (``emovox.evaluation.outcomes``), and a score is a function of the outcomes'
counts. Resampling outcomes costs the same for 36 clips as for 100,000.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from emovox.evaluation.metrics import FloatArray, IntArray

DRAWS = 2_000
"""Number of bootstrap draws for each interval."""

LEVEL = 0.95
"""Confidence level of all intervals."""

OutcomeScore = Callable[[IntArray], FloatArray]
"""Function from the counts of the outcomes, ``(draws, outcomes)``, to ``(scores, draws)``."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a score.

    Attributes:
        low: Lower end, in the unit of the score.
        high: Upper end.
        level: Confidence level, between 0 and 1.
    """

    low: float
    high: float
    level: float = LEVEL

    def __post_init__(self) -> None:
        if not (self.low <= self.high and 0 < self.level < 1):
            raise ValueError(
                f"found an interval from {self.low} to {self.high} at level {self.level}; "
                "expected low <= high and a level between 0 and 1"
            )

    def to_dict(self) -> dict[str, float]:
        """Return the interval as JSON-ready types."""
        return {"low": self.low, "high": self.high, "level": self.level}


def bootstrap_over_speakers(
    outcomes: IntArray,
    speakers: npt.NDArray[np.str_],
    score: OutcomeScore,
    generator: np.random.Generator,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> tuple[Interval, ...]:
    """Return bootstrap intervals over speakers, and over clips within each drawn speaker.

    Clips of one speaker resemble each other. Resampling clips alone would therefore give intervals
    too narrow for an unseen speaker (the two-stage bootstrap of Davison & Hinkley, 1997, section
    3.8).

    Args:
        outcomes: Outcome of each clip, int ``(clips,)``, from 0.
        speakers: Speaker of each clip, ``(clips,)``.
        score: Function from counts ``(draws, outcomes)`` to scores ``(scores, draws)``.
        generator: Source of randomness; the same state gives the same bytes, whatever the order
            of the clips.
        draws: Number of resamples.
        level: Confidence level.

    Returns:
        The percentile interval of each score.

    Raises:
        ValueError: If the arrays differ in length, or there are fewer than two speakers.

    Examples:
        >>> hits = np.array([1, 0, 1, 1])
        >>> share = lambda counts: counts[None, :, 1] / counts.sum(axis=1)
        >>> speakers = np.array(["1", "1", "2", "2"])
        >>> bootstrap_over_speakers(hits, speakers, share, np.random.default_rng(0))
        (Interval(low=0.25, high=1.0, level=0.95),)
    """
    counts = draw_speakers(outcomes, speakers, generator, draws=draws)
    return take_percentiles(score(counts), level)


def draw_speakers(
    outcomes: IntArray,
    speakers: npt.NDArray[np.str_],
    generator: np.random.Generator,
    *,
    draws: int = DRAWS,
    n_outcomes: int = 0,
) -> IntArray:
    """Draw speakers, then clips within each, and count the outcomes drawn.

    Args:
        outcomes: Outcome of each clip, int ``(clips,)``, from 0.
        speakers: Speaker of each clip, ``(clips,)``.
        generator: Source of randomness.
        draws: Number of resamples.
        n_outcomes: Number of possible outcomes; 0 infers it from the clips.

    Returns:
        Count of each outcome, int64 ``(draws, outcomes)``.

    Raises:
        ValueError: If the arrays differ in length, or there are fewer than two speakers.

    Examples:
        >>> outcomes, speakers = np.array([0, 1]), np.array(["1", "2"])
        >>> draw_speakers(outcomes, speakers, np.random.default_rng(0), draws=2).sum(axis=1)
        array([2, 2])
    """
    n_speakers, speaker_index = number_groups(outcomes, speakers)
    times = generator.multinomial(n_speakers, np.full(n_speakers, 1 / n_speakers), size=draws)
    counts = np.zeros((draws, n_outcomes or int(outcomes.max()) + 1), dtype=np.int64)
    for speaker in range(n_speakers):
        seen, n_seen = np.unique(outcomes[speaker_index == speaker], return_counts=True)
        n_clips = n_seen.sum()
        # A speaker drawn twice counts as two speakers, whose clips are drawn separately.
        counts[:, seen] += generator.multinomial(times[:, speaker] * n_clips, n_seen / n_clips)
    return counts


def number_groups(outcomes: IntArray, groups: npt.NDArray[np.str_]) -> tuple[int, IntArray]:
    """Return the number of groups, and the group number of each clip, int64 ``(clips,)``."""
    if outcomes.shape != groups.shape or outcomes.ndim != 1:
        raise ValueError(
            f"found outcomes of shape {outcomes.shape} and speakers of shape {groups.shape}; "
            "expected one of each for every clip"
        )
    names, index = np.unique(groups, return_inverse=True)
    if names.size < 2:
        raise ValueError(
            f"found {names.size} speaker; expected two or more to resample: resample clips instead"
        )
    return names.size, index


def bootstrap_over_clips(
    outcomes: IntArray,
    score: OutcomeScore,
    generator: np.random.Generator,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> tuple[Interval, ...]:
    """Return bootstrap intervals over clips, regardless of speaker.

    Use this for a test set of a few speakers that are also in training. The interval covers other
    clips of the same speakers, not unseen speakers.

    Args:
        outcomes: Outcome of each clip, int ``(clips,)``, from 0.
        score: Function from counts ``(draws, outcomes)`` to scores ``(scores, draws)``.
        generator: Source of randomness.
        draws: Number of resamples.
        level: Confidence level.

    Returns:
        The percentile interval of each score.

    Raises:
        ValueError: If there are no clips.

    Examples:
        >>> share = lambda counts: counts[None, :, 1] / counts.sum(axis=1)
        >>> bootstrap_over_clips(np.array([1, 0, 1, 1]), share, np.random.default_rng(0))
        (Interval(low=0.25, high=1.0, level=0.95),)
    """
    if outcomes.size == 0:
        raise ValueError("found no clip; expected at least one to resample")
    n_seen = np.bincount(outcomes)
    counts = generator.multinomial(outcomes.size, n_seen / outcomes.size, size=draws)
    return take_percentiles(score(counts), level)


def interval_over_splits(
    values: npt.ArrayLike,
    generator: np.random.Generator,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Interval:
    """Return the bootstrap interval of a score's mean over repeated random splits.

    The splits are exchangeable but not independent, because they share training and test clips.
    The interval shows how far the mean would move with other splits of the same clips. It is too
    narrow for other clips or speakers (Nadeau & Bengio, 2003, Inference for the Generalization
    Error, Machine Learning 52, 239-281): to compare two models, use
    ``correct_interval_over_splits``.

    Args:
        values: The score, or the difference of two models, in each split, float ``(splits,)``.
        generator: Source of randomness.
        draws: Number of resamples.
        level: Confidence level.

    Returns:
        The percentile interval of the mean.

    Raises:
        ValueError: If there are fewer than two splits, or a value is not finite.

    Examples:
        >>> interval_over_splits([0.5, 0.5, 0.5], np.random.default_rng(0))
        Interval(low=0.5, high=0.5, level=0.95)
    """
    scores = _check_splits(values)
    drawn = generator.integers(scores.size, size=(draws, scores.size))
    return take_percentiles(scores[drawn].mean(axis=1)[None], level)[0]


def correct_interval_over_splits(
    values: npt.ArrayLike, *, test_to_train: float, level: float = LEVEL
) -> Interval:
    """Return the interval of a mean over repeated splits, widened for their overlap.

    This is the corrected resampled t interval of Nadeau & Bengio (2003): the variance of the mean
    is estimated as ``(1 / splits + test / train)`` times the variance over splits.

    Args:
        values: The difference of two models in each split, float ``(splits,)``.
        test_to_train: Ratio of test clips to training clips in a split, e.g. 36 / 168.
        level: Confidence level.

    Returns:
        The interval of the mean, symmetric about it.

    Raises:
        ValueError: If there are fewer than two splits, a value is not finite, or
            ``test_to_train`` is not above 0.

    Examples:
        >>> correct_interval_over_splits([0.5, 0.5], test_to_train=36 / 168)
        Interval(low=0.5, high=0.5, level=0.95)
    """
    scores = _check_splits(values)
    if not test_to_train > 0:
        raise ValueError(
            f"found {test_to_train} test clips for each training clip; expected more than 0"
        )
    spread = np.sqrt((1 / scores.size + test_to_train) * scores.var(ddof=1))
    half = float(stdtrit(scores.size - 1, (1 + level) / 2) * spread)
    mean = float(scores.mean())
    return Interval(mean - half, mean + half, level)


def _check_splits(values: npt.ArrayLike) -> FloatArray:
    """Return the splits' scores as an array, or raise ``ValueError``."""
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size < 2 or not np.isfinite(scores).all():
        raise ValueError(
            f"found {scores.tolist()} as the splits' scores; "
            "expected two or more finite numbers: resample clips where there is one split"
        )
    return scores


def take_percentiles(scores: FloatArray, level: float = LEVEL) -> tuple[Interval, ...]:
    """Return the central interval of each row of ``(scores, draws)``."""
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return tuple(Interval(float(a), float(b), level) for a, b in zip(low, high, strict=True))
