"""Plateau, early stopping and cosine, epoch by epoch."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.tiny_trainings import (
    make_recipe,
    train,
)

from emovox.export.keras import import_keras
from emovox.progress import Epoch
from emovox.recipes.settings import TrainingSettings
from emovox.training.checkpoint import Progress, TrainingState
from emovox.training.networks import SpectrogramCnn
from emovox.training.optimizers import make_optimizer
from emovox.training.trainer import end_epoch


def make_state(choices: TrainingSettings) -> TrainingState:
    recipe = make_recipe()
    generator = torch.Generator().manual_seed(0)
    cnn = SpectrogramCnn(recipe, 8, generator)
    optimizer = make_optimizer(choices, cnn.parameters())
    return TrainingState(cnn, optimizer, generator, Progress(choices.learning_rate), {})


def follow_losses(choices: TrainingSettings, losses: list[float]) -> tuple[list[float], int, int]:
    """Return the learning rate after each epoch, the epoch it stopped at (0: none), and the best.

    Goes through :func:`end_epoch` alone, no network is trained.
    """
    state, rates = make_state(choices), []
    for number, loss in enumerate(losses, 1):
        end_epoch(choices, state, Epoch(number, 0, 0, loss, 0, state.progress.learning_rate, 0))
        rates.append(state.progress.learning_rate)
        if state.progress.stopped:
            return rates, number, state.progress.best_epoch
    return rates, 0, state.progress.best_epoch


PLATEAU = TrainingSettings(
    learning_rate=0.1, schedule="plateau", plateau_factor=0.5, plateau_patience=2
)


@pytest.mark.parametrize(
    ("losses", "rates"),
    [
        ([5, 4, 3, 2, 1], [0.1] * 5),
        ([5, 5, 5, 5, 5], [0.1, 0.1, 0.05, 0.05, 0.025]),
        ([5, 6, 4, 6, 6, 6, 6], [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025]),
        # Better by 1e-4 or less is not better; the loss to beat stays where it was.
        ([1, 0.99995, 0.9999, 0.99985, 0.9998], [0.1, 0.1, 0.05, 0.05, 0.05]),
        ([math.nan, math.nan, 1, 2, 2], [0.1, 0.05, 0.05, 0.05, 0.025]),
    ],
)
def test_plateau_by_hand(losses: list[float], rates: list[float]) -> None:
    found, _, _ = follow_losses(PLATEAU, losses)
    assert found == pytest.approx(rates)


def test_plateau_stops_at_the_smallest_rate() -> None:
    choices = PLATEAU.model_copy(update={"min_learning_rate": 0.03, "plateau_patience": 1})
    rates, _, _ = follow_losses(choices, [1.0] * 5)
    assert rates == pytest.approx([0.1, 0.05, 0.03, 0.03, 0.03])


def test_plateau_never_raises_the_rate() -> None:
    choices = PLATEAU.model_copy(update={"learning_rate": 1e-7})
    rates, _, _ = follow_losses(choices, [1.0] * 5)
    assert rates == [1e-7] * 5


@pytest.mark.parametrize(
    ("patience", "losses", "stopped", "best"),
    [
        (1, [3, 2, 2], 3, 2),
        (2, [3, 2, 2.5, 1, 1, 1], 6, 4),
        (3, [3, 2, 2.5, 2.5, 1.99999, 2, 2, 2], 8, 5),
        (5, [1, 2, 3, 4, 5], 0, 1),
        (5, [1, 2, 3, 4, 5, 6], 6, 1),
        (2, [math.nan, math.nan, 1], 2, 0),
        (3, [math.nan, 2, math.nan, 1], 0, 4),
        (0, [1, 2, 3, 4, 5, 6], 0, 0),
    ],
)
def test_early_stopping_by_hand(
    patience: int, losses: list[float], stopped: int, best: int
) -> None:
    choices = TrainingSettings(early_stopping_patience=patience)
    assert follow_losses(choices, losses)[1:] == (stopped, best)


@dataclass
class KerasModel:
    """What Keras' callbacks ask of a model."""

    optimizer: Any
    stop_training: bool = False

    def get_weights(self) -> list[float]:
        return []


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@given(
    # Far from the 1e-4 that counts as better, since Keras compares in single precision.
    losses=st.lists(st.integers(0, 12).map(lambda n: n / 8), min_size=1, max_size=25),
    patience=st.integers(1, 4),
    plateau_patience=st.integers(1, 4),
    min_rate=st.sampled_from([0.0, 1e-3, 0.5]),
)
@settings(max_examples=40, deadline=None)
def test_plateau_and_early_stopping_are_keras_own(
    losses: list[float], patience: int, plateau_patience: int, min_rate: float
) -> None:
    choices = TrainingSettings(
        learning_rate=0.1,
        schedule="plateau",
        plateau_factor=0.2,
        plateau_patience=plateau_patience,
        min_learning_rate=min_rate,
        early_stopping_patience=patience,
    )
    keras = import_keras()
    model = KerasModel(keras.optimizers.Adam(0.1))
    plateau = keras.callbacks.ReduceLROnPlateau(
        factor=0.2, patience=plateau_patience, min_lr=min_rate
    )
    stopping = keras.callbacks.EarlyStopping(patience=patience)
    rates, stopped = [], 0
    for callback in (plateau, stopping):
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        for callback in (plateau, stopping):
            callback.on_epoch_end(epoch, {"val_loss": loss})
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
        if model.stop_training:
            stopped = epoch + 1
            break
    found, found_stopped, found_best = follow_losses(choices, losses)
    assert found == pytest.approx(rates, rel=1e-5)
    assert (found_stopped, found_best) == (stopped, stopping.best_epoch + 1)


def test_cosine_by_hand() -> None:
    choices = TrainingSettings(
        learning_rate=0.1, min_learning_rate=0.02, schedule="cosine", epochs=4
    )
    rates, _, _ = follow_losses(choices, [1.0] * 4)
    # Middle 0.06, swing 0.04, cos(pi/4) = 0.70711.
    assert rates == pytest.approx([0.0882843, 0.06, 0.0317157, 0.02], abs=1e-7)


def test_cosine_is_used_from_the_first_epoch_on(tmp_path: Path) -> None:
    recipe = make_recipe(
        "training.schedule=cosine", "training.epochs=4", "training.min_learning_rate=0"
    )
    rates = [epoch.learning_rate for epoch in train(recipe, tmp_path).history]
    assert rates == pytest.approx([0.01, 0.00853553, 0.005, 0.00146447], rel=1e-5)
    assert all(later < earlier for earlier, later in pairwise(rates))
