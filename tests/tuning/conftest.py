"""A recipe with a small space, and the folds that it is tuned on."""

from pathlib import Path

import pytest

from emovox.corpora.folds import Protocol
from emovox.experiments.folds import load_protocol
from emovox.recipes.recipe import Recipe, build_recipe


@pytest.fixture(scope="session")
def tune_recipe_tiny(tiny_recipe: Recipe) -> Recipe:
    """Return a recipe that trains in a moment, with a range, a log range and choices."""
    values = tiny_recipe.model_dump(mode="json", exclude={"tune"})
    values["training"] |= {"epochs": 2, "schedule": "constant", "early_stopping_patience": 0}
    values["tune"] = {
        "space": {
            "training.learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
            "training.epochs": {"low": 1, "high": 3},
            "network.dense_units": {"choices": [[], [8]]},
        }
    }
    return build_recipe(values)


@pytest.fixture(scope="session")
def tiny_protocol(tiny_recipe: Recipe, tiny_corpus: Path, tiny_split: Path) -> Protocol:
    """Return two folds over the tiny corpus."""
    return load_protocol(tiny_recipe, tiny_corpus, split=tiny_split)
