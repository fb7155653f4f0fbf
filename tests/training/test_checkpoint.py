import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from emovox.errors import RunError
from emovox.progress import Epoch
from emovox.recipes.recipe import Recipe, load_recipe
from emovox.training.checkpoint import (
    Progress,
    TrainingState,
    load_checkpoint,
    save_checkpoint,
    select_prefix,
)
from emovox.training.networks import SpectrogramCnn
from emovox.training.optimizers import make_optimizer
from emovox.training.tensor_file import load_tensors, save_tensors

RECIPE = load_recipe(
    "vanilla",
    [
        "frontend.image_height=8",
        "frontend.image_width=8",
        "network.conv_channels=[2]",
        "network.dense_units=[4]",
        "training.optimizer=adam",
    ],
)
EPOCHS = [
    Epoch(1, 0.1 + 0.2, 0.5, math.nan, math.nan, 1e-3, 0.25),
    Epoch(2, 1 / 3, 0.75, math.inf, 1.0, 1e-3 / 3, 0.5),
]


def make_state(recipe: Recipe = RECIPE, seed: int = 0) -> TrainingState:
    generator = torch.Generator().manual_seed(seed)
    cnn = SpectrogramCnn(recipe, 8, generator)
    optimizer = make_optimizer(recipe.training, cnn.parameters())
    return TrainingState(cnn, optimizer, generator, Progress(1e-3), {})


def train_step(state: TrainingState) -> None:
    images = torch.randn(4, 1, 8, 8, generator=state.generator)
    state.optimizer.zero_grad()
    state.network(images).square().sum().backward()
    state.optimizer.step()


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, TrainingState]:
    state = make_state()
    train_step(state)
    weights = state.network.state_dict()
    state.best_weights = {key: value.clone() for key, value in weights.items()}
    train_step(state)
    state.progress = Progress(1e-4, 0.1 + 0.2, 2, math.inf, 1, True, list(EPOCHS))
    path = tmp_path / "checkpoint" / "last.safetensors"
    save_checkpoint(path, state, "mine")
    return path, state


def test_all_comes_back(saved: tuple[Path, TrainingState]) -> None:
    path, state = saved
    loaded = make_state(seed=9)
    load_checkpoint(path, loaded, "mine")
    assert repr(loaded.progress) == repr(state.progress)  # to the last digit, NaN and all
    assert torch.equal(loaded.generator.get_state(), state.generator.get_state())
    for key, value in state.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[key], value)
        assert torch.equal(loaded.best_weights[key], state.best_weights[key])
        assert not torch.equal(loaded.best_weights[key], value)
    for _ in range(3):
        train_step(state)
        train_step(loaded)
    for key, value in state.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[key], value)


def test_a_checkpoint_takes_the_place_of_the_last(saved: tuple[Path, TrainingState]) -> None:
    path, state = saved
    state.progress.best_epoch = 7
    save_checkpoint(path, state, "mine")
    loaded = make_state()
    load_checkpoint(path, loaded, "mine")
    assert loaded.progress.best_epoch == 7
    assert list(path.parent.iterdir()) == [path]


def test_file_is_safetensors_and_no_pickle(saved: tuple[Path, TrainingState]) -> None:
    content = saved[0].read_bytes()
    header_bytes = int.from_bytes(content[:8], "little")
    assert content[8:9] == b"{"
    assert content[8 : 8 + header_bytes].rstrip().endswith(b"}")


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_cut_file_is_refused(saved: tuple[Path, TrainingState], kept: int) -> None:
    path, _ = saved
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        RunError, match=r"last\.safetensors: damaged: .*; delete this checkpoint to"
    ):
        load_checkpoint(path, make_state(), "mine")


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(100), b"\xff" * 200, b"no tensors here"])
def test_other_content_is_refused(saved: tuple[Path, TrainingState], content: bytes) -> None:
    path, _ = saved
    path.write_bytes(content)
    with pytest.raises(RunError, match="damaged: "):
        load_checkpoint(path, make_state(), "mine")


def test_other_tensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save_tensors(path, {"weights": torch.zeros(3)}, {"fingerprint": "mine"})
    with pytest.raises(RunError, match=r"last\.safetensors: found no checkpoint"):
        load_checkpoint(path, make_state(), "mine")


DAMAGES: dict[str, Callable[[dict[str, Tensor], dict[str, Any]], object]] = {
    "a weight is missing": lambda t, _: t.pop(next(k for k in t if k.startswith("weights."))),
    "no state of the generator": lambda tensors, _: tensors.pop("generator"),
    "a short state of the generator": lambda t, _: t.update(generator=t["generator"][:9]),
    "a state of another parameter": lambda t, _: t.update({"optimizer.99.step": torch.ones(1)}),
    "a state without a number": lambda t, _: t.update({"optimizer.x.step": torch.ones(1)}),
    "no history": lambda _, about: about["progress"].pop("history"),
    "an unknown entry": lambda _, about: about["progress"].update(mood=1),
    "progress that is a list": lambda _, about: about.update(progress=[]),
    "a group too many": lambda _, about: about["groups"].append({}),
    "groups that are a number": lambda _, about: about.update(groups=3),
    "an epoch without a loss": lambda _, about: about["progress"]["history"][0].popitem(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_that_does_not_fit_is_refused(
    saved: tuple[Path, TrainingState], damage: str
) -> None:
    path, _ = saved
    tensors, about = load_tensors(path)
    DAMAGES[damage](tensors, about)
    save_tensors(path, tensors, about)
    with pytest.raises(RunError, match=r"last\.safetensors: does not fit the network .*delete"):
        load_checkpoint(path, make_state(), "mine")


def test_another_trainings_is_refused_and_nothing_loaded(saved: tuple[Path, TrainingState]) -> None:
    path, _ = saved
    state = make_state(seed=4)
    before = {key: value.clone() for key, value in state.network.state_dict().items()}
    with pytest.raises(RunError, match=r"last\.safetensors belongs to another recipe"):
        load_checkpoint(path, state, "yours")
    for key, value in state.network.state_dict().items():
        assert torch.equal(value, before[key])


def test_a_prefix_is_taken_off_once() -> None:
    one = torch.zeros(1)
    found = select_prefix({"best.best.x": one, "weights.best.x": one}, "best.")
    assert list(found) == ["best.x"]
