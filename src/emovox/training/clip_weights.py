"""Weigh training clips, and mask labels, of corpora that differ in size or labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emovox.recipes.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ClipWeights:
    """Weights of some training clips in the loss.

    Attributes:
        weights: float32 ``(clips,)`` with mean 1 over all training clips; ``None``: all 1.
        present: bool ``(clips, classes)``: labels that the clip's corpus has; ``None``: all.
    """

    weights: Tensor | None = None
    present: Tensor | None = None

    def select(self, clips: Tensor) -> "ClipWeights":
        """Return the weights of some clips, by int64 ``(batch,)``."""
        return ClipWeights(
            None if self.weights is None else self.weights[clips],
            None if self.present is None else self.present[clips],
        )

    def repeat(self, times: int) -> "ClipWeights":
        """Return the weights with each clip repeated, ``(clips * times, ...)``."""
        clips = self.weights if self.weights is not None else self.present
        if clips is None:
            return self
        return self.select(torch.arange(len(clips)).repeat_interleave(times))


def weigh_clips(
    recipe: Recipe, classes: Tensor, n_classes: int, corpora: Sequence[str]
) -> ClipWeights:
    """Weigh training clips by ``data.balance`` and ``training.mask_absent_labels``.

    Args:
        recipe: The recipe.
        classes: Class of each clip, int64 ``(clips,)``.
        n_classes: Number of labels.
        corpora: Corpus of each clip; not needed if both settings are off.

    Returns:
        The weights.

    Raises:
        ValueError: A setting is on, and the number of corpora is not that of the clips.

    Examples:
        >>> from emovox.recipes.recipe import load_recipe
        >>> recipe = load_recipe("encoder", ["data.balance=sqrt"])
        >>> weigh_clips(recipe, torch.tensor([0, 1, 0, 1, 0]), 2, ["a"] * 4 + ["b"]).weights
        tensor([0.8333, 0.8333, 0.8333, 0.8333, 1.6667])
    """
    balances, masks = recipe.data.balance == "sqrt", recipe.training.mask_absent_labels
    if not (balances or masks):
        return ClipWeights()
    if len(corpora) != len(classes):
        raise ValueError(
            f"found the corpora of {len(corpora)} clips; expected one for each of {len(classes)}"
        )
    names = sorted(set(corpora))
    index = torch.tensor([names.index(corpus) for corpus in corpora])
    weights = present = None
    if balances:
        rare = torch.bincount(index).to(torch.float64).rsqrt()[index]  # (clips,)
        weights = (rare / rare.mean()).float()
    if masks:
        has = torch.zeros(len(names), n_classes, dtype=torch.bool)
        has[index, classes] = True
        present = has[index]  # (clips, classes)
    return ClipWeights(weights, present)


def measure_loss(
    logits: Tensor, classes: Tensor, label_smoothing: float, weights: ClipWeights
) -> Tensor:
    """Return the mean cross-entropy of clips with weights.

    Labels that a clip's corpus lacks are left out of its softmax, so that the clip, which cannot
    be labelled with them, teaches nothing about them. Label smoothing is spread over the others.

    Args:
        logits: ``(clips, classes)``.
        classes: int64 ``(clips,)``.
        label_smoothing: Share of each target that is spread over its labels.
        weights: Weights of these clips.
    """
    if weights.weights is None and weights.present is None:
        return nn.functional.cross_entropy(logits, classes, label_smoothing=label_smoothing)
    present = weights.present
    if present is None:
        present = torch.ones_like(logits, dtype=torch.bool)
    scores = logits.masked_fill(~present, -torch.inf).log_softmax(1)
    of_true = scores.gather(1, classes[:, None])[:, 0]
    # Absent labels have a score of minus infinity, which times zero would be NaN.
    smooth = scores.masked_fill(~present, 0).sum(1) / present.sum(1)
    losses = -(1 - label_smoothing) * of_true - label_smoothing * smooth
    if weights.weights is not None:
        losses = losses * weights.weights
    return losses.mean()
