"""Fit a head for new labels to the features that a model computes, from as few as five per class.

It is a regularised multinomial logistic regression on the inputs and the hidden layer of the
model's head, added to the model's own log-probabilities of the labels that it knows. So without any
evidence it is the model itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from emovox.evaluation.metrics import FloatArray, IntArray

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 3.0)
"""Weights of the penalty to choose from; the last leaves little but the model's own scores."""
BASE_WEIGHTS = (0.5, 1.0, 2.0)
"""How much the model's own log-probabilities count, to choose from."""
BIAS_PENALTY = 0.01
MAX_DIRECTIONS = 256
"""Directions of each kind of features that are kept; fewer clips span fewer."""
N_FOLDS = 5
TEMPERATURES = (1e-2, 1e2)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What a model computes of labelled clips.

    Attributes:
        inputs: Inputs of its head, float64 ``(clips, features)``.
        hidden: Its last hidden layer, float64 ``(clips, units)``; no units if there is none.
        scores: Its log-probabilities of the new labels, minus their mean, float64 ``(clips,
            classes)``; 0 for labels that it does not know.
    """

    inputs: FloatArray
    hidden: FloatArray
    scores: FloatArray


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen by cross-validation.

    Attributes:
        strength: Weight of the penalty on the kernel.
        base_weight: How much the model's own log-probabilities count.
    """

    strength: float
    base_weight: float


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedHead:
    """Logits are ``base_weight * scores + features @ kernel + bias``, divided by the temperature.

    Attributes:
        kernel: Of the inputs and then the hidden units, float64 ``(features + units, classes)``.
        bias: float64 ``(classes,)``.
        base_weight: How much the model's own log-probabilities count.
        temperature: Divisor of the logits.
    """

    kernel: FloatArray
    bias: FloatArray
    base_weight: float
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One kind of features in the directions that the clips span."""

    rows: FloatArray  # (clips, directions)
    directions: FloatArray  # (directions, features)
    mean: FloatArray  # (features,)


def fit_head(features: Features, classes: IntArray, choice: Choice) -> AdaptedHead:
    """Fit a head to all clips.

    Args:
        features: What the model computes of the clips.
        classes: Class of each, int64 ``(clips,)``.
        choice: As ``choose_strength`` found it.
    """
    blocks = compress_features(features)
    everything = np.arange(len(classes))
    _, scales, kernel, bias = _fit(blocks, features.scores, classes, everything, choice)
    parts, start = [], 0
    for block, scale in zip(blocks, scales, strict=True):
        own = kernel[start : start + len(block.directions)]
        # The rows of all clips have a mean of 0, so the block's mean is all there is to take off.
        part = scale * block.directions.T @ own
        bias = bias - block.mean @ part
        parts.append(part)
        start += len(own)
    return AdaptedHead(np.concatenate(parts), bias, choice.base_weight)


def predict_logits(head: AdaptedHead, features: Features) -> FloatArray:
    """Return logits, not divided by the temperature, float64 ``(clips, classes)``."""
    both = np.concatenate([features.inputs, features.hidden], axis=1)
    return np.asarray(head.base_weight * features.scores + both @ head.kernel + head.bias)


def cross_validate(
    features: Features, classes: IntArray, groups: IntArray, seed: int = 0
) -> FloatArray:
    """Predict each clip with a head that saw neither it nor its group.

    Strengths are chosen anew without the group, so that the result is an honest score.

    Args:
        features: What the model computes of the clips.
        classes: Class of each, int64 ``(clips,)``.
        groups: Speaker of each, or another number for each if speakers are unknown, int64
            ``(clips,)``.
        seed: Seed of the order in which groups are dealt to folds.

    Returns:
        Logits, float64 ``(clips, classes)``.
    """
    blocks = compress_features(features)
    logits = np.zeros_like(features.scores)
    for train, test in split_groups(classes, groups, seed):
        choice = _choose(blocks, features.scores, classes, groups, train, seed)
        logits[test] = _predict(blocks, features.scores, classes, train, test, choice)
    return logits


def choose_strength(
    features: Features, classes: IntArray, groups: IntArray, seed: int = 0
) -> Choice:
    """Choose the strength of the penalty and the weight of the model's own scores.

    Args:
        features: As in ``cross_validate``, like the other arguments.
        classes: int64 ``(clips,)``.
        groups: int64 ``(clips,)``.
        seed: Seed of the order in which groups are dealt to folds.

    Returns:
        What predicts groups best that were left out, by log-loss at its own best temperature.
    """
    blocks = compress_features(features)
    return _choose(blocks, features.scores, classes, groups, np.arange(len(classes)), seed)


def split_groups(
    classes: IntArray, groups: IntArray, seed: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield training and test clips: each group is tested once, with at most ``N_FOLDS`` folds.

    Groups are dealt class by class, so that each fold tests some of each class if groups are
    single clips.
    """
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.unique(groups))
    first = {name: int(classes[groups == name][0]) for name in names.tolist()}
    names = np.array(sorted(names.tolist(), key=first.__getitem__))
    fold_of = {name: at % N_FOLDS for at, name in enumerate(names.tolist())}
    folds = np.array([fold_of[group] for group in groups.tolist()])
    for fold in np.unique(folds):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def compress_features(features: Features) -> list[_Block]:
    """Express features in the directions that the clips span, which changes no prediction."""
    blocks = []
    for rows in (features.inputs, features.hidden):
        if rows.shape[1]:
            mean = rows.mean(axis=0)
            left, sizes, directions = np.linalg.svd(rows - mean, full_matrices=False)
            kept = min(MAX_DIRECTIONS, int(np.count_nonzero(sizes > 1e-9 * sizes.max())))
            blocks.append(_Block((left * sizes)[:, :kept], directions[:kept], mean))
    return blocks


