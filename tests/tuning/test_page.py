"""The page of a study, and what is said of its winner."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emovox.recipes.recipe import Recipe
from emovox.tuning.objective import Metric
from emovox.tuning.page import describe_winner, format_value, shorten_keys, write_page
from emovox.tuning.plots import plot_importance
from emovox.tuning.trials import Trial, Tuning


def make_trial(number: int, scores: tuple[float, ...], rate: float, **more: Any) -> Trial:
    settings = {
        "training.learning_rate": rate,
        "training.epochs": 2,
        "network.dense_units": [8],
    }
    score = sum(scores) / len(scores) if scores else math.nan
    values = {"complete": True, "as_is": False, "seconds": 1.0, **more}
    return Trial(number, score=score, scores=scores, settings=settings, **values)


@pytest.fixture
def tuning(tune_recipe_tiny: Recipe) -> Tuning:
    return Tuning(
        study="tune-<tiny>",
        recipe=tune_recipe_tiny,
        protocol="custom-tiny v1",
        folds=("01", "02"),
        n_seeds=1,
        n_clips=32,
        n_speakers=2,
        whole_speakers=True,
        metric=Metric.UA,
        trials=(
            make_trial(2, (0.8, 0.6), 0.004),
            make_trial(0, (0.7, 0.65), 0.01, as_is=True),
            make_trial(1, (0.3,), 0.0002, complete=False),
            make_trial(3, (), 0.1, complete=False, problem="the loss is <nan>"),
        ),
        importance={"training.learning_rate": 0.75, "training.epochs": 0.25},
    )


def test_the_winner_is_compared_with_the_unchanged_recipe(tuning: Tuning) -> None:
    lines = describe_winner(tuning)
    assert lines[0] == "4 trials, 2 of them pruned."
    assert lines[1] == "Trial 2 is best: UA 70.0."
    assert lines[2] == "The unchanged recipe: 67.5; the winner is better in 1 of 2 trainings."
    assert "best of 4 on the same clips, so it is optimistic" in lines[3]


def test_nothing_better_and_no_winner_are_said(tuning: Tuning) -> None:
    only_start = replace(tuning, trials=tuning.trials[1:])
    assert "nothing better was found" in " ".join(describe_winner(only_start))
    none = replace(tuning, trials=tuning.trials[2:])
    assert none.winner is None
    assert none.make_winner() is None
    assert describe_winner(none)[-1] == "No trial is complete: there is no winner."


def test_log_loss_is_better_when_lower(tuning: Tuning) -> None:
    assert "better in 1 of 2" in " ".join(describe_winner(replace(tuning, metric=Metric.LOG_LOSS)))


def test_the_page_holds_trials_figures_and_the_winner(tuning: Tuning, tmp_path: Path) -> None:
    path = tmp_path / "tune.html"
    write_page(path, tuning)
    page = path.read_text(encoding="utf-8")
    assert "<h1>tune-&lt;tiny&gt;</h1>" in page
    assert "the loss is &lt;nan&gt;" in page
    assert "<nan>" not in page
    # History, importance, and one figure for each setting; nothing from elsewhere.
    assert page.count("<svg") == 5
    assert not re.search(r'(src|href)="(?!#)', page.replace("xlink:href", "href"))
    assert re.findall(r'<tr class="winner"><td>(\d)</td><td>([\d.]+)</td>', page) == [("2", "70.0")]
    assert "learning_rate = 0.004" in page
    # Ticks of a log axis are plain numbers, not formulas that nobody draws.
    assert "mathdefault" not in page
    assert re.search(r">0\.001</text>", page)
    write_page(path, tuning)
    assert path.read_text(encoding="utf-8") == page


def test_a_page_without_a_winner_can_be_written(tuning: Tuning, tmp_path: Path) -> None:
    path = tmp_path / "tune.html"
    write_page(path, replace(tuning, trials=tuning.trials[3:], importance={}))
    page = path.read_text(encoding="utf-8")
    assert "The winner</h2>" not in page
    assert plot_importance({}) == ""


def test_to_dict_is_json_without_nan(tuning: Tuning) -> None:
    content = tuning.to_dict()
    assert content["winner"] == 2
    assert [trial["score"] for trial in content["trials"]][2:] == [0.3, None]


def test_names_are_shortened_where_they_stay_different() -> None:
    keys = ["training.epochs", "regularization.l1.conv", "regularization.l2.conv"]
    assert shorten_keys(keys) == ["epochs", "regularization.l1.conv", "regularization.l2.conv"]
    assert [format_value(value) for value in (0.123456, [64, 32], "adam", 3, "")] == [
        "0.1235",
        "[64, 32]",
        "adam",
        "3",
        "",
    ]
