"""The complete training loop."""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from emovox.errors import RecipeError
from emovox.labels import EMOTIONS
from emovox.progress import Epoch
from emovox.recipes.recipe import Recipe, change_settings
from emovox.recipes.settings import TrainingSettings
from emovox.runs.folder import CHECKPOINT_FOLDER, HISTORY_NAME
from emovox.runs.history import write_history
from emovox.training.checkpoint import (
    Progress,
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)
from emovox.training.clip_weights import ClipWeights, weigh_clips
from emovox.training.features import ClipSet
from emovox.training.networks import EmbeddingHead, LayeredNetwork, make_network, mask_unseen
from emovox.training.optimizers import make_optimizer
from emovox.training.references import ReferenceDrawer, make_drawer
from emovox.training.rounding import round_weights
from emovox.training.threads import one_thread

# Keras' ReduceLROnPlateau counts an epoch as better only above this improvement.
PLATEAU_MIN_DELTA = 1e-4

SAVE_SHARE = 0.02
"""Largest share of the training time spent on checkpoints. For a small head, writing one takes half
as long as an epoch, so not every epoch has one; a crash loses the epochs since the last one."""


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """The result of a training.

    Attributes:
        network: The network in evaluation mode; early stopping restores the best weights.
        mean: Mean of the training inputs, to subtract from the network's inputs.
        std: Standard deviation of the training inputs, to divide the network's inputs by.
        history: One entry per epoch.
        best_epoch: The epoch that the weights are from.
        labels: Names of the classes, in the order of the network's outputs.
    """

    network: LayeredNetwork
    mean: Tensor
    std: Tensor
    history: tuple[Epoch, ...]
    best_epoch: int
    labels: tuple[str, ...] = EMOTIONS


