import numpy as np
import pytest

from emovox.evaluation.intervals import (
    Interval,
    bootstrap_over_clips,
    bootstrap_over_speakers,
    correct_interval_over_splits,
    interval_over_splits,
)
from emovox.evaluation.metrics import FloatArray, IntArray


def share_right(counts: IntArray) -> FloatArray:
    """Accuracy where outcome 1 is right and 0 is wrong, ``(1, draws)``."""
    share: FloatArray = counts[None, :, 1] / counts.sum(axis=1)
    return share


def test_every_draw_keeps_the_size_of_the_speakers_drawn() -> None:
    # Speakers of one clip: a draw over speakers is then a plain draw of as many clips.
    seen: list[IntArray] = []

    def keep(counts: IntArray) -> FloatArray:
        seen.append(counts)
        return share_right(counts)

    outcomes = np.array([0, 1, 1, 0])
    speakers = np.array(["1", "2", "3", "4"])
    bootstrap_over_speakers(outcomes, speakers, keep, np.random.default_rng(0), draws=300)
    assert seen[0].shape == (300, 2)
    assert set(seen[0].sum(axis=1)) == {4}
    # Mean 2 and variance n p (1 - p) = 1 of the binomial; 300 draws.
    assert seen[0][:, 1].mean() == pytest.approx(2, abs=0.2)
    assert seen[0][:, 1].var() == pytest.approx(1, abs=0.3)


def test_speakers_that_differ_give_a_wide_interval_however_many_clips_they_have() -> None:
    # Two speakers always right, two never: the draw is of speakers, k right of 4 is binomial,
    # and 0 and 4 right have 1/16 each, more than 2.5%.
    outcomes = np.repeat([1, 1, 0, 0], 100)
    speakers = np.repeat(["1", "2", "3", "4"], 100)
    (interval,) = bootstrap_over_speakers(outcomes, speakers, share_right, np.random.default_rng(0))
    assert interval == Interval(0.0, 1.0, 0.95)
    (by_clips,) = bootstrap_over_clips(outcomes, share_right, np.random.default_rng(0))
    # Normal theory: 0.5 +- 1.96 * 0.5 / sqrt(400).
    assert (by_clips.low, by_clips.high) == pytest.approx((0.451, 0.549), abs=0.006)


def test_the_same_seed_gives_the_same_bytes_whatever_the_order_of_clips() -> None:
    generator = np.random.default_rng(1)
    outcomes = generator.integers(2, size=60)
    speakers = np.repeat([f"{i:02d}" for i in range(6)], 10)
    order = generator.permutation(60)
    first = bootstrap_over_speakers(outcomes, speakers, share_right, np.random.default_rng(7))
    second = bootstrap_over_speakers(
        outcomes[order], speakers[order], share_right, np.random.default_rng(7)
    )
    other = bootstrap_over_speakers(outcomes, speakers, share_right, np.random.default_rng(8))
    assert first == second
    assert first != other


def test_a_wider_level_gives_a_wider_interval() -> None:
    outcomes = np.tile([0, 1, 1], 20)
    narrow, wide = (
        bootstrap_over_clips(outcomes, share_right, np.random.default_rng(0), level=level)[0]
        for level in (0.5, 0.99)
    )
    assert wide.low < narrow.low < 2 / 3 < narrow.high < wide.high
    assert (narrow.level, wide.level) == (0.5, 0.99)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(11)
    n_speakers, n_clips, covered, by_clips = 24, 40, 0, 0
    speakers = np.repeat([f"{i:02d}" for i in range(n_speakers)], n_clips)
    for _ in range(200):
        # Skill differs from speaker to speaker around a mean of 0.6.
        skill = generator.beta(6, 4, size=n_speakers)
        outcomes = (generator.random((n_speakers, n_clips)) < skill[:, None]).ravel().astype(int)
        (interval,) = bootstrap_over_speakers(outcomes, speakers, share_right, generator, draws=400)
        (narrow,) = bootstrap_over_clips(outcomes, share_right, generator, draws=400)
        covered += interval.low <= 0.6 <= interval.high
        by_clips += narrow.low <= 0.6 <= narrow.high
    assert 0.90 <= covered / 200 <= 0.99
    # Why speakers are resampled at all.
    assert by_clips / 200 < 0.80


