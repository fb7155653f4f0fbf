import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox.evaluation.calibration import apply_temperature, fit_temperature
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
