"""Results as JSON-ready types, hashable, and as a pandas table."""

import json
import pickle
import sys
from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any, cast

import pandas as pd
import pytest

from emovox.errors import EmovoxError
from emovox.recognition.frame import to_frame
from emovox.recognition.results import FileFailure, Prediction

SCORES = {"calm": 0.25, "angry": 0.75}
ANSWER = Prediction("a.wav", 0.0, 1.23456, "angry", 0.75, SCORES)
UNCERTAIN = Prediction(None, 0.5, 1.0, None, 0.5, {"calm": 0.5, "angry": 0.5}, "uncertain")
NO_SPEECH = Prediction("b.wav", 0.0, 0.1, None, None, None, "no speech")
FAILURE = FileFailure("c.wav", "c.wav: is empty", "audio.empty", "is empty")


def test_a_prediction_has_its_attributes_names() -> None:
    assert json.loads(json.dumps(ANSWER.to_dict())) == {
        "file": "a.wav",
        "start_s": 0.0,
        "end_s": 1.23456,
        "emotion": "angry",
        "confidence": 0.75,
        "abstained": None,
        "scores": SCORES,
        "channel": None,
        "notes": [],
    }
    assert list(ANSWER.to_dict()["scores"]) == ["calm", "angry"]


@pytest.mark.parametrize("prediction", [ANSWER, UNCERTAIN, NO_SPEECH])
def test_a_prediction_comes_back_from_its_dict(prediction: Prediction) -> None:
    assert Prediction.from_dict(prediction.to_dict()) == prediction
    assert Prediction.from_dict(json.loads(json.dumps(prediction.to_dict()))) == prediction


@pytest.mark.parametrize(
    "change", [{"start": 0.0}, {"scores": ...}, FAILURE.to_dict()], ids=["more", "less", "failure"]
)
def test_a_dict_with_other_keys_is_no_prediction(change: dict[str, Any]) -> None:
    values = {k: v for k, v in {**ANSWER.to_dict(), **change}.items() if v is not ...}
    with pytest.raises(EmovoxError, match="expected those of a prediction: file, start_s") as found:
        Prediction.from_dict(values)
    assert found.value.code == "prediction.invalid"


def test_equal_predictions_are_one_in_a_set() -> None:
    again = Prediction("a.wav", 0.0, 1.23456, "angry", 0.75, dict(reversed(SCORES.items())))
    assert len({ANSWER, again, UNCERTAIN, NO_SPEECH, FAILURE}) == 4
    for copy in (pickle.loads(pickle.dumps(ANSWER)), deepcopy(ANSWER)):  # noqa: S301
        assert copy == ANSWER
        assert hash(copy) == hash(ANSWER)


def test_scores_cannot_be_changed_behind_a_prediction() -> None:
    scores = dict(SCORES)
    prediction = Prediction("a.wav", 0.0, 1.0, "angry", 0.75, scores)
    scores["angry"] = 0.0
    assert prediction.scores == SCORES
    changeable = cast(dict[str, float], prediction.scores)
    for change in (
        lambda: changeable.update(angry=0.0),
        lambda: changeable.pop("angry"),
        lambda: changeable.__setitem__("angry", 0.0),
        lambda: changeable.__ior__({"angry": 0.0}),
        changeable.clear,
    ):
        with pytest.raises(TypeError, match="scores are immutable"):
            change()
    prediction.to_dict()["scores"]["angry"] = 0.0
    assert prediction.scores == SCORES


def test_a_failure_names_the_file_and_the_code() -> None:
    assert FAILURE.to_dict() == {
        "file": "c.wav",
        "error": "c.wav: is empty",
        "code": "audio.empty",
        "detail": "is empty",
    }


def test_results_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        FAILURE.file = "b.wav"  # type: ignore[misc]


def test_a_frame_has_audformat_s_segmented_index() -> None:
    frame = to_frame([ANSWER, UNCERTAIN, NO_SPEECH, FAILURE])
    assert frame.index.names == ["file", "start", "end"]
    assert [str(dtype) for dtype in frame.index.dtypes] == [
        "string",
        "timedelta64[ns]",
        "timedelta64[ns]",
    ]
    assert frame.index[0] == (
        "a.wav",
        pd.Timedelta(0),
        pd.Timedelta(seconds=1, milliseconds=234, microseconds=560),
    )
    assert frame.index.get_level_values("start")[1] == pd.Timedelta(milliseconds=500)
    assert frame.index.get_level_values("file").isna().tolist() == [False, True, False, False]
    assert frame.index.get_level_values("end").isna().tolist() == [False, False, False, True]


def test_a_frame_has_a_column_for_each_emotion() -> None:
    results: list[Prediction | FileFailure] = [ANSWER, UNCERTAIN, NO_SPEECH, FAILURE]
    frame = to_frame(iter(results))
    columns = "emotion confidence abstained channel notes error_code error calm angry"
    assert " ".join(frame.columns) == columns
    assert frame["angry"].tolist()[:2] == [0.75, 0.5]
    assert frame["confidence"].tolist()[:2] == [0.75, 0.5]
    assert frame[["confidence", "calm", "angry"]].isna().all(axis=1).tolist() == [
        False,
        False,
        True,
        True,
    ]
    assert frame["emotion"].iloc[0] == "angry"
    assert frame["emotion"].isna().tolist() == [False, True, True, True]
    assert frame["abstained"].tolist()[1:3] == ["uncertain", "no speech"]
    assert (frame["error_code"].iloc[3], frame["error"].iloc[3]) == ("audio.empty", FAILURE.error)


def test_a_frame_has_channel_and_notes() -> None:
    frame = to_frame([replace(ANSWER, channel=2, notes=("a", "b")), ANSWER, FAILURE])
    assert frame["channel"].isna().tolist() == [False, True, True]
    assert (frame["channel"].iloc[0], frame["notes"].iloc[0]) == (2, "a; b")
    assert frame["notes"].isna().tolist() == [False, True, True]


def test_no_predictions_make_an_empty_frame() -> None:
    frame = to_frame([])
    assert frame.shape == (0, 7)
    assert frame.index.names == ["file", "start", "end"]


def test_without_pandas_a_frame_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(EmovoxError, match=r"pip install 'emovox\[frame\]'") as found:
        to_frame([ANSWER])
    assert found.value.code == "package.missing"


def test_scores_are_a_dict_to_others() -> None:
    assert "scores={'calm': 0.25, 'angry': 0.75}" in repr(ANSWER)
    assert json.loads(json.dumps(ANSWER.scores)) == SCORES
    assert asdict(ANSWER) == ANSWER.to_dict()
