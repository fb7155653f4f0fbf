"""Results as JSON-ready types, with the documented keys."""

import json
from dataclasses import FrozenInstanceError

import pytest

from emovox.recognition.results import FileFailure, Prediction


def test_a_prediction_has_the_documented_keys() -> None:
    scores = {"calm": 0.25, "angry": 0.75}
    prediction = Prediction("a.wav", 0.0, 1.23456, "angry", 0.75, scores)
    assert json.loads(json.dumps(prediction.to_dict())) == {
        "file": "a.wav",
        "start": 0.0,
        "end": 1.235,
        "emotion": "angry",
        "confidence": 0.75,
        "abstained": None,
        "scores": scores,
    }
    assert list(prediction.to_dict()["scores"]) == ["calm", "angry"]


def test_an_abstention_has_no_emotion() -> None:
    prediction = Prediction(None, 0.0, 1.0, None, 0.5, {"a": 0.5, "b": 0.5}, "uncertain")
    row = prediction.to_dict()
    assert (row["file"], row["emotion"], row["abstained"]) == (None, None, "uncertain")


def test_a_failure_names_the_file() -> None:
    assert FileFailure("a.wav", "is empty").to_dict() == {"file": "a.wav", "error": "is empty"}


def test_results_do_not_change() -> None:
    failure = FileFailure("a.wav", "is empty")
    with pytest.raises(FrozenInstanceError):
        failure.file = "b.wav"  # type: ignore[misc]
