import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from emovox.errors import RecipeError, RunError
from emovox.export.keras import import_keras
from emovox.training import trainer
from emovox.training.checkpoint import Epoch, Progress, TrainingState
from emovox.training.embeddings import EmbeddingSet
from emovox.training.features import ImageSet
from emovox.training.networks import EmbeddingHead, SpectrogramCnn
from emovox.training.optimizers import make_optimizer
from emovox.training.recipe import Recipe, load_recipe
from emovox.training.settings import TrainingSettings
from emovox.training.trainer import TrainedNetwork, end_epoch, train_network


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Train on one thread: more only cost time on networks this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
        "learning_rate,seconds"
    )
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


# Plateau and early stopping, epoch by epoch.


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


# Interruption and resume.


@pytest.fixture
def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every epoch write its checkpoint, however short it is."""
    monkeypatch.setattr(trainer, "SAVE_SHARE", math.inf)


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


POINTS = [
    ("train_epoch", 1, False),
    ("evaluate_loss", 1, False),
    ("evaluate_loss", 3, False),
    ("train_epoch", 4, True),
    ("end_epoch", 2, True),
    ("save_checkpoint", 1, False),
    ("save_checkpoint", 3, False),
    ("save_checkpoint", 3, True),
    ("write_history", 3, False),
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


def read_rows(folder: Path) -> list[str]:
    """Return the lines of history.csv without the wall time."""
    lines = (folder / "history.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]


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
        ("training.optimizer=sgd", "training.momentum=0.9"),
        ("training.optimizer=rmsprop",),
        ("training.optimizer=adamw", "training.weight_decay=0.01"),
        ("training.optimizer=adam", "training.schedule=cosine"),
        # From the second block on, channels-last kernels lie otherwise in memory than in the file.
        ("training.optimizer=adam", "network.conv_channels=[4, 8]"),
        ("training.optimizer=adamw", "network.conv_channels=[4, 8]"),
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
    with pytest.raises(RunError, match="belongs to another recipe, other clips or another number"):
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
    with pytest.raises(RunError, match="belongs to another recipe, other clips or another number"):
        train_network(make_recipe(), train_set, validation_set, tmp_path, resume=True)


def test_checkpoint_of_another_number_of_threads_is_refused(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        train(make_recipe(), tmp_path)
        torch.set_num_threads(threads + 1)
        with pytest.raises(RunError, match="another number of threads; resume with what the run"):
            train(make_recipe(), tmp_path, resume=True)
    finally:
        torch.set_num_threads(threads)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    broken = ImageSet(TRAIN.images.clone(), TRAIN.classes)
    broken.images[0] = math.nan
    with pytest.raises(RecipeError, match=r"epoch 1: .* is nan, expected a number; lower training"):
        train_network(make_recipe(), broken, VALIDATION, tmp_path)
    assert not (tmp_path / "checkpoint").exists()


def test_a_learning_rate_that_explodes_is_named(tmp_path: Path) -> None:
    recipe = make_recipe(
        "training.optimizer=sgd", "training.learning_rate=1e20", "training.epochs=9"
    )
    with pytest.raises(RecipeError, match=r"epoch \d: .* is (nan|inf), .* which was 1e\+20"):
        train(recipe, tmp_path)


# Embeddings with disturbed copies, and smoothed labels.


def test_smoothed_loss_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ThreeLogits(EmbeddingHead):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(inputs), 8)
            logits[:, 0] = math.log(9)
            # Weights take part with nothing, so that there is something to train.
            return logits + 0 * super().forward(inputs)

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


def test_a_head_learns_separable_embeddings(tmp_path: Path) -> None:
    recipe = load_recipe("encoder", [*HEAD, "training.epochs=20"])
    trained = train_network(recipe, SOME, OTHERS, tmp_path)
    assert trained.history[0].train_loss > 1.5 * trained.history[-1].train_loss
    assert trained.history[-1].validation_accuracy == 1
    clips = SOME.embeddings[:, 0].double()
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
    changed = SOME.embeddings.clone()
    changed[5, 2, 7] += 1
    with pytest.raises(RunError, match="belongs to another recipe, other clips"):
        train_network(recipe, EmbeddingSet(changed, SOME.classes), OTHERS, tmp_path, resume=True)
