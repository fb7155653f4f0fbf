import numpy as np
import pytest
import scipy.stats

from emovox.evaluation.intervals import bootstrap_over_speakers
from emovox.evaluation.metrics import FloatArray, IntArray
from emovox.evaluation.outcomes import code_outcomes, score_models
from emovox.evaluation.resampling import FEW_SPEAKERS, interval_over_speakers, name_interval
from emovox.evaluation.t_intervals import (
    Variance,
    measure_clip_variance,
    measure_speaker_variance,
    t_intervals,
)


def share_right(counts: IntArray) -> FloatArray:
    """Accuracy where outcome 1 is right and 0 is wrong, ``(1, draws)``."""
    share: FloatArray = counts[None, :, 1] / counts.sum(axis=1)
    return share


def make_speakers(*n_right: int, of: int = 10) -> tuple[IntArray, "np.typing.NDArray[np.str_]"]:
    outcomes = np.concatenate([(np.arange(of) < n).astype(np.int64) for n in n_right])
    return outcomes, np.repeat([f"{i:02d}" for i in range(len(n_right))], of)


def test_the_variance_over_speakers_is_that_of_their_mean() -> None:
    outcomes, speakers = make_speakers(1, 5, 9, 3)
    variance = measure_speaker_variance(outcomes, speakers, share_right)
    expected = np.var([0.1, 0.5, 0.9, 0.3], ddof=1) / 4
    assert variance.values == pytest.approx([expected])
    assert variance.freedom == 3


def test_the_variance_over_clips_is_that_of_a_share() -> None:
    outcomes, _ = make_speakers(7)
    variance = measure_clip_variance(outcomes, share_right)
    assert variance.values == pytest.approx([0.7 * 0.3 / 9])
    assert variance.freedom == 9


def test_speakers_that_agree_by_chance_leave_the_doubt_of_their_clips() -> None:
    outcomes, speakers = make_speakers(6, 6)
    variance = measure_speaker_variance(outcomes, speakers, share_right)
    assert variance.values == pytest.approx([0.6 * 0.4 / 19])
    assert variance.freedom == 1


def test_nine_speakers_get_the_t_interval_of_their_accuracies() -> None:
    rights = (3, 5, 8, 6, 7, 4, 6, 9, 2)
    outcomes, speakers = make_speakers(*rights)
    (interval,) = interval_over_speakers(outcomes, speakers, share_right, np.random.default_rng(0))
    accuracies = np.array(rights) / 10
    expected = scipy.stats.t.interval(
        0.95, 8, accuracies.mean(), accuracies.std(ddof=1) / np.sqrt(9)
    )
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_from_fifteen_speakers_on_it_is_the_bootstrap() -> None:
    outcomes, speakers = make_speakers(*range(15), of=14)
    assert np.unique(speakers).size == FEW_SPEAKERS
    found = interval_over_speakers(outcomes, speakers, share_right, np.random.default_rng(0))
    assert found == bootstrap_over_speakers(
        outcomes, speakers, share_right, np.random.default_rng(0)
    )


def test_intervals_stay_where_scores_can_be() -> None:
    values, wide = np.array([0.9, -0.9]), [Variance(np.array([0.04, 0.04]), 2)]
    score, difference = t_intervals(values, wide, lowest=[0.0, -1.0])
    assert (score.high, difference.low) == (1.0, -1.0)
    assert difference.high == pytest.approx(-0.9 + 4.302653 * 0.2, abs=1e-6)


def test_variances_add_up_and_their_freedom_is_satterthwaites() -> None:
    # The variance of two samples of unequal spread: Welch's interval.
    first, second = np.array([0.1, 0.4, 0.5, 0.9]), np.array([0.3, 0.35, 0.4])
    parts = [Variance(np.array([s.var(ddof=1) / s.size]), s.size - 1) for s in (first, second)]
    (interval,) = t_intervals(np.array([first.mean() - second.mean()]), parts, lowest=-1.0)
    expected = scipy.stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_without_variance_there_is_no_width() -> None:
    (interval,) = t_intervals(np.array([1.0]), [Variance(np.array([0.0]), 8)])
    assert (interval.low, interval.high) == (1.0, 1.0)


@pytest.mark.parametrize("n_speakers", [3, 5, 9])
def test_few_speakers_are_covered_as_often_as_said(n_speakers: int) -> None:
    """Accuracy, UAR and the difference of two equal models, over speakers who differ."""
    generator = np.random.default_rng(n_speakers)
    n_clips, n_classes, n_rounds = 40, 4, 150
    true = np.tile(np.arange(n_clips) % n_classes, n_speakers)
    speakers = np.repeat([f"{i}" for i in range(n_speakers)], n_clips)
    covered = np.zeros(3)
    by_bootstrap = 0
    for _ in range(n_rounds):
        said = []
        for _ in range(2):
            skill = generator.beta(6, 4, size=n_speakers)
            right = (generator.random((n_speakers, n_clips)) < skill[:, None]).ravel()
            said.append(np.where(right, true, (true + 1) % n_classes))
        outcomes = code_outcomes(true, *said)
        of_models = score_models(outcomes, n_classes)

        def score(counts: IntArray, of_models: object = of_models) -> FloatArray:
            assert callable(of_models)
            first, second = of_models(counts)[:, :2]
            return np.stack([*first, first[0] - second[0]])

        truths = (0.6, 0.6, 0.0)
        intervals = interval_over_speakers(
            outcomes.index, speakers, score, generator, lowest=[0.0, 0.0, -1.0]
        )
        covered += [i.low <= t <= i.high for i, t in zip(intervals, truths, strict=True)]
        drawn = bootstrap_over_speakers(outcomes.index, speakers, score, generator, draws=200)
        by_bootstrap += drawn[0].low <= 0.6 <= drawn[0].high
    assert (covered / n_rounds >= 0.90).all()
    # Why it is not the bootstrap.
    assert by_bootstrap < covered[0]


def test_the_kind_of_interval_has_a_name() -> None:
    assert name_interval("speakers", 14) == "t interval over 14 speakers"
    assert name_interval("speakers", 15) == "interval over speakers"
    assert name_interval("clips", 36) == "interval over clips"
    assert name_interval("splits", 20, n_seeds=3) == "interval over splits"
    assert name_interval("speakers", 24, n_seeds=3) == "t interval over 3 seeds and 24 speakers"
