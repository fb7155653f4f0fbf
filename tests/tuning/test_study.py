"""A study from the first trial to the winner, interrupted or not."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emovox.corpora.folds import Protocol
from emovox.errors import ProtocolError, RecipeError, RunError
from emovox.recipes.recipe import Recipe, build_recipe, load_recipe
from emovox.tuning.objective import Metric
from emovox.tuning.study import StudySettings, TuneWatcher
from emovox.tuning.trials import Trial, Tuning
from emovox.tuning.tune import tune_recipe

N_TRIALS = 9


class Interruption(TuneWatcher):
    """Interrupts the training with a number, as Ctrl-C does."""

    def __init__(self, training: int) -> None:
        self.left = training

    def end_fold(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def tuning(
    tune_recipe_tiny: Recipe, tiny_protocol: Protocol, tmp_path_factory: pytest.TempPathFactory
) -> Tuning:
    """Return a study that ran through."""
    folder = tmp_path_factory.mktemp("study")
    return tune_recipe(
        tune_recipe_tiny, tiny_protocol, folder, settings=StudySettings(n_trials=N_TRIALS)
    )


def strip_times(trials: tuple[Trial, ...]) -> list[Trial]:
    ordered = sorted(trials, key=lambda trial: trial.number)
    return [replace(trial, seconds=0.0, number=at) for at, trial in enumerate(ordered)]


def test_two_processes_find_the_same_trials(
    tuning: Tuning, tune_recipe_tiny: Recipe, tiny_protocol: Protocol, tmp_path: Path
) -> None:
    settings = StudySettings(n_trials=N_TRIALS)
    found = tune_recipe(tune_recipe_tiny, tiny_protocol, tmp_path, settings=settings, jobs=2)
    assert strip_times(found.trials) == strip_times(tuning.trials)


def test_trials_come_best_first_and_start_from_the_recipe(tuning: Tuning) -> None:
    assert sorted(trial.number for trial in tuning.trials) == list(range(N_TRIALS))
    complete = [trial for trial in tuning.trials if trial.complete]
    assert list(tuning.trials[: len(complete)]) == complete
    assert [t.score for t in complete] == sorted((t.score for t in complete), reverse=True)
    assert all(len(t.scores) == 2 and t.score == pytest.approx(sum(t.scores) / 2) for t in complete)
    assert tuning.start is not None
    assert tuning.start.number == 0
    assert tuning.start.settings == {
        "training.learning_rate": 0.01,
        "training.epochs": 2,
        "network.dense_units": [8],
    }
    assert tuning.winner is complete[0]


def test_a_study_says_what_its_scores_rest_on(tuning: Tuning) -> None:
    assert tuning.describe_basis() == (
        "validation UA, mean of 2 folds of custom-tiny v1; 32 validation clips of 2 speakers "
        "(whole speakers)"
    )


def test_the_winner_is_a_recipe(tuning: Tuning, tmp_path: Path) -> None:
    winner = tuning.make_winner()
    assert winner is not None
    assert tuning.winner is not None
    path = tmp_path / "winner.toml"
    path.write_text(winner.to_toml())
    again = load_recipe(path)
    assert again == winner
    assert again.name == "tiny-tuned"
    assert again.training.epochs == tuning.winner.settings["training.epochs"]
    assert again.training.learning_rate == tuning.winner.settings["training.learning_rate"]
    assert again.tune == tuning.recipe.tune


def test_importance_shares_sum_to_one(tuning: Tuning) -> None:
    assert sum(trial.complete for trial in tuning.trials) >= 8
    assert set(tuning.importance) == set(tuning.recipe.tune.space)
    assert math.isclose(sum(tuning.importance.values()), 1)
    assert list(tuning.importance.values()) == sorted(tuning.importance.values(), reverse=True)


def test_an_interrupted_study_goes_on_as_if_nothing_had_happened(
    tuning: Tuning,
    tune_recipe_tiny: Recipe,
    tiny_protocol: Protocol,
    tmp_path: Path,
) -> None:
    settings = StudySettings(n_trials=N_TRIALS)
    for training in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            tune_recipe(
                tune_recipe_tiny,
                tiny_protocol,
                tmp_path,
                settings=settings,
                watcher=Interruption(training),
            )
    resumed = tune_recipe(tune_recipe_tiny, tiny_protocol, tmp_path, settings=settings)
    assert strip_times(resumed.trials) == strip_times(tuning.trials)
    # Asked for what is there already, it only reads.
    again = tune_recipe(
        tune_recipe_tiny,
        tiny_protocol,
        tmp_path,
        settings=StudySettings(n_trials=3),
        watcher=Interruption(1),
    )
    assert again.trials == resumed.trials


def change_recipe(recipe: Recipe, **sections: dict[str, Any]) -> Recipe:
    values = recipe.model_dump(mode="json")
    for section, changes in sections.items():
        values[section] |= changes
    return build_recipe(values)


def test_another_study_of_the_same_name_is_refused(
    tune_recipe_tiny: Recipe, tiny_protocol: Protocol, tmp_path: Path
) -> None:
    settings = StudySettings("one", n_trials=1)
    tune_recipe(tune_recipe_tiny, tiny_protocol, tmp_path, settings=settings)
    described = tune_recipe_tiny.model_copy(update={"description": "the same, in other words"})
    tune_recipe(described, tiny_protocol, tmp_path, settings=settings)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert {path.name for path in files} == {"study.db", "trials.json", "tune.html", "winner.toml"}

    space = {"space": {"training.epochs": {"low": 1, "high": 4}}}
    other_space = change_recipe(tune_recipe_tiny, tune=space)
    other_recipe = change_recipe(tune_recipe_tiny, training={"batch_size": 16})
    other_clips = replace(
        tiny_protocol,
        folds=tuple(replace(f, train=f.train[1:]) for f in tiny_protocol.folds),
    )
    other_protocol = replace(tiny_protocol, version=2)
    for recipe, protocol, changed, what in (
        (other_space, tiny_protocol, settings, "space"),
        (other_recipe, tiny_protocol, settings, "recipe"),
        (tune_recipe_tiny, other_clips, settings, "set of clips"),
        (tune_recipe_tiny, other_protocol, settings, "protocol"),
        (tune_recipe_tiny, tiny_protocol, replace(settings, metric=Metric.LOG_LOSS), "metric"),
        (tune_recipe_tiny, tiny_protocol, replace(settings, n_seeds=2), "number of seeds"),
    ):
        with pytest.raises(RunError, match=f"'one' was started with another {what};"):
            tune_recipe(recipe, protocol, tmp_path, settings=changed)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_loss_that_diverges_ends_a_trial_not_the_study(
    tune_recipe_tiny: Recipe, tiny_protocol: Protocol, tmp_path: Path
) -> None:
    space = {"training.learning_rate": {"choices": [0.01, 1000.0]}}
    recipe = change_recipe(tune_recipe_tiny, tune={"space": space}, training={"optimizer": "sgd"})
    settings = StudySettings(metric=Metric.LOG_LOSS, folds=("01",), n_trials=5)
    tuning = tune_recipe(recipe, tiny_protocol, tmp_path, settings=settings)
    assert tuning.winner is not None
    assert tuning.winner.settings == {"training.learning_rate": 0.01}
    wild = [trial for trial in tuning.trials if not trial.complete]
    assert wild
    assert all("lower training.learning_rate" in trial.problem for trial in wild)
    assert all(math.isnan(trial.score) for trial in wild)


def test_nothing_is_written_before_all_is_checked(
    tiny_recipe: Recipe, tune_recipe_tiny: Recipe, tiny_protocol: Protocol, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "tune"
    with pytest.raises(RecipeError, match=r"'tiny' has no search space.*\[tune.space\]"):
        tune_recipe(tiny_recipe, tiny_protocol, folder)
    with pytest.raises(ProtocolError, match="no fold '9'"):
        tune_recipe(tune_recipe_tiny, tiny_protocol, folder, settings=StudySettings(folds=("9",)))
    with pytest.raises(RunError, match="not the URL of a database"):
        tune_recipe(
            tune_recipe_tiny, tiny_protocol, folder, settings=StudySettings(storage="nonsense")
        )
    assert list(tmp_path.iterdir()) == []
