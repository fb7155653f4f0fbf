"""A sweep: every combination of given values, each a recipe of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from emovox.errors import RecipeError
from emovox.recipes.recipe import Recipe, load_recipe

# The reference's own question: which of these techniques help?
DEFAULT_OPTIMIZERS = ("rmsprop", "adam")
DEFAULT_TECHNIQUES: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "L1": ("regularization.l1=1e-4",),
    "L2": ("regularization.l2=0.01",),
    "dropout": ("regularization.dropout=0.5",),
    "L2+dropout": ("regularization.l2=0.01", "regularization.dropout=0.5"),
}


@dataclass(frozen=True, slots=True)
class Combination:
    """One cell of a sweep.

    Attributes:
        name: For people and for its folder's name, e.g. ``"adam+L2"``.
        recipe: The base recipe with the combination's values.
    """

    name: str
    recipe: Recipe


def make_default_sweep(base: str | Path, changes: Sequence[str]) -> list[Combination]:
    """Combine RMSprop and Adam with no regularisation, L1, L2, dropout, and L2 with dropout."""
    return [
        make_combination(
            base,
            changes,
            f"{optimizer}+{technique}",
            [f"training.optimizer={optimizer}", *settings],
        )
        for optimizer, (technique, settings) in product(
            DEFAULT_OPTIMIZERS, DEFAULT_TECHNIQUES.items()
        )
    ]


def make_grid_sweep(
    base: str | Path, changes: Sequence[str], grid: Sequence[str]
) -> list[Combination]:
    """Combine every value with every other.

    Args:
        base: The recipe that the values are put into.
        changes: ``"section.key=value"`` for all combinations.
        grid: Each ``"section.key=value,value,..."``; values that hold commas stand in brackets
            or quotes as TOML wants them, and are separated by ``;`` instead.

    Returns:
        One combination per cell of the grid.

    Raises:
        RecipeError: An axis cannot be read, or a value does not fit the recipe.
    """
    axes: list[list[str]] = []
    for axis in grid:
        key, equals, text = axis.partition("=")
        values = [v.strip() for v in text.split(";" if ";" in text else ",")]
        if not equals or not all(values):
            raise RecipeError(f"cannot read {axis!r}; expected section.key=value,value,...")
        axes.append([f"{key.strip()}={value}" for value in values])
    combinations = []
    for cell in product(*axes):
        name = "+".join(setting.rpartition(".")[2].replace("=", "-") for setting in cell)
        combinations.append(make_combination(base, changes, name, list(cell)))
    return combinations


def make_combination(
    base: str | Path, changes: Sequence[str], name: str, settings: list[str]
) -> Combination:
    """Put a combination's values into the base recipe, named after it."""
    safe = "".join(c if c.isalnum() or c in "._+-" else "-" for c in name)[:80]
    recipe = load_recipe(base, [*changes, *settings, f"name={safe!r}"])
    return Combination(name, recipe)
