import json
import warnings

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from emovox.evaluation.metrics import (
    ClassMetrics,
    compute_metrics,
    count_confusions,
    score_confusions,
)

LABELS = ("calm", "happy", "angry")


def one_hot(predicted: list[int], confidence: float = 1.0) -> npt.NDArray[np.float64]:
    probabilities = np.full((len(predicted), 3), (1 - confidence) / 2)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities


def random_case(
    seed: int, n_clips: int = 200
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    true = generator.integers(3, size=n_clips)
    return true, generator.dirichlet(np.ones(3), size=n_clips)


def test_a_confusion_matrix_worked_by_hand() -> None:
    # calm: 3 of 4 found; happy: 1 of 2, the other heard as calm; angry: 2 of 4, as happy else.
    true = [0, 0, 0, 0, 1, 1, 2, 2, 2, 2]
    predicted = [0, 0, 0, 1, 1, 0, 2, 2, 1, 1]
    metrics = compute_metrics(true, one_hot(predicted), LABELS)
    assert metrics.confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 2, 2]]
    assert metrics.accuracy == 0.6
    assert metrics.uar == pytest.approx((3 / 4 + 1 / 2 + 2 / 4) / 3)
    assert metrics.macro_precision == pytest.approx((3 / 4 + 1 / 4 + 1) / 3)
    assert metrics.macro_f1 == pytest.approx((6 / 8 + 2 / 6 + 4 / 6) / 3)
    assert metrics.per_class[1] == ClassMetrics("happy", 0.25, 0.5, 2 / 6, 2)
    assert metrics.absent_classes == ()


@pytest.mark.parametrize("seed", range(5))
def test_every_number_is_scikit_learns(seed: int) -> None:
    true, probabilities = random_case(seed)
    predicted = probabilities.argmax(axis=1)
    metrics = compute_metrics(true, probabilities, LABELS)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        true, predicted
    )
    assert [entry.precision for entry in metrics.per_class] == pytest.approx(precision)
    assert [entry.recall for entry in metrics.per_class] == pytest.approx(recall)
    assert [entry.f1 for entry in metrics.per_class] == pytest.approx(f1)
    assert [entry.support for entry in metrics.per_class] == support.tolist()
    assert metrics.accuracy == pytest.approx(sklearn.metrics.accuracy_score(true, predicted))
    assert metrics.uar == pytest.approx(sklearn.metrics.balanced_accuracy_score(true, predicted))
    assert metrics.macro_precision == pytest.approx(precision.mean())
    assert metrics.macro_recall == pytest.approx(recall.mean())
    assert metrics.macro_f1 == pytest.approx(f1.mean())
    assert metrics.log_loss == pytest.approx(sklearn.metrics.log_loss(true, probabilities))
    assert np.array_equal(metrics.confusion, sklearn.metrics.confusion_matrix(true, predicted))


