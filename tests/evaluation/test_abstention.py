import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox.evaluation.abstention import average_coverages, find_risk_curve, measure_abstention
from emovox.evaluation.predictions import Predictions


def make_predictions(
    confidence: list[float], right: list[bool], folds: list[str] | None = None
) -> Predictions:
    """Make predictions of two classes, all of true class 0, with these confidences."""
    n = len(right)
    rows = [[c, 1 - c] if ok else [1 - c, c] for c, ok in zip(confidence, right, strict=True)]
    names = np.array([f"clip{i}" for i in range(n)])
    blank, fold = np.array([""] * n), np.array(folds or ["01"] * n)
    speakers, true = np.array(["1"] * n), np.zeros(n, np.int64)
    return Predictions(names, fold, speakers, blank, true, np.array(rows), ("a", "b"))


FIVE = make_predictions([0.95, 0.9, 0.8, 0.7, 0.6], [True, True, False, True, False])


def test_coverage_and_accuracy_are_worked_by_hand() -> None:
    found = measure_abstention(FIVE, coverages=(1.0, 0.8, 0.6, 0.5), thresholds=(0.65, 0.9, 0.99))
    assert [(e.count, e.coverage) for e in found.by_coverage] == [
        (5, 1.0),
        (4, 0.8),
        (3, 0.6),
        (3, 0.6),  # 2.5 clips are three
    ]
    assert [e.accuracy for e in found.by_coverage] == pytest.approx([3 / 5, 3 / 4, 2 / 3, 2 / 3])
    assert [e.min_confidence for e in found.by_coverage] == pytest.approx([0.6, 0.7, 0.8, 0.8])
    assert [(e.count, e.accuracy) for e in found.by_threshold] == [(4, 0.75), (2, 1.0), (0, None)]
    assert found.own is None
    # Risks at 1 to 5 clips: 0, 0, 1/3, 1/4, 2/5.
    assert found.area == pytest.approx((1 / 3 + 1 / 4 + 2 / 5) / 5)


def test_each_seed_answers_what_it_is_surest_of() -> None:
    other = make_predictions([0.9, 0.6, 0.95, 0.7, 0.8], [True, False, True, True, False])
    rows = np.array([4, 2, 0, 1, 3])
    # FIVE: 3/5 of all, 2/3 of the three surest; the other: 3/5, and 2/3 too of 0.95, 0.9, 0.8.
    found = average_coverages([FIVE, other.select(rows)], (1.0, 0.6, 0.4, 0.2))
    np.testing.assert_allclose(found, [(1, 0.6), (0.6, 2 / 3), (0.4, 1), (0.2, 1)])
    worse = make_predictions([0.95, 0.9, 0.8, 0.7, 0.6], [False] * 5)
    np.testing.assert_allclose(average_coverages([FIVE, worse], (1.0, 0.4)), [(1, 0.3), (0.4, 0.5)])


def test_seeds_that_tested_other_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="seeds that tested different clips"):
        average_coverages([FIVE, FIVE.select([0, 1, 2, 3])])


def test_each_fold_has_a_threshold_of_its_own() -> None:
    predictions = make_predictions(
        [0.9, 0.7, 0.9, 0.7], [True, False, True, False], ["01", "01", "02", "02"]
    )
    own = measure_abstention(predictions, {"01": 0.8, "02": 0.0}).own
    assert own is not None
    assert (own.min_confidence, own.count, own.coverage) == (None, 3, 0.75)
    assert own.accuracy == pytest.approx(2 / 3)
    nothing = measure_abstention(predictions, {"01": 1.0, "02": 1.0}).own
    assert nothing is not None
    assert (nothing.count, nothing.accuracy) == (0, None)


def test_equally_sure_clips_are_answered_together() -> None:
    right = [True, False, True, False]
    for order in (right, right[::-1]):
        predictions = make_predictions([0.8] * 4, order)
        (half,) = measure_abstention(predictions, coverages=(0.5,)).by_coverage
        assert (half.count, half.accuracy) == (4, 0.5)
        assert find_risk_curve(predictions)[1].tolist() == [0.5] * 4


def test_the_curve_ends_at_the_error_rate() -> None:
    coverage, risk = find_risk_curve(FIVE)
    assert coverage.tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 4, 2 / 5])


def test_what_is_written_reads_back() -> None:
    found = json.loads(json.dumps(measure_abstention(FIVE, {"01": 0.65}).to_dict()))
    assert found["own"] == {"min_confidence": None, "count": 4, "coverage": 0.8, "accuracy": 0.75}
    assert [entry["min_confidence"] for entry in found["by_threshold"]][0] == 0.3
    assert found["by_coverage"][0]["coverage"] == 1.0


@given(st.lists(st.tuples(st.floats(0.51, 1), st.booleans()), min_size=1, max_size=30))
def test_a_higher_threshold_never_answers_more(clips: list[tuple[float, bool]]) -> None:
    confidence, right = [c for c, _ in clips], [ok for _, ok in clips]
    found = measure_abstention(make_predictions(confidence, right))
    counts = [entry.count for entry in found.by_threshold]
    assert counts == sorted(counts, reverse=True)
    assert found.by_coverage[0].count == len(clips)
    assert found.by_coverage[0].accuracy == pytest.approx(np.mean(right))
    assert all(e.coverage >= c for e, c in zip(found.by_coverage, (1, 0.9, 0.8), strict=False))
