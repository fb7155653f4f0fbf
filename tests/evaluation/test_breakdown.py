import numpy as np
import pytest
from scipy.stats import binomtest

from emovox.evaluation.breakdown import (
    find_confident_mistakes,
    find_confused_pairs,
    find_typical_hits,
    score_speakers,
    sort_speakers,
    wilson_interval,
)
from emovox.evaluation.predictions import Predictions

LABELS = ("calm", "sad", "angry")


def make(rows: list[tuple[str, str, str, str, int, tuple[float, float, float]]]) -> Predictions:
    clips, folds, speakers, genders, true, probabilities = zip(*rows, strict=True)
    return Predictions(
        np.array(clips),
        np.array(folds),
        np.array(speakers),
        np.array(genders),
        np.array(true),
        np.array(probabilities),
        LABELS,
    )


@pytest.fixture
def predictions() -> Predictions:
    return make(
        [
            ("a", "01", "2", "female", 0, (0.8, 0.1, 0.1)),
            ("b", "01", "2", "female", 0, (0.2, 0.7, 0.1)),
            ("c", "01", "10", "male", 0, (0.3, 0.6, 0.1)),
            ("d", "01", "10", "male", 1, (0.1, 0.8, 0.1)),
            ("e", "01", "10", "male", 2, (0.05, 0.9, 0.05)),
            ("b", "02", "2", "female", 0, (0.1, 0.8, 0.1)),
            ("c", "02", "10", "male", 0, (0.6, 0.3, 0.1)),
        ]
    )


def test_the_pairs_say_for_whom(predictions: Predictions) -> None:
    (pair,) = find_confused_pairs(predictions)
    assert (pair.true, pair.predicted) == ("calm", "sad")
    assert (pair.overall.count, pair.overall.total) == (3, 5)
    assert [(s.group, s.count, s.total) for s in pair.genders] == [("female", 2, 3), ("male", 1, 2)]
    assert [(s.group, s.count, s.total) for s in pair.speakers] == [("2", 2, 3), ("10", 1, 2)]
    assert pair.speakers[1].share == 0.5


def test_what_happened_once_shows_only_where_nothing_happened_more_often(
    predictions: Predictions,
) -> None:
    first = predictions.select(predictions.folds == "01").select([0, 1, 3, 4])
    pairs = find_confused_pairs(first)
    assert [(p.true, p.predicted) for p in pairs] == [("calm", "sad"), ("angry", "sad")]
    assert len(find_confused_pairs(first, limit=1)) == 1


def test_speakers_are_scored_in_the_order_of_their_numbers(predictions: Predictions) -> None:
    two, ten = score_speakers(predictions)
    assert (two.speaker, two.gender, two.tests, two.clips) == ("2", "female", 3, 2)
    assert two.accuracy == pytest.approx(1 / 3)
    assert two.top_mistake == ("calm", "sad", 2)
    assert (ten.speaker, ten.tests, ten.clips, ten.accuracy) == ("10", 4, 3, 0.5)
    # Three clips, however often they were tested.
    assert ten.interval == wilson_interval(0.5, 3)


def test_a_speaker_without_a_mistake_has_none(predictions: Predictions) -> None:
    assert score_speakers(predictions.select([0]))[0].top_mistake is None


@pytest.mark.parametrize(("hits", "total"), [(5, 10), (0, 10), (10, 10), (28, 36), (1, 1)])
def test_wilson_is_as_in_scipy(hits: int, total: int) -> None:
    expected = binomtest(hits, total).proportion_ci(0.95, method="wilson")
    interval = wilson_interval(hits / total, total)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_each_clip_is_a_confident_mistake_once(predictions: Predictions) -> None:
    mistakes = find_confident_mistakes(predictions)
    assert [(m.clip, m.fold, m.confidence) for m in mistakes] == [
        ("e", "01", 0.9),
        ("b", "02", 0.8),
        ("c", "01", 0.6),
    ]
    assert [(m.wrong_tests, m.tests) for m in mistakes] == [(1, 1), (2, 2), (1, 2)]
    assert (mistakes[0].true, mistakes[0].predicted) == ("angry", "sad")
    np.testing.assert_array_equal(mistakes[0].scores, [0.05, 0.9, 0.05])
    assert len(find_confident_mistakes(predictions, limit=2)) == 2


def test_each_emotion_has_one_typical_hit_where_any_was_right(predictions: Predictions) -> None:
    hits = find_typical_hits(predictions)
    assert [(h.clip, h.fold, h.true, h.predicted, h.confidence) for h in hits] == [
        ("a", "01", "calm", "calm", 0.8),
        ("d", "01", "sad", "sad", 0.8),
    ]
    # c, right in fold 02, is less confident: of two the upper one. Nothing angry was found.
    assert [(h.wrong_tests, h.tests) for h in hits] == [(0, 1), (0, 1)]
    assert find_typical_hits(predictions.select([1, 2])) == ()


def test_a_typical_hit_has_the_median_confidence() -> None:
    confidence = np.array([0.9, 0.6, 0.99, 0.7, 0.8])
    names = list("abcde")
    predictions = Predictions(
        np.array(names),
        np.array(["01"] * 5),
        np.array(names),
        np.array([""] * 5),
        np.zeros(5, dtype=np.int64),
        np.stack([confidence, 1 - confidence], axis=1),
        ("calm", "sad"),
    )
    assert [hit.clip for hit in find_typical_hits(predictions)] == ["e"]


def test_numbers_sort_before_names() -> None:
    assert sort_speakers(["b", "10", "a", "9"]) == ["9", "10", "a", "b"]
