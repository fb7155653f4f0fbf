import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox.evaluation.calibration import (
    MIN_ANSWERED,
    apply_temperature,
    bootstrap_calibration_error,
    calibrate,
    fit_min_confidence,
    fit_temperature,
)
from emovox.evaluation.metrics import compute_metrics
from emovox.evaluation.predictions import Predictions


def make_predictions(temperature: float, n_clips: int = 4_000) -> Predictions:
    """Draw classes from known probabilities, and predict them too sharply by a temperature."""
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=2, size=(n_clips, 8))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = np.array([generator.choice(8, p=row) for row in honest])
    names = np.array([f"clip{i}" for i in range(n_clips)])
    labels = tuple("abcdefgh")
    fold, speaker, gender = (np.array([text] * n_clips) for text in ("01", "1", ""))
    shown = apply_temperature(honest, 1 / temperature)
    return Predictions(names, fold, speaker, gender, true, shown, labels)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_temperature_that_sharpened_the_answers_is_found(temperature: float) -> None:
    assert fit_temperature(make_predictions(temperature)) == pytest.approx(temperature, rel=0.06)


def test_a_model_that_is_always_sure_and_often_wrong_is_cooled() -> None:
    sharp = make_predictions(1.0, 500)
    onehot = np.eye(8)[sharp.predicted]
    certain = Predictions(
        sharp.clips, sharp.folds, sharp.speakers, sharp.genders, sharp.true, onehot, sharp.labels
    )
    temperature = fit_temperature(certain)
    right = (sharp.predicted == sharp.true).mean()
    confidence = apply_temperature(onehot, temperature).max(axis=1).mean()
    assert confidence == pytest.approx(right, abs=0.01)


def test_temperature_two_is_worked_by_hand() -> None:
    np.testing.assert_allclose(apply_temperature(np.array([[0.9, 0.1]]), 2), [[0.75, 0.25]])


@given(st.floats(0.05, 50))
def test_no_temperature_changes_an_answer(temperature: float) -> None:
    probabilities = np.array([[0.2, 0.5, 0.3], [0.4, 0.35, 0.25]])
    scaled = apply_temperature(probabilities, temperature)
    assert scaled.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


def make_binary(confidence: list[float], right: list[bool]) -> Predictions:
    """Make predictions of two classes, all of true class 0, with these confidences."""
    n = len(right)
    probabilities = [
        [c, 1 - c] if ok else [1 - c, c] for c, ok in zip(confidence, right, strict=True)
    ]
    names, fold = np.array([f"clip{i}" for i in range(n)]), np.array(["01"] * n)
    speakers = np.array([str(i % 4) for i in range(n)])
    blank, true = np.array([""] * n), np.zeros(n, np.int64)
    return Predictions(names, fold, speakers, blank, true, np.array(probabilities), ("a", "b"))


def test_the_threshold_is_the_lowest_that_reaches_the_target() -> None:
    # 30 sure ones, all right; 20 at 0.7, half right; 20 at 0.6, none right.
    confidence = [0.95] * 30 + [0.7] * 20 + [0.6] * 20
    right = [True] * 30 + [True, False] * 10 + [False] * 20
    predictions = make_binary(confidence, right)
    # All: 40 of 70; from 0.7 on: 40 of 50 = 80%; above 0.7: all right.
    assert fit_min_confidence(predictions) == 0.61
    assert fit_min_confidence(predictions, target=0.81) == 0.71
    assert fit_min_confidence(predictions, target=0.5) == 0.0


def test_too_few_sure_clips_are_no_ground_for_a_threshold() -> None:
    n = MIN_ANSWERED - 1
    predictions = make_binary([0.95] * n + [0.6] * 40, [True] * n + [False] * 40)
    assert fit_min_confidence(predictions) == 0.8
    assert fit_min_confidence(predictions, target=0.7) == 0.7


def test_luck_alone_lowers_no_threshold() -> None:
    # All right, though 0.6 promises no more than 60%; of the surer ones there are too few.
    predictions = make_binary([0.6] * 40 + [0.9] * (MIN_ANSWERED - 1), [True] * 59)
    assert fit_min_confidence(predictions) == 0.8
    assert fit_min_confidence(predictions, target=0.69) == 0.0  # mean confidence 0.697


def test_the_threshold_belongs_to_the_calibrated_probabilities() -> None:
    predictions = make_predictions(3.0)
    found = calibrate(predictions)
    assert found.temperature == pytest.approx(3.0, rel=0.06)
    assert (found.n_clips, found.n_speakers) == (4_000, 1)
    scaled = apply_temperature(predictions.probabilities, found.temperature)
    correct = predictions.predicted == predictions.true
    answered = scaled.max(axis=1) >= found.min_confidence
    assert 0.8 <= correct[answered].mean() < 0.83
    assert correct.mean() < 0.75
    assert found.to_dict()["min_confidence"] == found.min_confidence


@pytest.mark.parametrize("resample_by", ["clips", "speakers", "splits"])
def test_the_interval_holds_the_measured_error(resample_by: str) -> None:
    overconfident = make_predictions(3.0, 800)
    rows = np.arange(800)
    folds = np.array([f"{i % 5:02d}" for i in rows])
    speakers = np.array([str(i % 20) for i in rows])
    predictions = Predictions(
        overconfident.clips,
        folds,
        speakers,
        overconfident.genders,
        overconfident.true,
        overconfident.probabilities,
        overconfident.labels,
    )
    metrics = compute_metrics(predictions.true, predictions.probabilities, predictions.labels)
    error = metrics.expected_calibration_error
    interval = bootstrap_calibration_error(
        predictions,
        resample_by,  # type: ignore[arg-type]
        np.random.default_rng(0),
    )
    assert interval.low < error < interval.high
    # 800 clips of accuracy about 0.6: two standard deviations of a share are 0.035.
    assert 0.04 < interval.high - interval.low < 0.13
    again = bootstrap_calibration_error(predictions, "clips", np.random.default_rng(0))
    assert again == bootstrap_calibration_error(predictions, "clips", np.random.default_rng(0))


def test_the_error_of_a_hand_worked_case_has_an_interval_around_it() -> None:
    # Confidence 0.9, right in 5 of 10: the error is 0.4, and no draw leaves [0, 0.9].
    predictions = make_binary([0.9] * 10, [True, False] * 5)
    interval = bootstrap_calibration_error(predictions, "clips", np.random.default_rng(0))
    assert 0.0 <= interval.low < 0.4 < interval.high <= 0.9
    assert interval.high == pytest.approx(0.7, abs=0.11)


def test_a_class_that_was_never_trained_on_does_not_move_the_temperature() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0]])
    names = np.array(["a", "b", "c"])
    same = np.array([""] * 3)

    def make(rows: list[int], true: list[int]) -> Predictions:
        return Predictions(
            names[rows],
            same[rows],
            names[rows],
            same[rows],
            np.array(true),
            probabilities[rows],
            ("x", "y", "z"),
        )

    # The third clip is of the class without a training clip.
    fitted = fit_temperature(make([0, 1, 2], [1, 1, 2]))
    assert fitted == fit_temperature(make([0, 1], [1, 1]))
    assert fit_temperature(make([2], [2])) == 1.0
