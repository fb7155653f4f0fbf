"""Objective of a search: the mean score on validation clips, fold by fold.

Test clips are never used: an ``InnerFold`` has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import torch

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold, Protocol
from emovox.errors import ProtocolError, RecipeError
from emovox.evaluation.metrics import compute_metrics
from emovox.experiments.jobs import Job
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe, change_settings
from emovox.training.features import FeatureCache
from emovox.training.threads import one_thread
from emovox.training.trainer import train_network

N_INNER_FOLDS = 5
"""Number of folds over the training speakers of a test fold, in a nested search."""


class Metric(StrEnum):
    """Score of a trained network on its fold's validation clips."""

    UA = "ua"
    LOG_LOSS = "log-loss"

    @property
    def rises(self) -> bool:
        """Whether a higher score is better."""
        return self is Metric.UA

    @property
    def label(self) -> str:
        """Display name."""
        return "UA" if self is Metric.UA else "log-loss"

    def show(self, score: float) -> str:
        """Format a score for display: UA in percent."""
        return f"{100 * score:.1f}" if self is Metric.UA else f"{score:.3f}"


@dataclass(frozen=True, slots=True)
class InnerFold:
    """The part of a fold that a search may use.

    Attributes:
        name: Name of the fold.
        train: Training clips.
        validation: Clips to score.
        labels: Labels of the protocol.
    """

    name: str
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Objective:
    """Objective function of a study's trials.

    Attributes:
        folds: Folds to train and score.
        metric: Metric on the validation clips.
        n_seeds: Trainings per fold, with consecutive seeds starting at the recipe's.
    """

    folds: tuple[InnerFold, ...]
    metric: Metric
    n_seeds: int

    @property
    def n_trainings(self) -> int:
        """Number of trainings in a complete trial."""
        return len(self.folds) * self.n_seeds

    def store_features(self, recipe: Recipe, features: FeatureCache, watcher: Watcher) -> None:
        """Compute the recipe's features of all clips."""
        train = (clip for fold in self.folds for clip in fold.train)
        validation = (clip for fold in self.folds for clip in fold.validation)
        features.store(train, validation, recipe, watcher)

    def list_jobs(self, recipe: Recipe) -> list[Job]:
        """Return the trainings of a trial: all folds with the first seed, then with the next."""
        return [
            Job(
                f"fold {fold.name}, seed {seed}",
                partial(score_training, change_settings(recipe, {"seed": seed}), fold, self.metric),
            )
            for seed in range(recipe.seed, recipe.seed + self.n_seeds)
            for fold in self.folds
        ]


@one_thread()
def score_training(
    recipe: Recipe, fold: InnerFold, metric: Metric, features: FeatureCache, watcher: Watcher
) -> float | RecipeError:
    """Train one fold and score its validation clips.

    Args:
        recipe: Recipe with the settings of the trial.
        fold: Fold to train.
        metric: Score to return.
        features: Cache of spectrograms or embeddings.
        watcher: Receives progress updates.

    Returns:
        The score: UA in [0, 1], or the mean log-loss in nats; or why these settings have none, such
        as a loss that diverged.
    """
    load = partial(features.load, recipe=recipe, labels=fold.labels)
    train_set, validation_set = load(fold.train, augment=True), load(fold.validation)
    watcher.start_training(recipe.training.epochs)
    try:
        trained = train_network(
            recipe,
            train_set,
            validation_set,
            None,
            corpora=[clip.corpus for clip in fold.train],
            on_epoch=watcher.end_epoch,
        )
    except RecipeError as error:
        return error
    standardized = validation_set.standardize(trained.mean, trained.std)
    with torch.inference_mode():
        logits = torch.cat([trained.network(x) for x, _ in standardized.split_batches(256)])
    probabilities = torch.softmax(logits.double(), dim=1).numpy()
    metrics = compute_metrics(validation_set.classes.numpy(), probabilities, fold.labels)
    return metrics.uar if metric is Metric.UA else metrics.log_loss


def take_inner_folds(protocol: Protocol, names: Sequence[str] = ()) -> tuple[InnerFold, ...]:
    """Return a protocol's folds without their test clips.

    Args:
        protocol: Protocol with the folds.
        names: Names of the folds to return; empty for all.

    Returns:
        The folds in the protocol's order.

    Raises:
        ProtocolError: A fold is unknown, or has no validation clips.
    """
    known = [fold.name for fold in protocol.folds]
    for name in names:
        if name not in known:
            raise ProtocolError(
                f"{protocol.name} has no fold {name!r}; expected one of {', '.join(known)}"
            )
    folds = [fold for fold in protocol.folds if not names or fold.name in names]
    for fold in folds:
        if not fold.validation:
            raise ProtocolError(
                f"{protocol.name}, fold {fold.name}: no validation clips, on which a search is "
                "scored; choose another protocol"
            )
    return tuple(
        InnerFold(fold.name, fold.train, fold.validation, protocol.labels) for fold in folds
    )


def split_training_speakers(fold: Fold, labels: tuple[str, ...]) -> tuple[InnerFold, ...]:
    """Split a fold's training and validation clips into inner folds by speaker.

    Each speaker of the corpora used for validation is a validation speaker in one inner fold, with
    women and men distributed evenly. Clips of other corpora are used for training, except those of
    validation speakers.

    Args:
        fold: Fold to split; its test clips are not used.
        labels: Labels of the protocol.

    Returns:
        ``N_INNER_FOLDS`` folds, or one per speaker if there are fewer speakers.

    Raises:
        ProtocolError: There are fewer than two speakers.
    """
    clips = (*fold.train, *fold.validation)
    corpora = {clip.corpus for clip in fold.validation or clips}
    genders = {clip.speaker: clip.gender or "" for clip in clips if clip.corpus in corpora}
    if len(genders) < 2:
        raise ProtocolError(
            f"fold {fold.name}: found {len(genders)} training speakers; a nested search needs at "
            "least 2, one of them for validation: choose another protocol"
        )
    speakers = sorted(genders, key=lambda name: (genders[name], len(name), name))
    n_folds = min(N_INNER_FOLDS, len(speakers))
    inner = []
    for index in range(n_folds):
        chosen = set(speakers[index::n_folds])
        train = tuple(clip for clip in clips if clip.speaker not in chosen)
        validation = tuple(c for c in clips if c.speaker in chosen and c.corpus in corpora)
        inner.append(InnerFold(f"{fold.name}.{index + 1}", train, validation, labels))
    return tuple(inner)
