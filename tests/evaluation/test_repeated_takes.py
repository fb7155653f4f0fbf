"""Test clips whose other take trains, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold, Protocol
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.repeated_takes import RepeatedTakes, score_repeated_takes


def make_clip(
    name: str, *, sentence: str | None = "Kids", intensity: str = "normal", speaker: str = "1"
) -> Clip:
    return Clip(name, Path(name), "made", "sad", speaker, None, sentence, intensity)


def make_protocol(*folds: Fold) -> Protocol:
    return Protocol("made", 1, "", False, folds)


def predict(names: list[str], folds: list[str], right: list[bool]) -> Predictions:
    blank, n = [""] * len(names), len(names)
    scores = [[0.9, 0.1] if ok else [0.1, 0.9] for ok in right]
    return Predictions(
        np.array(names),
        np.array(folds),
        np.array(["1"] * n),
        np.array(blank),
        np.zeros(n, np.int64),
        np.array(scores),
        ("sad", "calm"),
    )


def test_takes_are_found_in_training_and_validation_of_the_same_fold() -> None:
    kids, dogs = make_clip("kids-2"), make_clip("dogs-2", sentence="Dogs")
    loud, other = make_clip("loud", intensity="strong"), make_clip("other", speaker="2")
    train, validation = (make_clip("kids-1"),), (make_clip("dogs-1", sentence="Dogs"),)
    protocol = make_protocol(
        Fold("01", train, validation, (kids, dogs, loud, other)),
        # The same clip without its take.
        Fold("02", (loud,), (), (kids,)),
    )
    predictions = predict(
        ["kids-2", "dogs-2", "loud", "other", "kids-2"],
        ["01", "01", "01", "01", "02"],
        [True, False, True, False, True],
    )
    found = score_repeated_takes(protocol, predictions)
    assert found == RepeatedTakes(2, 5, 0.5, 2 / 3)
    assert "2 of 5 tests" in found.describe()
    assert found.describe().endswith("WA 50.0 with it, 66.7 without")
    assert found.to_dict()["repeated"] == 2


def test_where_every_take_is_repeated_there_is_no_other_accuracy() -> None:
    protocol = make_protocol(Fold("01", (make_clip("a"),), (), (make_clip("b"),)))
    found = score_repeated_takes(protocol, predict(["b"], ["01"], [True]))
    assert found == RepeatedTakes(1, 1, 1.0, None)
    assert found.describe().endswith("WA 100.0 with it")


@pytest.mark.parametrize("changes", [{"speaker": "2"}, {"sentence": None}])
def test_without_repeated_takes_there_is_nothing_to_say(changes: dict[str, str]) -> None:
    tested = make_clip("b", **changes)
    trained = make_clip("a", sentence=changes.get("sentence", "Kids"))
    protocol = make_protocol(Fold("01", (trained,), (), (tested,)))
    assert score_repeated_takes(protocol, predict(["b"], ["01"], [True])) is None
