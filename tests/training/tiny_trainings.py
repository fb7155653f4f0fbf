"""Trainings that take a moment, what they are made of, and how to cut one off."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from emovox.progress import Epoch
from emovox.recipes.recipe import Recipe, load_recipe
from emovox.training import trainer
from emovox.training.embeddings import EmbeddingSet
from emovox.training.features import ImageSet
from emovox.training.trainer import TrainedNetwork, train_network


def make_recipe(*changes: str) -> Recipe:
    small = [
        "frontend.image_height=12",
        "frontend.image_width=12",
        "network.conv_channels=[4]",
        "network.dense_units=[8]",
        "training.batch_size=8",
        "training.learning_rate=0.01",
        "training.epochs=5",
    ]
    return load_recipe("vanilla", [*small, *changes])


def make_images(n_clips: int, seed: int = 0) -> ImageSet:
    """Make images in dB whose class is the place of a bright row; a trained network tells them."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(n_clips) % 8
    images = -60 + 3 * torch.randn(n_clips, 1, 12, 12, generator=generator)
    for image, label in zip(images, classes.tolist(), strict=True):
        image[0, label + 2] += 25
    return ImageSet(images, classes)


TRAIN, VALIDATION, NONE = make_images(48), make_images(16, seed=1), make_images(0)
EVERYTHING_ON = (
    "training.optimizer=adam",
    "training.schedule=plateau",
    "training.plateau_patience=1",
    "training.early_stopping_patience=4",
    "training.learning_rate=0.05",
    "regularization.l2=1e-3",
    "regularization.l1.output=1e-4",
    "regularization.dropout=0.3",
    "training.epochs=7",
)


def to_bytes(trained: TrainedNetwork) -> bytes:
    return save({k: v.contiguous() for k, v in trained.network.state_dict().items()})


def forget_seconds(history: tuple[Epoch, ...]) -> list[str]:
    # As text, for NaN is not equal to itself.
    return [repr(replace(epoch, seconds=0.0)) for epoch in history]


def train(recipe: Recipe, folder: Path, **options: Any) -> TrainedNetwork:
    return train_network(recipe, TRAIN, VALIDATION, folder, **options)


def read_rows(folder: Path) -> list[str]:
    """Return the lines of history.csv without the wall time."""
    lines = (folder / "history.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]


def make_embeddings(n_clips: int, n_copies: int, seed: int = 0) -> EmbeddingSet:
    """Make embeddings whose class is the feature that sticks out, in the clip and its copies."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(n_clips) % 8
    embeddings = 50 + 10 * torch.randn(n_clips, 1 + n_copies, 24, generator=generator)
    embeddings[torch.arange(n_clips), :, classes] += 60
    return EmbeddingSet(embeddings, classes)


HEAD = [
    "network.hidden_units=[16]",
    "network.input_dropout=0.3",
    "regularization.dropout=0.5",
    "training.batch_size=8",
    "training.epochs=8",
    "training.learning_rate=0.03",
]
SOME, OTHERS = make_embeddings(64, 3), make_embeddings(16, 0, seed=1)


class KilledError(Exception):
    """Stands for whatever ends a process."""


def stop_at(call: int, function: Callable[..., Any], *, after: bool = False) -> Any:
    """Wrap a function so that it dies at its n-th call, before or after its work."""
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise KilledError
        result = function(*args, **kwargs)
        if calls == call:
            raise KilledError
        return result

    return wrapped


def resume_after(
    recipe: Recipe,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: tuple[str, int, bool],
) -> TrainedNetwork:
    name, call, after = point
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(trainer, name, stop_at(call, getattr(trainer, name), after=after))
        train(recipe, folder)
    torch.manual_seed(5)
    return train(recipe, folder, resume=True)
