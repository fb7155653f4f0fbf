"""What a training leaves: weights, scores and history."""

import math
from pathlib import Path

import pytest
import torch
from tests.training.tiny_trainings import (
    EVERYTHING_ON,
    NONE,
    TRAIN,
    VALIDATION,
    forget_seconds,
    make_images,
    make_recipe,
    to_bytes,
    train,
)

from emovox.errors import RecipeError
from emovox.progress import Epoch
from emovox.runs.history import read_history
from emovox.training import trainer
from emovox.training.features import ImageSet
from emovox.training.trainer import train_network


def test_learns_a_separable_problem(tmp_path: Path) -> None:
    trained = train(make_recipe("training.epochs=12"), tmp_path)
    first, last = trained.history[0], trained.history[-1]
    assert last.train_accuracy == 1
    assert last.validation_accuracy == 1
    assert last.train_loss < 0.1 < first.train_loss
    assert not trained.network.training
    images = make_images(24, seed=9).standardize(trained.mean, trained.std)
    assert torch.equal(trained.network(images.images).argmax(1), images.classes)


def test_mean_and_deviation_are_those_of_the_training_clips(tmp_path: Path) -> None:
    trained = train(make_recipe("training.epochs=1"), tmp_path)
    assert trained.mean == pytest.approx(TRAIN.images.double().mean().item(), abs=1e-4)
    deviation = (TRAIN.images.double() - trained.mean).square().mean().sqrt().item()
    assert trained.std == pytest.approx(deviation, rel=1e-5)
    other = train_network(make_recipe("training.epochs=1"), TRAIN, make_images(8, 5), tmp_path)
    assert (other.mean, other.std) == (trained.mean, trained.std)


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    first = train(make_recipe(*EVERYTHING_ON, "seed=0"), tmp_path / "a")
    torch.manual_seed(1234)  # the global generator has no say
    again = train(make_recipe(*EVERYTHING_ON, "seed=0"), tmp_path / "b")
    other = train(make_recipe(*EVERYTHING_ON, "seed=1"), tmp_path / "c")
    assert to_bytes(first) == to_bytes(again)
    assert forget_seconds(first.history) == forget_seconds(again.history)
    assert to_bytes(first) != to_bytes(other)


def test_seed_0_is_a_seed(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    trained = train(make_recipe("seed=0"), tmp_path / "a")
    torch.manual_seed(99)
    assert to_bytes(train(make_recipe("seed=0"), tmp_path / "b")) == to_bytes(trained)
    torch.random.set_rng_state(state)


def test_losses_and_accuracies_are_the_networks_own(tmp_path: Path) -> None:
    recipe = make_recipe("regularization.l2=0.01", "training.epochs=2")
    trained = train(recipe, tmp_path)
    validation = VALIDATION.standardize(trained.mean, trained.std)
    with torch.no_grad():
        logits = trained.network(validation.images)
        loss = torch.nn.functional.cross_entropy(logits, validation.classes).item()
        penalty = trained.network.kernel_penalty(recipe.regularization).item()
    assert penalty > 0.01
    assert trained.history[-1].validation_loss == pytest.approx(loss + penalty, rel=1e-5)
    accuracy = (logits.argmax(1) == validation.classes).float().mean().item()
    assert trained.history[-1].validation_accuracy == pytest.approx(accuracy)


def test_history_csv_holds_every_epoch(tmp_path: Path) -> None:
    heard: list[Epoch] = []
    trained = train(make_recipe(), tmp_path, fold="07", on_epoch=heard.append)
    header, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert header == (
        "fold,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,"
        "learning_rate,kept,seconds"
    )
    assert [row.split(",")[7] for row in rows] == ["0", "0", "0", "0", "1"]
    assert [row.split(",")[:2] for row in rows] == [["07", str(i)] for i in range(1, 6)]
    for row, epoch in zip(rows, trained.history, strict=True):
        assert float(row.split(",")[2]) == pytest.approx(epoch.train_loss, rel=1e-9)
    assert tuple(heard) == trained.history


def test_without_validation_clips_its_scores_are_nan(tmp_path: Path) -> None:
    trained = train_network(make_recipe("training.epochs=2"), TRAIN, NONE, tmp_path)
    assert all(math.isnan(epoch.validation_loss) for epoch in trained.history)
    assert all(math.isnan(epoch.validation_accuracy) for epoch in trained.history)
    assert trained.best_epoch == 2


@pytest.mark.parametrize(
    "change", ["training.early_stopping_patience=3", "training.schedule=plateau"]
)
def test_what_looks_at_validation_clips_needs_some(tmp_path: Path, change: str) -> None:
    with pytest.raises(RecipeError, match="look at validation clips, and there are none; set"):
        train_network(make_recipe(change), TRAIN, NONE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_best_weights_are_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 1.0, 2.0, 1.0, 5.0])
    monkeypatch.setattr(trainer, "evaluate_loss", lambda *_: (next(losses), 0.5))
    recipe = make_recipe("training.early_stopping_patience=3", "training.epochs=9")
    trained = train(recipe, tmp_path / "stopped")
    assert (len(trained.history), trained.best_epoch) == (5, 2)  # an equal loss is no better one
    (written,) = read_history(tmp_path / "stopped" / "history.csv")
    assert written.best_epoch == 2
    losses = iter([3.0, 1.0])
    two = make_recipe("training.early_stopping_patience=3", "training.epochs=2")
    assert to_bytes(train(two, tmp_path / "two")) == to_bytes(trained)


def test_without_early_stopping_the_last_weights_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(trainer, "evaluate_loss", lambda *_: (next(losses), 0.5))
    trained = train(make_recipe("training.epochs=3"), tmp_path)
    assert (len(trained.history), trained.best_epoch) == (3, 3)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    broken = ImageSet(TRAIN.images.clone(), TRAIN.classes)
    broken.images[0] = math.nan
    with pytest.raises(RecipeError, match=r"epoch 1: .* is nan, expected a number; lower training"):
        train_network(make_recipe(), broken, VALIDATION, tmp_path)
    assert not (tmp_path / "checkpoint").exists()


def test_a_learning_rate_that_explodes_is_named(tmp_path: Path) -> None:
    recipe = make_recipe(
        "training.optimizer=sgd", "training.learning_rate=1000", "training.epochs=9"
    )
    with pytest.raises(RecipeError, match=r"epoch \d: .* is (nan|inf), .* which was 1000"):
        train(recipe, tmp_path)