def fit_temperature(logits: FloatArray, classes: IntArray) -> tuple[float, float]:
    """Return the temperature with the least log-loss, averaged over classes, and that loss."""
    weights = balance(classes, logits.shape[1])

    def loss(log_temperature: float) -> float:
        return measure_loss(logits / np.exp(log_temperature), classes, weights)

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded")
    return float(np.exp(found.x)), float(found.fun)


def measure_loss(logits: FloatArray, classes: IntArray, weights: FloatArray) -> float:
    """Return the weighted log-loss."""
    top = logits.max(axis=1)
    log_sums = top + np.log(np.exp(logits - top[:, np.newaxis]).sum(axis=1))
    return float(weights @ (log_sums - logits[np.arange(len(classes)), classes]))


def balance(classes: IntArray, n_classes: int) -> FloatArray:
    """Return weights that sum to 1, and to the same for each class that occurs."""
    weights = 1 / np.bincount(classes, minlength=n_classes)[classes]
    return np.asarray(weights / weights.sum())


def _choose(
    blocks: list[_Block],
    scores: FloatArray,
    classes: IntArray,
    groups: IntArray,
    clips: IntArray,
    seed: int,
) -> Choice:
    """Choose among all strengths by cross-validation within some clips."""
    inner = [
        (clips[train], clips[test])
        for train, test in split_groups(classes[clips], groups[clips], seed)
    ]
    if len(inner) < 2:
        return Choice(0.03, 1.0)
    losses: dict[Choice, float] = {}
    for strength, base_weight in product(STRENGTHS, BASE_WEIGHTS):
        choice = Choice(strength, base_weight)
        logits = np.zeros_like(scores)
        for train, test in inner:
            logits[test] = _predict(blocks, scores, classes, train, test, choice)
        _, losses[choice] = fit_temperature(logits[clips], classes[clips])
    return min(losses, key=losses.__getitem__)


def _predict(
    blocks: list[_Block],
    scores: FloatArray,
    classes: IntArray,
    train: IntArray,
    test: IntArray,
    choice: Choice,
) -> FloatArray:
    """Return the logits of test clips by a head that is fitted to the training clips."""
    means, scales, kernel, bias = _fit(blocks, scores, classes, train, choice)
    rows = _join(blocks, test, means, scales)
    return np.asarray(choice.base_weight * scores[test] + rows @ kernel + bias)


def _join(
    blocks: list[_Block], clips: IntArray, means: list[FloatArray], scales: list[float]
) -> FloatArray:
    return np.concatenate(
        [
            scale * (block.rows[clips] - mean)
            for block, mean, scale in zip(blocks, means, scales, strict=True)
        ],
        axis=1,
    )


def _fit(
    blocks: list[_Block], scores: FloatArray, classes: IntArray, train: IntArray, choice: Choice
) -> tuple[list[FloatArray], list[float], FloatArray, FloatArray]:
    """Fit kernel and bias; return what centres and scales the rows, too."""
    means = [block.rows[train].mean(axis=0) for block in blocks]
    scales = []
    for block, mean in zip(blocks, means, strict=True):
        # Each kind of features has a mean square of 1 over the clips, shared among the kinds.
        square = float(np.square(block.rows[train] - mean).sum(axis=1).mean())
        scales.append(1 / np.sqrt(max(square, 1e-12) * len(blocks)))
    rows = _join(blocks, train, means, scales)
    n_classes = scores.shape[1]
    offsets, own = choice.base_weight * scores[train], classes[train]
    weights, targets = balance(own, n_classes), np.eye(n_classes)[own]
    shape = (rows.shape[1] + 1, n_classes)

    def lose(flat: FloatArray) -> tuple[float, FloatArray]:
        kernel, bias = flat.reshape(shape)[:-1], flat.reshape(shape)[-1]
        logits = offsets + rows @ kernel + bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        left = (powers / powers.sum(axis=1, keepdims=True) - targets) * weights[:, np.newaxis]
        loss = measure_loss(logits, own, weights)
        loss += (choice.strength * np.square(kernel).sum() + BIAS_PENALTY * bias @ bias) / 2
        slopes = [rows.T @ left + choice.strength * kernel, [left.sum(0) + BIAS_PENALTY * bias]]
        return loss, np.concatenate(slopes).ravel()

    found = minimize(lose, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B")
    fitted = found.x.reshape(shape)
    return means, scales, fitted[:-1], fitted[-1]
