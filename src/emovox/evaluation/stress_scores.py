"""Score predictions for perturbed recordings: share unchanged, change of UAR, thresholds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.evaluation.intervals import bootstrap_over_clips
from emovox.evaluation.metrics import FloatArray, IntArray
from emovox.evaluation.outcomes import code_outcomes
from emovox.evaluation.resampling import interval_over_speakers, name_interval
from emovox.perturbations.definition import StressTest

NO_SPEECH = -1
"""Predicted class of a clip of digital silence; counts as a changed and a wrong prediction."""

_BOOTSTRAP_SEED = 0
# Attributes that must be equal in all trainings of one recipe.
_SHARED = ("speakers", "true")


class Result(StrEnum):
    """Whether a test's thresholds are met.

    Attributes:
        PASS: The thresholds are met even at the worse ends of the 95% intervals.
        UNSURE: The measured values meet the thresholds, but the intervals include them.
        FAIL: A measured value misses its threshold.
        NO_THRESHOLD: The test has no threshold.
    """

    PASS = "pass"  # noqa: S105
    UNSURE = "pass?"
    FAIL = "FAIL"
    NO_THRESHOLD = ""


@dataclass(frozen=True, slots=True)
class StressRow:
    """Scores of one test; shares and UAR in [0, 1], 95% intervals over speakers.

    Attributes:
        test: Name of the test.
        group: Group of the test.
        definition: Description of the perturbation.
        unchanged: Share of predictions that did not change.
        unchanged_low: Lower end of the interval of ``unchanged``.
        unchanged_high: Upper end of the interval of ``unchanged``.
        uar: UAR of the perturbed clips.
        uar_change: ``uar`` minus ``plain_uar``.
        uar_change_low: Lower end of the interval of ``uar_change``.
        uar_change_high: Upper end of the interval of ``uar_change``.
        min_unchanged: Minimum share of unchanged predictions to pass; ``None`` for no threshold.
        max_uar_loss: Maximum loss of UAR to pass; ``None`` for no threshold.
        result: Whether the thresholds are met.
        public_models: Scores of the best public models on other corpora; empty if unknown.
        snr_db: Signal-to-noise ratio, in tests with added noise.
        clips: Number of clips tested.
        of_clips: Number of clips in the corpus or the run's folds.
        speakers: Number of speakers.
        trainings: Number of trainings with different seeds that the figures are averaged over.
        draws: Number of random perturbations of each clip that the figures are averaged over; 1
            for tests without randomness.
        plain_uar: UAR of the unperturbed clips.
        seed: Seed of the first random perturbation; each later one adds 1.
    """

    test: str
    group: str
    definition: str
    unchanged: float
    unchanged_low: float
    unchanged_high: float
    uar: float
    uar_change: float
    uar_change_low: float
    uar_change_high: float
    min_unchanged: float | None
    max_uar_loss: float | None
    result: Result
    public_models: str
    snr_db: float | None
    clips: int
    of_clips: int
    speakers: int
    trainings: int
    draws: int
    plain_uar: float
    seed: int

    @property
    def interval_name(self) -> str:
        """Kind of the intervals, such as ``"t interval over 9 speakers"``."""
        return name_interval("speakers" if self.speakers > 1 else "clips", self.speakers)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready types."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedPredictions:
    """Predictions of one model for the same clips, unperturbed and perturbed.

    Attributes:
        speakers: Speaker of each clip, str ``(clips,)``.
        true: Index of the true class, int ``(clips,)``.
        plain: Index of the class predicted without perturbation, or ``NO_SPEECH``, int
            ``(clips,)``.
        perturbed: Predicted classes keyed by test, int ``(draws, clips)``, one row per random
            draw.
    """

    speakers: npt.NDArray[np.str_]
    true: IntArray
    plain: IntArray
    perturbed: Mapping[str, IntArray]


def score_stress(
    seeds: Sequence[PerturbedPredictions],
    tests: tuple[StressTest, ...],
    *,
    of_clips: int,
    seed: int,
) -> tuple[StressRow, ...]:
    """Score every test, with 95% intervals over speakers.

    Scores are means over the trainings and over the random draws of a perturbation. Each bootstrap
    draw uses the same clips for all of them, as in
    ``emovox.evaluation.summary.summarize_seeds``. With few speakers, the intervals are t intervals
    (``emovox.evaluation.resampling.interval_over_speakers``).

    Args:
        seeds: Predictions of each training for the same clips.
        tests: Tests to score, in the order of the result.
        of_clips: Number of clips in the corpus or the run's folds, copied to the rows.
        seed: Seed of the perturbations, copied to the rows.

    Returns:
        One row per test. UAR is the mean recall over the classes present in the clips; the
        interval of its change is paired by clip.

    Raises:
        ValueError: If the trainings were not tested on the same clips.
    """
    first = seeds[0]
    for training in seeds[1:]:
        if not all(np.array_equal(getattr(training, n), getattr(first, n)) for n in _SHARED):
            raise ValueError("found seeds tested on different clips; expected the same, in order")
    n_speakers = int(np.unique(first.speakers).size)
    rows = []
    for test in tests:
        pairs = [(part.plain, draw) for part in seeds for draw in part.perturbed[test.name]]
        outcomes = code_outcomes(first.true, *chain.from_iterable(pairs))
        score = make_outcome_score(outcomes.rows)
        unchanged, plain_uar, uar, change = (float(v) for v in score(outcomes.counts[None])[:, 0])
        # One generator per test keeps its interval independent of the other tests.
        generator = np.random.default_rng(_BOOTSTRAP_SEED)
        if n_speakers > 1:
            intervals = interval_over_speakers(
                outcomes.index, first.speakers, score, generator, lowest=(0.0, 0.0, 0.0, -1.0)
            )
        else:
            intervals = bootstrap_over_clips(outcomes.index, score, generator)
        rows.append(
            StressRow(
                test=test.name,
                group=test.group,
                definition=test.definition,
                unchanged=unchanged,
                unchanged_low=intervals[0].low,
                unchanged_high=intervals[0].high,
                uar=uar,
                uar_change=change,
                uar_change_low=intervals[3].low,
                uar_change_high=intervals[3].high,
                min_unchanged=test.min_unchanged,
                max_uar_loss=test.max_uar_loss,
                result=judge_test(test, (unchanged, intervals[0].low), (change, intervals[3].low)),
                public_models=str(test.peers),
                snr_db=test.snr_db,
                clips=len(first.true),
                of_clips=of_clips,
                speakers=n_speakers,
                trainings=len(seeds),
                draws=len(first.perturbed[test.name]),
                plain_uar=plain_uar,
                seed=seed,
            )
        )
    return tuple(rows)


def make_outcome_score(outcomes: IntArray) -> Callable[[IntArray], FloatArray]:
    """Return a function that computes stress scores from the outcomes' counts.

    Args:
        outcomes: True class of each outcome, then pairs of unperturbed and perturbed predictions,
            one per training and random perturbation, int ``(outcomes, 1 + 2 * pairs)``.

    Returns:
        A function from counts ``(draws, outcomes)`` to float64 ``(4, draws)``: share unchanged,
        unperturbed UAR, perturbed UAR, and change of UAR, each averaged over the pairs.

    Examples:
        >>> score = make_outcome_score(np.array([[0, 0, 0], [1, 1, 0]]))
        >>> score(np.array([[3, 1]]))[:, 0].tolist()
        [0.75, 1.0, 0.5, -0.5]
    """
    true, *predicted = outcomes.T
    of_class = (true[:, None] == np.unique(true)).astype(np.float64)  # (outcomes, classes)

    def score(counts: IntArray) -> FloatArray:
        support = counts @ of_class  # (draws, classes)
        there = support > 0

        def measure_uar(classes: IntArray) -> FloatArray:
            right = (counts * (classes == true)) @ of_class
            recalls = np.divide(right, support, where=there, out=0 * support)
            mean: FloatArray = recalls.sum(axis=1) / there.sum(axis=1)
            return mean

        of_pairs = []
        for plain, perturbed in zip(predicted[::2], predicted[1::2], strict=True):
            unchanged = counts @ (plain == perturbed) / counts.sum(axis=1)
            uars = measure_uar(plain), measure_uar(perturbed)
            of_pairs.append(np.stack([unchanged, *uars, uars[1] - uars[0]]))
        mean: FloatArray = np.mean(of_pairs, axis=0)
        return mean

    return score


def judge_test(
    test: StressTest, unchanged: tuple[float, float], uar_change: tuple[float, float]
) -> Result:
    """Compare measured values and the lower ends of their intervals with a test's thresholds.

    Args:
        test: Test with the thresholds.
        unchanged: Share of unchanged predictions, and the lower end of its interval.
        uar_change: Change of UAR, and the lower end of its interval.

    Returns:
        The result.

    Examples:
        >>> from emovox.perturbations.catalogue import find_tests
        >>> judge_test(find_tests(["clip"])[0], (0.96, 0.94), (0, 0)).value
        'pass?'
    """
    if not test.has_threshold:
        return Result.NO_THRESHOLD
    value_holds, end_holds = (
        (test.min_unchanged is None or share >= test.min_unchanged)
        and (test.max_uar_loss is None or -change <= test.max_uar_loss)
        for share, change in zip(unchanged, uar_change, strict=True)
    )
    if not value_holds:
        return Result.FAIL
    return Result.PASS if end_holds else Result.UNSURE
