"""How a model bears disturbed recordings: unchanged answers, change of UAR, thresholds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
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
"""What stands for a class where a clip is digital silence: another answer, and a wrong one."""

_BOOTSTRAP_SEED = 0
# What the trainings of one recipe have in common.
_SHARED = ("speakers", "true")


@dataclass(frozen=True, slots=True)
class StressRow:
    """What became of one test; shares and UAR in [0, 1], intervals of 95% over speakers.

    Attributes:
        test: Its name.
        group: Its group.
        definition: What was done to the recordings.
        unchanged: Share of predictions that stayed the same.
        unchanged_low: Lower end of its interval.
        unchanged_high: Upper end.
        uar: UAR of the disturbed clips.
        uar_change: It minus the UAR of the same clips undisturbed.
        uar_change_low: Lower end of its interval.
        uar_change_high: Upper end.
        min_unchanged: Least share asked for; ``None``: only told.
        max_uar_loss: Most that the UAR may lose; ``None``: only told.
        passed: Whether both hold; ``None`` where nothing is asked for.
        public_models: What the best public models reach on other corpora; empty: not known.
        snr_db: Speech over noise, in the tests of a curve.
        clips: Clips heard.
        of_clips: Clips there are.
        speakers: Their speakers.
        trainings: How many, each from another seed, the figures are the mean of.
        plain_uar: UAR of the undisturbed clips.
        seed: Of what is random in the disturbances.
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
    passed: bool | None
    public_models: str
    snr_db: float | None
    clips: int
    of_clips: int
    speakers: int
    trainings: int
    plain_uar: float
    seed: int

    @property
    def interval_name(self) -> str:
        """What kind of intervals these are: ``"t interval over 9 speakers"``."""
        return name_interval("speakers" if self.speakers > 1 else "clips", self.speakers)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready types."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class HeardClips:
    """What a model said about the same clips, undisturbed and disturbed.

    Attributes:
        speakers: Who speaks in each, str ``(clips,)``.
        true: Index of the true class, int ``(clips,)``.
        plain: Index of the class heard undisturbed, or :data:`NO_SPEECH`, int ``(clips,)``.
        disturbed: The same for each test, by its name.
    """

    speakers: npt.NDArray[np.str_]
    true: IntArray
    plain: IntArray
    disturbed: Mapping[str, IntArray]


def score_stress(
    seeds: Sequence[HeardClips], tests: tuple[StressTest, ...], *, of_clips: int, seed: int
) -> tuple[StressRow, ...]:
    """Score every test, with 95% intervals over speakers.

    They are 2,000 bootstrap draws, or t intervals where speakers are few
    (:func:`emovox.evaluation.resampling.interval_over_speakers`).
    Of several trainings the scores are the means. Each draw takes the same clips for all of them,
    as in :func:`emovox.evaluation.summary.summarize_seeds`.

    Args:
        seeds: What the models of each training said about the same clips.
        tests: The tests, in the order wanted.
        of_clips: How many clips there would have been to hear.
        seed: Of what is random in the disturbances, to be told.

    Returns:
        A row for each test. The UAR is the mean recall over the classes that the clips hold; the
        interval of its change pairs each clip with itself.

    Raises:
        ValueError: If the trainings did not hear the same clips.

    Example:
        >>> score_stress([heard], find_tests(["small"]), of_clips=1_440, seed=0)  # doctest: +SKIP
    """
    first = seeds[0]
    for heard in seeds[1:]:
        if not all(np.array_equal(getattr(heard, n), getattr(first, n)) for n in _SHARED):
            raise ValueError("found seeds that heard different clips; expected the same, in order")
    n_speakers = int(np.unique(first.speakers).size)
    rows = []
    for test in tests:
        said = [(heard.plain, heard.disturbed[test.name]) for heard in seeds]
        outcomes = code_outcomes(first.true, *chain.from_iterable(said))
        score = make_outcome_score(outcomes.rows)
        unchanged, plain_uar, uar, change = (float(v) for v in score(outcomes.counts[None])[:, 0])
        # Of its own, so that a test's interval does not depend on which others are run.
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
                passed=judge_test(test, unchanged, change),
                public_models=str(test.peers),
                snr_db=test.snr_db,
                clips=len(first.true),
                of_clips=of_clips,
                speakers=n_speakers,
                trainings=len(seeds),
                plain_uar=plain_uar,
                seed=seed,
            )
        )
    return tuple(rows)


def make_outcome_score(outcomes: IntArray) -> Callable[[IntArray], FloatArray]:
    """Return the score of how often each outcome was seen.

    Args:
        outcomes: True class of each outcome, then plain and disturbed class for each training, int
            ``(outcomes, 1 + 2 * trainings)``.

    Returns:
        A function from counts ``(draws, outcomes)`` to float64 ``(4, draws)``: share unchanged,
        UAR undisturbed, UAR disturbed, and its change, each the mean over the trainings.

    Example:
        >>> score = make_outcome_score(np.array([[0, 0, 0], [1, 1, 0]]))
        >>> score(np.array([[3, 1]]))[:, 0].tolist()
        [0.75, 1.0, 0.5, -0.5]
    """
    true, *said = outcomes.T
    of_class = (true[:, None] == np.unique(true)).astype(np.float64)  # (outcomes, classes)

    def score(counts: IntArray) -> FloatArray:
        support = counts @ of_class  # (draws, classes)
        there = support > 0

        def measure_uar(said: IntArray) -> FloatArray:
            right = (counts * (said == true)) @ of_class
            recalls = np.divide(right, support, where=there, out=0 * support)
            mean: FloatArray = recalls.sum(axis=1) / there.sum(axis=1)
            return mean

        of_trainings = []
        for plain, disturbed in zip(said[::2], said[1::2], strict=True):
            unchanged = counts @ (plain == disturbed) / counts.sum(axis=1)
            uars = measure_uar(plain), measure_uar(disturbed)
            of_trainings.append(np.stack([unchanged, *uars, uars[1] - uars[0]]))
        mean: FloatArray = np.mean(of_trainings, axis=0)
        return mean

    return score


def judge_test(test: StressTest, unchanged: float, uar_change: float) -> bool | None:
    """Say whether a test is passed; ``None`` where nothing is asked for.

    Example:
        >>> from emovox.perturbations.catalogue import find_tests
        >>> judge_test(find_tests(["low-quality phone"])[0], 0.5, -0.06)
        False
    """
    if not test.has_threshold:
        return None
    steady = test.min_unchanged is None or unchanged >= test.min_unchanged
    return steady and (test.max_uar_loss is None or -uar_change <= test.max_uar_loss)
