"""``[tune.space]``: what may stand there, and what is said of the rest."""

from typing import Any

import pytest

from emovox.errors import RecipeError
from emovox.recipes.recipe import (
    Recipe,
    build_recipe,
    change_settings,
    list_keys,
    list_recipes,
    load_recipe,
)
from emovox.recipes.search_space import Axis


def build_with(space: dict[str, Any]) -> Recipe:
    return build_recipe({"name": "mine", "tune": {"space": space}})


def test_a_space_is_read_and_written_again(tmp_path: Any) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\n[tune.space]\n'
        '"training.learning_rate" = { low = 1e-4, high = 1e-2, log = true }\n'
        '"network.dense_units" = { choices = [[], [64, 32]] }\n'
        '"training.epochs" = { low = 10, high = 60, step = 10 }\n'
    )
    recipe = load_recipe(path)
    space = recipe.tune.space
    assert list(space) == ["training.learning_rate", "network.dense_units", "training.epochs"]
    assert space["training.learning_rate"].list_extremes() == (1e-4, 1e-2)
    assert space["network.dense_units"].list_extremes() == ([], [64, 32])
    assert [axis.is_integer() for axis in space.values()] == [False, False, True]
    path.write_text(recipe.to_toml())
    assert load_recipe(path) == recipe


def test_a_space_is_set_on_the_command_line() -> None:
    recipe = load_recipe("vanilla", ['tune.space={"training.epochs"={choices=[1,2]}}'])
    assert recipe.tune.space["training.epochs"].choices == (1, 2)


@pytest.mark.parametrize(
    ("key", "axis", "message"),
    [
        ("training.learning_rat", {"low": 0.1, "high": 0.2}, "mean 'training.learning_rate'"),
        ("seed", {"choices": [0, 1]}, "'seed', which is not a tunable setting"),
        (
            "data.protocol",
            {"choices": ["a", "b"]},
            "'data.protocol', which is not a tunable setting",
        ),
        ("tune.space", {"choices": [1, 2]}, "'tune.space', which is not a tunable setting"),
        ("training.momentum", {"low": 0.5, "high": 1.0}, "reaches 1.0: .*momentum.*less than 1"),
        ("training.learning_rate", {"low": -1.0, "high": 1.0}, "reaches -1.0: .*greater than 0"),
        ("training.epochs", {"low": 1.0, "high": 2.0}, r"reaches 1.0: .*training.epochs.*integer"),
        ("training.optimizer", {"choices": ["adam", "adamm"]}, "reaches 'adamm': "),
        ("network.hidden_units", {"choices": [[1], [2]]}, "for another kind of network"),
        ("training.epochs", {"lo": 1, "high": 2}, "unknown 'lo'; did you mean 'low'"),
        ("training.epochs", {"low": 1}, "expected both low and high, or choices"),
        ("training.epochs", {"low": 2, "high": 2}, "low 2 is not below high 2"),
        ("training.epochs", {"low": 10, "high": 25, "step": 10}, "step 10 does not reach 25"),
        ("training.epochs", {"low": 1, "high": 3, "step": -1}, "step -1 does not reach 3"),
        ("training.momentum", {"low": 0, "high": 0.5, "log": True}, "log needs a low above 0"),
        ("training.momentum", {"low": 0.1, "high": 0.5, "step": 0.1, "log": True}, "and no step"),
        ("training.epochs", {"choices": [3]}, "two different choices or more"),
        ("training.epochs", {"choices": [3, 3]}, "two different choices or more"),
        ("training.epochs", {"choices": [3, 4], "low": 1}, "has choices and a range"),
        ("training.epochs", 3, "expected { low = ..., high = ... }"),
        ("training.epochs", {"low": True, "high": 3}, "tune.space.training.epochs.low"),
    ],
)
def test_a_space_that_does_not_fit_is_refused(key: str, axis: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_with({key: axis})


@pytest.mark.parametrize(
    ("axis", "inside", "outside"),
    [
        ({"low": 0.1, "high": 0.5}, [0.1, 0.33, 0.5], [0.09, 0.51, "0.3", True]),
        ({"low": 10, "high": 30, "step": 10}, [10, 20, 30], [15, 40]),
        ({"low": 0.0, "high": 0.3, "step": 0.1}, [0.0, 0.1, 0.3], [0.15]),
        ({"choices": [[], [64]]}, [[], [64]], [[32], 64]),
    ],
)
def test_an_axis_knows_what_it_holds(
    axis: dict[str, Any], inside: list[Any], outside: list[Any]
) -> None:
    tested = Axis.model_validate(axis)
    assert all(tested.holds(value) for value in inside)
    assert not any(tested.holds(value) for value in outside)


def test_drawn_numbers_are_rounded_within_the_range() -> None:
    axis = Axis(low=1e-4, high=0.99999)
    assert axis.round(0.00123456) == 0.001235
    assert axis.round(0.999985) == 0.99999
    assert Axis(low=1, high=123_456).round(123_456) == 123_456


def test_changed_settings_are_checked_and_leave_the_recipe() -> None:
    recipe = load_recipe("vanilla")
    changed = change_settings(
        recipe, {"training.epochs": 3, "regularization.l2.conv": 0.5, "network.dense_units": [4, 2]}
    )
    assert (changed.training.epochs, recipe.training.epochs) == (3, 50)
    assert changed.regularization.l2.conv == 0.5
    assert changed.network.model_dump()["dense_units"] == (4, 2)
    with pytest.raises(RecipeError, match="training.epochs"):
        change_settings(recipe, {"training.epochs": 0})


def test_the_space_is_no_recipe_key_below_itself() -> None:
    assert [key for key in list_keys(Recipe) if key.startswith("tune")] == ["tune", "tune.space"]


@pytest.mark.parametrize("name", list_recipes())
def test_the_package_tunes_only_what_ships(name: str) -> None:
    assert bool(load_recipe(name).tune.space) == (name == "encoder")
