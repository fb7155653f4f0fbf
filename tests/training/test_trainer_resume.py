"""Trainings that are interrupted and resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    read_rows,
    resume_after,
    stop_at,
    to_bytes,
    train,
)

from emovox.errors import RunError
from emovox.progress import Epoch
from emovox.training import trainer
from emovox.training.checkpoint import TrainingState
from emovox.training.features import ImageSet
from emovox.training.trainer import train_network

# Before the first checkpoint, within an epoch, after one, and on both sides of each file's writing.
POINTS = [
    ("train_epoch", 1, False),
    ("evaluate_loss", 3, False),
    ("train_epoch", 4, True),
    ("save_checkpoint", 3, False),
    ("save_checkpoint", 3, True),
    ("write_history", 3, True),
]


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[0]}-{point[1]}-{point[2]}")
def test_resumed_is_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: tuple[str, int, bool]
) -> None:
    recipe = make_recipe(*EVERYTHING_ON)
    whole = train(recipe, tmp_path / "whole")
    resumed = resume_after(recipe, tmp_path / "cut", monkeypatch, point)
    assert to_bytes(resumed) == to_bytes(whole)
    assert forget_seconds(resumed.history) == forget_seconds(whole.history)
    assert resumed.best_epoch == whole.best_epoch
    assert read_rows(tmp_path / "cut") == read_rows(tmp_path / "whole")


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize("function", ["save_checkpoint", "write_history"])
def test_cut_off_beside_the_last_epochs_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    # The checkpoint may be a row ahead of history.csv, and no further epoch writes it.
    recipe = make_recipe("training.epochs=3")
    whole = train(recipe, tmp_path / "whole")
    resumed = resume_after(recipe, tmp_path / "cut", monkeypatch, (function, 3, False))
    assert to_bytes(resumed) == to_bytes(whole)
    assert read_rows(tmp_path / "cut") == read_rows(tmp_path / "whole")


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize(
    "changes",
    [
        ("training.optimizer=sgd",),
        ("training.optimizer=adamw", "training.weight_decay=0.01", "training.schedule=cosine"),
        # From the second block on, channels-last kernels lie otherwise in memory than in the file.
        ("training.optimizer=adam", "network.conv_channels=[4, 8]"),
        ("training.optimizer=rmsprop", "network.conv_channels=[4, 8]"),
        ("training.optimizer=sgd", "training.momentum=0.9", "network.conv_channels=[4, 8]"),
        ("network.dense_units=[]",),
        ("network.conv_channels=[3, 5]", "regularization.dropout=0.5"),
    ],
    ids=" ".join,
)
def test_every_optimizer_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: tuple[str, ...]
) -> None:
    recipe = make_recipe("training.learning_rate=1e-3", *changes)
    whole = train(recipe, tmp_path / "whole")
    resumed = resume_after(recipe, tmp_path / "cut", monkeypatch, ("evaluate_loss", 3, False))
    assert to_bytes(resumed) == to_bytes(whole)
    assert forget_seconds(resumed.history) == forget_seconds(whole.history)


@pytest.mark.usefixtures("save_always")
def test_interrupted_after_every_epoch(tmp_path: Path) -> None:
    recipe = make_recipe(*EVERYTHING_ON)
    whole = train(recipe, tmp_path / "whole")

    def make_interrupt(last: int) -> Callable[[Epoch], None]:
        def interrupt(epoch: Epoch) -> None:
            if epoch.epoch == last:
                raise KeyboardInterrupt

        return interrupt

    for last in range(1, len(whole.history) + 1):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "cut", resume=True, on_epoch=make_interrupt(last))
    heard: list[Epoch] = []
    resumed = train(recipe, tmp_path / "cut", resume=True, on_epoch=heard.append)
    assert to_bytes(resumed) == to_bytes(whole)
    assert forget_seconds(tuple(heard)) == forget_seconds(whole.history)


@pytest.mark.parametrize("share", [0.0, 1e-3, 0.5])
def test_checkpoints_take_their_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    clock, saved = [0.0], []

    def take_time(name: str, seconds: float) -> None:
        function = getattr(trainer, name)

        def wrapped(*args: Any) -> Any:
            clock[0] += seconds
            return function(*args)

        monkeypatch.setattr(trainer, name, wrapped)

    def note_epoch(_: Path, state: TrainingState, __: str) -> None:
        saved.append(len(state.progress.history))

    # An epoch takes a second, its checkpoint two.
    monkeypatch.setattr(trainer, "save_checkpoint", note_epoch)
    take_time("train_epoch", 1)
    take_time("save_checkpoint", 2)
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    monkeypatch.setattr(trainer, "SAVE_SHARE", share)
    train(make_recipe("training.epochs=11"), tmp_path)
    assert saved == ([1, 5, 9, 11] if share == 0.5 else [1, 11])


def test_between_two_checkpoints_nothing_but_time_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SAVE_SHARE", 0)
    recipe = make_recipe(*EVERYTHING_ON)
    whole = train(recipe, tmp_path / "whole")
    trained: list[int] = []

    def stop_at_fourth(epoch: Epoch) -> None:
        trained.append(epoch.epoch)
        if len(trained) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "cut", on_epoch=stop_at_fourth)
    assert len(read_rows(tmp_path / "cut")) == 2  # the head and the first epoch
    resumed = train(recipe, tmp_path / "cut", resume=True, on_epoch=stop_at_fourth)
    assert trained == [1, 2, 3, 4, *range(1, len(whole.history) + 1)]
    assert to_bytes(resumed) == to_bytes(whole)
    assert forget_seconds(resumed.history) == forget_seconds(whole.history)
    assert read_rows(tmp_path / "cut") == read_rows(tmp_path / "whole")


def test_finished_training_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe()
    whole = train(recipe, tmp_path)
    monkeypatch.setattr(trainer, "train_epoch", stop_at(1, trainer.train_epoch))
    again = train(recipe, tmp_path, resume=True)
    assert to_bytes(again) == to_bytes(whole)
    assert again.history == whole.history  # the seconds too


def test_without_resume_it_starts_over(tmp_path: Path) -> None:
    recipe = make_recipe("training.epochs=2")
    first = train(recipe, tmp_path)
    heard: list[int] = []
    again = train(recipe, tmp_path, on_epoch=lambda epoch: heard.append(epoch.epoch))
    assert heard == [1, 2]
    assert to_bytes(again) == to_bytes(first)


@pytest.mark.parametrize(
    "change",
    ["seed=1", "training.epochs=6", "training.optimizer=adam", "regularization.dropout=0.1"],
)
def test_checkpoint_of_another_recipe_is_refused(tmp_path: Path, change: str) -> None:
    train(make_recipe(), tmp_path)
    with pytest.raises(RunError, match="belongs to another recipe, other clips or another version"):
        train(make_recipe(change), tmp_path, resume=True)


@pytest.mark.parametrize(
    ("train_set", "validation_set"),
    [
        (make_images(48, seed=3), VALIDATION),
        (TRAIN, make_images(16, seed=3)),
        (ImageSet(TRAIN.images, TRAIN.classes.roll(1)), VALIDATION),
        (TRAIN, NONE),
    ],
)
def test_checkpoint_of_other_clips_is_refused(
    tmp_path: Path, train_set: ImageSet, validation_set: ImageSet
) -> None:
    train(make_recipe(), tmp_path)
    with pytest.raises(RunError, match="belongs to another recipe, other clips or another version"):
        train_network(make_recipe(), train_set, validation_set, tmp_path, resume=True)


def test_checkpoint_of_another_pytorch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(make_recipe(), tmp_path)
    monkeypatch.setattr(torch, "__version__", "9.9.9")
    with pytest.raises(RunError, match="another version of PyTorch; resume with those"):
        train(make_recipe(), tmp_path, resume=True)


def test_the_number_of_threads_does_not_change_a_training(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        one = train(make_recipe(), tmp_path / "one")
        torch.set_num_threads(3)
        three = train(make_recipe(), tmp_path / "three")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, three.network.state_dict()[name])
