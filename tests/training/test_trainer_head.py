"""A head on embeddings with augmented copies, and smoothed labels."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.tiny_trainings import (
    HEAD,
    OTHERS,
    SOME,
    KilledError,
    forget_seconds,
    make_embeddings,
    stop_at,
    to_bytes,
)

from emovox.errors import RunError
from emovox.recipes.recipe import load_recipe
from emovox.training import trainer
from emovox.training.embeddings import EmbeddingSet
from emovox.training.networks import EmbeddingHead
from emovox.training.trainer import train_network


def test_smoothed_loss_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ThreeLogits(EmbeddingHead):
        def compute_members(self, inputs: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(inputs), 8, 8)
            logits[..., 0] = math.log(9)
            # Weights take part with nothing, so that there is something to train.
            return logits + 0 * super().compute_members(inputs)

    def make_three_logits(*arguments: Any) -> ThreeLogits:
        return ThreeLogits(*arguments)

    monkeypatch.setattr(trainer, "make_network", make_three_logits)
    clips = EmbeddingSet(torch.eye(4)[:, None], torch.tensor([0, 0, 0, 1]))
    changes = ["training.epochs=1", "training.batch_size=3", "training.weight_decay=0"]
    recipe = load_recipe("encoder", [*changes, "training.label_smoothing=0.2"])
    (epoch,) = train_network(recipe, clips, clips, tmp_path).history
    # p = (9, 1, ..., 1) / 16, so -log p = a for class 0 and a + log 9 for the others. The target of
    # its own class is 0.8 + 0.2 / 8 = 0.825, and 0.025 of each other.
    a = math.log(16 / 9)
    right = 0.825 * a + 7 * 0.025 * (a + math.log(9))
    wrong = 0.825 * (a + math.log(9)) + 0.025 * a + 6 * 0.025 * (a + math.log(9))
    assert epoch.train_loss == pytest.approx((3 * right + wrong) / 4, rel=1e-6)
    # The validation loss says how probable the truth is: nothing is smoothed.
    assert epoch.validation_loss == pytest.approx(a + math.log(9) / 4, rel=1e-6)
    assert (epoch.train_accuracy, epoch.validation_accuracy) == (0.75, 0.75)


def test_a_head_learns_separable_embeddings(tmp_path: Path) -> None:
    recipe = load_recipe("encoder", [*HEAD, "training.epochs=20"])
    trained = train_network(recipe, SOME, OTHERS, tmp_path)
    assert trained.history[0].train_loss > 1.5 * trained.history[-1].train_loss
    assert trained.history[-1].validation_accuracy == 1
    clips = SOME.select_clips(slice(None)).double()
    torch.testing.assert_close(trained.mean.double(), clips.mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(trained.std.double(), clips.std(0, correction=0), rtol=1e-5, atol=0)
    new = make_embeddings(24, 0, seed=9).standardize(trained.mean, trained.std)
    ((inputs, classes),) = new.split_batches(24)
    assert torch.equal(trained.network(inputs).argmax(1), classes)


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize(
    "point",
    [("train_epoch", 2, True), ("save_checkpoint", 3, False), ("save_checkpoint", 3, True)],
)
def test_a_head_resumes_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: tuple[str, int, bool]
) -> None:
    recipe = load_recipe("encoder", HEAD)
    whole = train_network(recipe, SOME, OTHERS, tmp_path / "whole")
    name, call, after = point
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(trainer, name, stop_at(call, getattr(trainer, name), after=after))
        train_network(recipe, SOME, OTHERS, tmp_path / "cut")
    torch.manual_seed(5)
    resumed = train_network(recipe, SOME, OTHERS, tmp_path / "cut", resume=True)
    assert to_bytes(resumed) == to_bytes(whole)
    assert forget_seconds(resumed.history) == forget_seconds(whole.history)
    other = train_network(load_recipe("encoder", [*HEAD, "seed=1"]), SOME, OTHERS, tmp_path / "o")
    assert to_bytes(other) != to_bytes(whole)


def test_a_copy_that_differs_makes_it_another_training(tmp_path: Path) -> None:
    recipe = load_recipe("encoder", HEAD)
    train_network(recipe, SOME, OTHERS, tmp_path)
    changed = torch.stack([torch.as_tensor(rows) for rows in SOME.embeddings])
    changed[5, 2, 7] += 1
    with pytest.raises(RunError, match="belongs to another recipe, other clips"):
        train_network(recipe, EmbeddingSet(changed, SOME.classes), OTHERS, tmp_path, resume=True)