@one_thread()
def train_network(
    recipe: Recipe,
    train_set: ClipSet,
    validation_set: ClipSet,
    folder: Path | None,
    *,
    corpora: Sequence[str] = (),
    speakers: Sequence[str] = (),
    fold: str = "01",
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> TrainedNetwork:
    """Train a recipe's network, and write ``history.csv`` and ``checkpoint/`` on the way.

    It computes on one thread: the same recipe and clips produce the same bytes on the same kind of
    processor, whatever its number of cores, even if training was interrupted and resumed.

    Args:
        recipe: The recipe.
        train_set: Clips that the weights are fitted to.
        validation_set: Clips used by the learning-rate schedule and early stopping.
        folder: Output folder; ``None``: nothing is written, and training cannot be resumed.
        corpora: Corpus of each training clip; only needed if the recipe weighs corpora, masks
            labels or draws references.
        speakers: Speaker of each training clip; only needed if the recipe draws references.
        fold: Name of the fold, for ``history.csv``.
        resume: Whether to resume from a checkpoint in ``folder``, if there is one.
        on_epoch: Called after each completed epoch, including those before resuming.

    Returns:
        The trained network.

    Raises:
        RecipeError: Early stopping or the plateau schedule has no validation clips, or the loss
            is NaN or infinite.
        RunError: The checkpoint belongs to a different training.
    """
    settings = recipe.training
    if settings.needs_validation and not len(validation_set):
        raise RecipeError(
            "early stopping and the plateau schedule look at validation clips, and there are "
            "none; set training.early_stopping_patience=0 and training.schedule=constant"
        )
    mean, std = train_set.measure()
    training = train_set.standardize(mean, std)
    validation = validation_set.standardize(mean, std)

    weights = weigh_clips(recipe, training.classes, len(train_set.labels), corpora)
    generator = torch.Generator().manual_seed(recipe.seed)
    network = make_network(recipe, mean.numel(), len(train_set.labels), generator)
    drawer = None
    if isinstance(network, EmbeddingHead) and network.baseline is not None:
        drawer = make_drawer(recipe, training, speakers, corpora)
        network.baseline.class_offsets.copy_(drawer.class_offsets)
    optimizer = make_optimizer(settings, network.parameters())
    state = TrainingState(network, optimizer, generator, Progress(settings.learning_rate), {})
    if folder is not None:
        checkpoint = folder / CHECKPOINT_FOLDER / "last.safetensors"
        fingerprint = fingerprint_training(recipe, training, validation, weights)
    if folder is not None and resume and checkpoint.exists():
        load_checkpoint(checkpoint, state, fingerprint)
        # Rewritten, because a crash between the two writes leaves it without the last row.
        write_history(folder / HISTORY_NAME, fold, state.progress.history, state.kept_epoch)
        for epoch in state.progress.history:
            on_epoch(epoch)

    save_s, saved_s = 0.0, time.perf_counter()
    while len(state.progress.history) < settings.epochs and not state.progress.stopped:
        epoch = train_epoch(recipe, state, training, validation, weights, drawer)
        check_loss(epoch)
        state.progress.history.append(epoch)
        end_epoch(settings, state, epoch)
        finished = len(state.progress.history) == settings.epochs or state.progress.stopped
        now_s = time.perf_counter()
        if folder is not None and (finished or save_s <= SAVE_SHARE * (now_s - saved_s)):
            save_checkpoint(checkpoint, state, fingerprint)
            write_history(folder / HISTORY_NAME, fold, state.progress.history, state.kept_epoch)
            saved_s = time.perf_counter()
            save_s = saved_s - now_s
        on_epoch(epoch)

    if state.best_weights:
        network.load_state_dict(state.best_weights)
    if isinstance(network, EmbeddingHead):
        round_weights(network)
    mask_unseen(network, train_set.classes, len(train_set.labels))
    history = tuple(state.progress.history)
    return TrainedNetwork(network.eval(), mean, std, history, state.kept_epoch, train_set.labels)


def train_epoch(
    recipe: Recipe,
    state: TrainingState,
    training: ClipSet,
    validation: ClipSet,
    weights: ClipWeights,
    drawer: ReferenceDrawer | None = None,
) -> Epoch:
    """Train on every clip once in random order, then evaluate the validation clips."""
    start = time.perf_counter()
    network, optimizer, penalties = state.network, state.optimizer, recipe.regularization
    learning_rate = state.progress.learning_rate
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    network.train()
    total_loss, n_right = 0.0, 0
    smoothing = recipe.training.label_smoothing
    for inputs, clips in training.draw_batches(recipe.training.batch_size, state.generator):
        classes = training.classes[clips]
        if drawer is not None and isinstance(network, EmbeddingHead):
            inputs = network.take_off(inputs, drawer.draw(clips, state.generator))
        loss, logits = network.compute_loss(inputs, classes, smoothing, weights.select(clips))
        loss = loss + network.kernel_penalty(penalties)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(classes)
        n_right += int((logits.argmax(1) == classes).sum())
    validation_loss, validation_accuracy = evaluate_loss(recipe, network, validation)
    return Epoch(
        epoch=len(state.progress.history) + 1,
        train_loss=total_loss / len(training),
        train_accuracy=n_right / len(training),
        validation_loss=validation_loss,
        validation_accuracy=validation_accuracy,
        learning_rate=learning_rate,
        seconds=time.perf_counter() - start,
    )


def check_loss(epoch: Epoch) -> None:
    """Raise ``RecipeError`` if the loss is NaN or infinite, as training cannot recover."""
    if not math.isfinite(epoch.train_loss):
        raise RecipeError(
            f"epoch {epoch.epoch}: the training loss is {epoch.train_loss}, expected a number; "
            f"lower training.learning_rate, which was {epoch.learning_rate:g}"
        )


@torch.no_grad()
def evaluate_loss(recipe: Recipe, network: LayeredNetwork, data: ClipSet) -> tuple[float, float]:
    """Return loss (with penalties, as in Keras) and accuracy; NaN if there are no clips."""
    if not len(data):
        return math.nan, math.nan
    network.eval()
    total_loss, n_right = 0.0, 0
    for inputs, classes in data.split_batches(256):
        logits = network(inputs)
        total_loss += nn.functional.cross_entropy(logits, classes, reduction="sum").item()
        n_right += int((logits.argmax(1) == classes).sum())
    penalty = network.kernel_penalty(recipe.regularization).item()
    return total_loss / len(data) + penalty, n_right / len(data)


def end_epoch(settings: TrainingSettings, state: TrainingState, epoch: Epoch) -> None:
    """Update the learning rate and best weights, and decide whether to stop."""
    progress, loss = state.progress, epoch.validation_loss
    if settings.schedule == "cosine":
        share = epoch.epoch / settings.epochs
        swing = settings.learning_rate - settings.min_learning_rate
        progress.learning_rate = (
            settings.min_learning_rate + swing * (1 + math.cos(math.pi * share)) / 2
        )
    if settings.schedule == "plateau":
        progress.plateau_wait += 1
        if loss < progress.plateau_loss - PLATEAU_MIN_DELTA:
            progress.plateau_loss, progress.plateau_wait = loss, 0
        above_floor = progress.learning_rate > settings.min_learning_rate
        if progress.plateau_wait >= settings.plateau_patience and above_floor:
            lower = progress.learning_rate * settings.plateau_factor
            progress.learning_rate = max(lower, settings.min_learning_rate)
            progress.plateau_wait = 0
    if settings.early_stopping_patience:
        if loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = loss, epoch.epoch
            weights = state.network.state_dict()
            state.best_weights = {k: v.clone() for k, v in weights.items()}
        waited = epoch.epoch - progress.best_epoch
        progress.stopped = waited >= settings.early_stopping_patience


def fingerprint_training(
    recipe: Recipe, training: ClipSet, validation: ClipSet, weights: ClipWeights
) -> str:
    """Hash everything that a training depends on: recipe, inputs, labels, weights, PyTorch."""
    # The search space does not affect the weights.
    digest = hashlib.sha256(change_settings(recipe, {}).to_toml().encode())
    for data in (training, validation):
        data.update_digest(digest)
    for tensor in (weights.weights, weights.present):
        if tensor is not None:
            digest.update(tensor.numpy().tobytes())
    digest.update(f"{training.labels} {torch.__version__}".encode())
    return digest.hexdigest()