def test_splits_give_the_interval_of_their_mean() -> None:
    values = np.random.default_rng(2).normal(0.7, 0.05, size=20)
    interval = interval_over_splits(values, np.random.default_rng(0))
    error = values.std() / np.sqrt(20)
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)
    assert interval == interval_over_splits(values, np.random.default_rng(0))


def test_two_splits_span_at_most_their_range() -> None:
    # The mean of two draws is the lower value in 1 of 4 draws, the higher in 1 of 4.
    assert interval_over_splits([0.5, 0.75], np.random.default_rng(0)) == Interval(0.5, 0.75)


def test_the_overlap_of_splits_widens_their_interval_by_nadeau_and_bengio() -> None:
    # Mean 0.2, variance 0.01; t(2) at 97.5% is 4.302653.
    values = [0.1, 0.2, 0.3]
    half = 4.302653 * np.sqrt((1 / 3 + 0.2) * 0.01)
    interval = correct_interval_over_splits(values, test_to_train=0.2)
    assert (interval.low, interval.high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-6)
    with pytest.raises(ValueError, match="found 0 test clips for each training clip"):
        correct_interval_over_splits(values, test_to_train=0)
    with pytest.raises(ValueError, match="two or more finite numbers"):
        correct_interval_over_splits([0.1], test_to_train=0.2)


def test_only_the_corrected_interval_spares_equal_models_that_share_their_clips() -> None:
    # Two equally good nearest-mean classifiers on 120 points, each with noise of its own, over
    # 10 splits of the same points: a difference between them is chance.
    generator = np.random.default_rng(4)
    n_classes, n_pools, n_splits = 4, 60, 10
    true = np.repeat(np.arange(n_classes), 30)
    plain = corrected = 0
    for _ in range(n_pools):
        means = generator.normal(size=(n_classes, 4))
        points = means[true] + generator.normal(size=(2, true.size, 4))
        values = []
        for _ in range(n_splits):
            order = generator.permutation(true.size)
            train, test = order[:96], order[96:]
            right = []
            for cloud in points:
                centres = np.stack([cloud[train][true[train] == k].mean(0) for k in range(4)])
                distances = ((cloud[test][:, None] - centres) ** 2).sum(axis=2)
                right.append(np.mean(distances.argmin(axis=1) == true[test]))
            values.append(right[0] - right[1])
        interval = interval_over_splits(values, generator, draws=400)
        wider = correct_interval_over_splits(values, test_to_train=24 / 96)
        plain += not interval.low <= 0 <= interval.high
        corrected += not wider.low <= 0 <= wider.high
    assert plain / n_pools > 0.2
    assert corrected / n_pools < 0.12


@pytest.mark.parametrize("values", [[0.5], [], [0.5, np.nan], [[0.5, 0.6]]])
def test_splits_have_to_be_several_finite_numbers(values: list[float]) -> None:
    with pytest.raises(ValueError, match="two or more finite numbers"):
        interval_over_splits(values, np.random.default_rng(0))


def test_one_speaker_cannot_be_resampled() -> None:
    with pytest.raises(ValueError, match="found 1 speaker; expected two or more"):
        bootstrap_over_speakers(
            np.array([0, 1]), np.array(["1", "1"]), share_right, np.random.default_rng(0)
        )


def test_clips_and_speakers_have_to_pair() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\) and speakers of shape \(1,\)"):
        bootstrap_over_speakers(
            np.array([0, 1]), np.array(["1"]), share_right, np.random.default_rng(0)
        )
    with pytest.raises(ValueError, match="found no clip"):
        bootstrap_over_clips(np.zeros(0, dtype=np.int64), share_right, np.random.default_rng(0))


@pytest.mark.parametrize(("low", "high", "level"), [(0.6, 0.5, 0.95), (0.1, 0.2, 1.0)])
def test_an_interval_is_in_order(low: float, high: float, level: float) -> None:
    with pytest.raises(ValueError, match="expected low <= high and a level between"):
        Interval(low, high, level)
    assert Interval(0.1, 0.2).to_dict() == {"low": 0.1, "high": 0.2, "level": 0.95}