def test_a_class_without_clips_is_said_and_left_out_of_means() -> None:
    true, predicted = [0, 0, 2, 2], [0, 1, 2, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = compute_metrics(true, one_hot(predicted), LABELS)
    assert metrics.absent_classes == ("happy",)
    assert metrics.per_class[1] == ClassMetrics("happy", 0.0, 0.0, 0.0, 0)
    assert metrics.uar == metrics.macro_recall == 0.75
    expected = sklearn.metrics.precision_recall_fscore_support(
        true, predicted, labels=[0, 2], average="macro", zero_division=0
    )
    assert (metrics.macro_precision, metrics.macro_recall, metrics.macro_f1) == pytest.approx(
        expected[:3]
    )


def test_a_class_never_predicted_counts_as_zero_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = compute_metrics([0, 1, 2], one_hot([0, 0, 0]), LABELS)
    assert metrics.per_class[2] == ClassMetrics("angry", 0.0, 0.0, 0.0, 1)
    assert metrics.uar == pytest.approx(1 / 3)
    assert metrics.macro_f1 == pytest.approx(0.5 / 3)


def test_log_loss_of_a_certain_mistake_is_finite_as_in_scikit_learn() -> None:
    true, probabilities = [0, 1, 2], one_hot([1, 1, 2])
    loss = compute_metrics(true, probabilities, LABELS).log_loss
    assert loss == pytest.approx(sklearn.metrics.log_loss(true, probabilities))
    assert compute_metrics([0, 1, 2], one_hot([0, 1, 2]), LABELS).log_loss == 0.0


def test_calibration_worked_by_hand() -> None:
    # Ten clips at confidence 0.9 of which 6 are right, ten at 0.5 of which 5 are.
    predicted = [0] * 20
    true = [0] * 6 + [1] * 4 + [0] * 5 + [2] * 5
    probabilities = np.concatenate([one_hot(predicted[:10], 0.9), one_hot(predicted[:10], 0.5)])
    metrics = compute_metrics(true, probabilities, LABELS)
    assert metrics.expected_calibration_error == pytest.approx((10 * 0.3 + 10 * 0.0) / 20)
    low, high = metrics.calibration_bins
    assert (low.count, low.confidence, low.accuracy) == pytest.approx((10, 0.5, 0.5))
    assert (high.count, high.confidence, high.accuracy) == pytest.approx((10, 0.9, 0.6))
    assert (low.low, low.high) == pytest.approx((7 / 15, 8 / 15))


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    metrics = compute_metrics([0], [[0.6, 0.4, 0.0]], LABELS)
    assert metrics.calibration_bins[0].high == pytest.approx(0.6)
    certain = compute_metrics([0], one_hot([0]), LABELS)
    assert (certain.calibration_bins[0].high, certain.expected_calibration_error) == (1.0, 0.0)


def test_a_tie_goes_to_the_first_class() -> None:
    assert compute_metrics([1], [[0.2, 0.4, 0.4]], LABELS).accuracy == 1.0
    assert compute_metrics([2], [[0.2, 0.4, 0.4]], LABELS).accuracy == 0.0


def test_metrics_survive_json() -> None:
    metrics = compute_metrics([0, 1, 0], one_hot([0, 1, 1]), LABELS)
    told = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert told["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert told["absent_classes"] == ["angry"]
    assert told["per_class"][0] == {
        "label": "calm",
        "precision": 1.0,
        "recall": 0.5,
        "f1": 2 / 3,
        "support": 2,
    }
    assert told["calibration_bins"][0]["count"] == 3
    assert set(told) == set(metrics.__slots__)


@given(seed=st.integers(0, 2**32 - 1), n_clips=st.integers(1, 40))
def test_the_order_of_clips_does_not_matter(seed: int, n_clips: int) -> None:
    true, probabilities = random_case(seed, n_clips)
    order = np.random.default_rng(seed).permutation(n_clips)
    first = compute_metrics(true, probabilities, LABELS)
    second = compute_metrics(true[order], probabilities[order], LABELS)
    assert np.array_equal(first.confusion, second.confusion)
    assert (first.accuracy, first.uar, first.macro_f1) == (
        second.accuracy,
        second.uar,
        second.macro_f1,
    )
    assert first.log_loss == pytest.approx(second.log_loss)
    assert first.expected_calibration_error == pytest.approx(second.expected_calibration_error)


@given(seed=st.integers(0, 2**32 - 1), n_clips=st.integers(1, 40))
def test_scores_are_shares_and_a_perfect_model_has_all(seed: int, n_clips: int) -> None:
    true, probabilities = random_case(seed, n_clips)
    metrics = compute_metrics(true, probabilities, LABELS)
    for score in (metrics.accuracy, metrics.uar, metrics.macro_f1, metrics.macro_precision):
        assert 0 <= score <= 1
    assert 0 <= metrics.expected_calibration_error <= 1
    assert metrics.log_loss >= 0
    perfect = compute_metrics(true, one_hot(true.tolist()), LABELS)
    assert (perfect.accuracy, perfect.uar, perfect.macro_f1, perfect.macro_precision) == (
        pytest.approx((1, 1, 1, 1))
    )


def test_many_confusions_are_scored_as_each_alone() -> None:
    generator = np.random.default_rng(3)
    true, predicted = generator.integers(3, size=(2, 12))
    weights = generator.integers(3, size=(50, 12))
    scores = score_confusions(count_confusions(weights, true, predicted, 3))
    assert scores.shape == (3, 50)
    for draw, weight in enumerate(weights):
        drawn_true, drawn_predicted = np.repeat(true, weight), np.repeat(predicted, weight)
        alone = compute_metrics(drawn_true, one_hot(drawn_predicted.tolist()), LABELS)
        assert scores[:, draw] == pytest.approx([alone.accuracy, alone.uar, alone.macro_f1])


@pytest.mark.parametrize(
    ("true", "probabilities", "message"),
    [
        ([0, 1], one_hot([0]), r"shape \(2,\) and probabilities of shape \(1, 3\)"),
        ([0], [[0.5, 0.5]], r"expected \(clips,\) and \(clips, 3\)"),
        ([[0]], one_hot([0]), r"shape \(1, 1\)"),
        (np.zeros(0, dtype=int), np.zeros((0, 3)), "found no test clip"),
        ([0.0], one_hot([0]), "type float64; expected integers"),
        ([3], one_hot([0]), "from 3 to 3; expected 0 to 2"),
        ([-1], one_hot([0]), "from -1 to -1"),
        ([0], [[np.nan, 0.5, 0.5]], r"\[nan, 0.5, 0.5\] as the probabilities of clip 0"),
        ([0, 0], [[1, 0, 0], [0.5, 0.2, 0.2]], r"clip 1 \(and 0 more"),
        ([0], [[1.2, -0.2, 0.0]], "expected numbers from 0 that sum to 1"),
        ([0], [[np.inf, 0.0, 0.0]], "expected numbers from 0 that sum to 1"),
    ],
)
def test_what_is_no_score_is_refused(
    true: npt.ArrayLike, probabilities: npt.ArrayLike, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compute_metrics(true, probabilities, LABELS)


@pytest.mark.parametrize("labels", [("calm",), ("calm", "calm", "angry")])
def test_labels_have_to_differ(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="two or more different names"):
        compute_metrics([0], [[1.0] + [0.0] * (len(labels) - 1)], labels)
