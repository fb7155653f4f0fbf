"""Calibration by gender and speaker: hand-worked cases, and what chance alone shows."""

import json

import numpy as np
import pytest
from scipy import stats

from emovox.evaluation.group_calibration import CalibrationByGroup, measure_group_calibration
from emovox.evaluation.metrics import compute_metrics
from emovox.evaluation.predictions import Predictions


def make_predictions(
    confidence: list[float], right: list[bool], speakers: list[str], genders: list[str]
) -> Predictions:
    """Make predictions of two classes with these confidences, each at least one half."""
    n = len(right)
    scores = [[c, 1 - c] if ok else [1 - c, c] for c, ok in zip(confidence, right, strict=True)]
    return Predictions(
        np.array([f"clip{i}" for i in range(n)]),
        np.array(["01"] * n),
        np.array(speakers),
        np.array(genders),
        np.zeros(n, np.int64),
        np.array(scores),
        ("a", "b"),
    )


def draw_calibrated(n_speakers: int, n_clips: int, seed: int) -> Predictions:
    """Draw a test of a perfectly calibrated model; half of its speakers are women."""
    generator = np.random.default_rng(seed)
    n = n_speakers * n_clips
    confidence = generator.uniform(0.5, 1, n)
    right = generator.random(n) < confidence
    numbers = np.repeat(np.arange(n_speakers), n_clips)
    genders = np.where(numbers % 2 == 0, "female", "male")
    return make_predictions(
        confidence.tolist(), right.tolist(), numbers.astype(str).tolist(), genders.tolist()
    )


def measure(*seeds: Predictions) -> CalibrationByGroup:
    return measure_group_calibration(seeds, np.random.default_rng(0))


def test_women_and_men_cancel_out_in_all_but_not_apart() -> None:
    # Women: confidence 0.6, all right; men: confidence 0.9, half right.
    predictions = make_predictions(
        [0.6] * 40 + [0.9] * 40,
        [True] * 40 + [True, False] * 20,
        [f"w{i % 4}" for i in range(40)] + [f"m{i // 2 % 4}" for i in range(40)],
        ["female"] * 40 + ["male"] * 40,
    )
    everyone, women, men = measure(predictions).groups
    assert [g.group for g in (everyone, women, men)] == ["all", "women", "men"]
    assert (everyone.tests, women.tests, men.n_speakers) == (80, 40, 4)
    assert everyone.excess == pytest.approx(0)
    assert women.excess == pytest.approx(-0.4)
    assert men.excess == pytest.approx(0.4)
    assert [women.error, men.error] == pytest.approx([0.4, 0.4])
    assert men.interval is not None
    assert men.interval.low == pytest.approx(0.4)  # all men are alike
    spread = measure(predictions).speakers
    assert spread is not None
    assert spread.excess["w1"] == pytest.approx(-0.4)
    assert spread.deviation == pytest.approx(np.std([-0.4] * 4 + [0.4] * 4, ddof=1))
    assert spread.perfect_deviation_high < spread.deviation


def test_the_interval_of_equal_speakers_is_students() -> None:
    speakers = [name for name in "abcd" for _ in range(10)]
    right = [i < hits for hits in (9, 7, 5, 8) for i in range(10)]
    group = measure(make_predictions([0.8] * 40, right, speakers, [""] * 40)).groups[0]
    means = [0.8 - hits / 10 for hits in (9, 7, 5, 8)]
    low, high = stats.t.interval(0.95, 3, np.mean(means), stats.sem(means))
    assert group.interval is not None
    assert group.interval.low == pytest.approx(low)
    assert group.interval.high == pytest.approx(high)


def test_the_error_is_that_of_the_metrics() -> None:
    predictions = draw_calibrated(6, 50, 1)
    metrics = compute_metrics(predictions.true, predictions.probabilities, predictions.labels)
    group = measure(predictions).groups[0]
    assert group.error == pytest.approx(metrics.expected_calibration_error)
    assert group.accuracy == pytest.approx(metrics.accuracy)


def test_a_perfect_model_shows_what_the_simulation_expects() -> None:
    # Of 40 tests of such a model, about half lie above the median and 2 above the upper end.
    found = [measure(draw_calibrated(6, 20, seed)) for seed in range(40)]
    above = np.mean([g.groups[0].error > g.groups[0].perfect_error for g in found])
    beyond = np.mean([g.groups[0].error > g.groups[0].perfect_error_high for g in found])
    assert 0.25 < above < 0.75
    assert beyond < 0.2
    spreads = [g.speakers for g in found if g.speakers is not None]
    above = np.mean([s.deviation > s.perfect_deviation for s in spreads])
    assert 0.25 < above < 0.75


def test_a_larger_test_expects_a_smaller_error() -> None:
    small, large = (measure(draw_calibrated(8, n, 0)).groups[0] for n in (20, 500))
    assert small.perfect_error > 3 * large.perfect_error
    assert small.perfect_error < small.perfect_error_high


def test_seeds_give_the_mean_of_their_figures_whatever_their_order() -> None:
    first = draw_calibrated(4, 20, 0)
    wrong = 1 - first.probabilities
    second = Predictions(
        first.clips, first.folds, first.speakers, first.genders, first.true, wrong, first.labels
    )
    alone = [measure(part).groups[0] for part in (first, second)]
    both = measure(first, second.select(np.arange(80)[::-1])).groups[0]
    assert both.accuracy == pytest.approx(0.5)
    assert both.excess == pytest.approx(np.mean([g.excess for g in alone]))
    assert both.error == pytest.approx(np.mean([g.error for g in alone]))


def test_few_speakers_have_no_interval_and_one_has_no_spread() -> None:
    found = measure(make_predictions([0.8] * 4, [True] * 4, ["a"] * 4, ["female"] * 4))
    assert [g.group for g in found.groups] == ["all", "women"]
    assert found.groups[0].interval is None
    assert found.speakers is None
    assert len(found.describe()) == 3


def test_what_is_printed_and_kept() -> None:
    found = measure(draw_calibrated(8, 40, 0))
    header, everyone, women, men, speakers = found.describe()
    assert max(map(len, (header, everyone, women, men))) <= 100
    assert everyone.startswith("all       320 ")
    assert women.startswith("women     160 ")
    assert found.speakers is not None
    assert f"furthest off: speaker {found.speakers.worst}, " in speakers
    content = json.loads(json.dumps(found.to_dict()))
    assert content["groups"][0]["excess"] == found.groups[0].excess
    assert len(content["speakers"]["excess"]) == 8
    # The same seed gives the same bytes.
    assert measure(draw_calibrated(8, 40, 0)).to_dict() == found.to_dict()
