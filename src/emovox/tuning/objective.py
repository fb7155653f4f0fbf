"""What a search maximises or minimises: the mean score on validation clips, fold by fold.

The test clips of a protocol do not get here: an :class:`InnerFold` has none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import torch

from emovox.corpora.clips import Clip
from emovox.corpora.protocols import Protocol
from emovox.errors import ProtocolError
from emovox.evaluation.metrics import compute_metrics
from emovox.recipes.recipe import Recipe, change_settings
from emovox.training.features import FeatureCache
from emovox.training.trainer import train_network


class Metric(StrEnum):
    """How a trained network is scored on its fold's validation clips."""

    UA = "ua"
    LOG_LOSS = "log-loss"

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return self is Metric.UA

    @property
    def label(self) -> str:
        """Name for people."""
        return "UA" if self is Metric.UA else "log-loss"

    def show(self, score: float) -> str:
        """Return a score as people read it: UA in percent."""
        return f"{100 * score:.1f}" if self is Metric.UA else f"{score:.3f}"


@dataclass(frozen=True, slots=True)
class InnerFold:
    """The part of a fold that a search may see.

    Attributes:
        name: The fold's name.
        train: Clips that the weights are fitted to.
        validation: Clips that are scored.
        labels: The protocol's, which the model learns.
    """

    name: str
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Objective:
    """What every trial of a study is scored by.

    Attributes:
        folds: Trained and scored one after the other.
        metric: What is measured.
        n_seeds: Trainings of each fold, from the recipe's seed on.
        features: What is known of the clips already.
    """

    folds: tuple[InnerFold, ...]
    metric: Metric
    n_seeds: int
    features: FeatureCache

    @property
    def n_trainings(self) -> int:
        """How many trainings a whole trial takes."""
        return len(self.folds) * self.n_seeds

    def load(self, recipe: Recipe, on_clip: Callable[[], None]) -> None:
        """Compute what the recipe takes of all clips, calling ``on_clip`` after each."""
        for fold in self.folds:
            load = partial(self.features.load, recipe=recipe, labels=fold.labels, on_clip=on_clip)
            load(fold.train, augment=True)
            load(fold.validation)

    def count_unknown(self, recipe: Recipe) -> int:
        """Return how many clips :meth:`load` would have to compute or read."""
        train = {c.name: c for fold in self.folds for c in fold.train}
        validation = {c.name: c for fold in self.folds for c in fold.validation}
        if recipe.augmentation.copies == 0:
            return self.features.count_unknown([*(train | validation).values()], recipe)
        return self.features.count_unknown(
            [*train.values()], recipe, augment=True
        ) + self.features.count_unknown([*validation.values()], recipe)

    def score(self, recipe: Recipe, training: int) -> float:
        """Train one fold and score its validation clips.

        Args:
            recipe: The settings.
            training: Its number, from 0: all folds by the first seed, then by the next.

        Returns:
            The score: UA in [0, 1], or the mean log-loss in nats.

        Raises:
            RecipeError: The loss grew beyond all numbers.
        """
        seed, index = divmod(training, len(self.folds))
        fold = self.folds[index]
        recipe = change_settings(recipe, {"seed": recipe.seed + seed})
        load = partial(self.features.load, recipe=recipe, labels=fold.labels)
        train_set, validation_set = load(fold.train, augment=True), load(fold.validation)
        trained = train_network(recipe, train_set, validation_set, None)
        standardized = validation_set.standardize(trained.mean, trained.std)
        with torch.inference_mode():
            logits = torch.cat([trained.network(x) for x, _ in standardized.split_batches(256)])
        probabilities = torch.softmax(logits.double(), dim=1).numpy()
        metrics = compute_metrics(validation_set.classes.numpy(), probabilities, fold.labels)
        return metrics.uar if self.metric is Metric.UA else metrics.log_loss


def take_inner_folds(protocol: Protocol, names: Sequence[str] = ()) -> tuple[InnerFold, ...]:
    """Take training and validation clips of a protocol's folds, and leave the test clips.

    Args:
        protocol: Its folds.
        names: Only these folds; empty: all of them.

    Returns:
        The folds in the protocol's order.

    Raises:
        ProtocolError: A fold is unknown, or has no validation clips.

    Example:
        >>> [f.name for f in take_inner_folds(protocol, ["01"])]  # doctest: +SKIP
        ['01']
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
                f"{protocol.name}, fold {fold.name}: no validation clips, and a search is scored "
                "on nothing else; choose another protocol"
            )
    return tuple(
        InnerFold(fold.name, fold.train, fold.validation, protocol.labels) for fold in folds
    )
