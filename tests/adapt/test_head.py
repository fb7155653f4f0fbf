"""Heads that are fitted to a few labelled clips."""

import numpy as np
import pytest
from numpy.typing import NDArray

from emovox.adapt.features import share_labels
from emovox.adapt.head import (
    Choice,
    Features,
    choose_strength,
    cross_validate,
    fit_head,
    fit_temperature,
    predict_logits,
    split_groups,
)

N_FEATURES = 60


def make_features(
    rng: np.random.Generator, classes: NDArray[np.int64], signal: float, base: float
) -> Features:
    """Make clips whose classes show in two features, and in the base's scores."""
    n = len(classes)
    inputs = rng.normal(size=(n, N_FEATURES))
    inputs[:, 0] += signal * (classes == 1)
    inputs[:, 1] += signal * (classes == 2)
    hidden = np.maximum(inputs[:, :6] + 0.5, 0)
    scores = base * np.eye(3)[classes] + rng.normal(size=(n, 3))
    return Features(inputs, hidden, scores - scores.mean(axis=1, keepdims=True))


def share_right(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    return float((logits.argmax(axis=1) == classes).mean())


def test_a_head_learns_what_the_base_does_not_know() -> None:
    rng = np.random.default_rng(0)
    train, test = np.arange(30) % 3, np.arange(300) % 3
    few, many = make_features(rng, train, 6.0, 0.0), make_features(rng, test, 6.0, 0.0)
    choice = choose_strength(few, train, np.arange(30))
    logits = predict_logits(fit_head(few, train, choice), many)
    assert share_right(many.scores, test) < 0.45
    assert share_right(logits, test) > 0.75


def test_without_evidence_the_head_is_the_base() -> None:
    rng = np.random.default_rng(1)
    train, test = np.arange(30) % 3, np.arange(300) % 3
    few, many = make_features(rng, train, 0.0, 4.0), make_features(rng, test, 0.0, 4.0)
    head = fit_head(few, train, choose_strength(few, train, np.arange(30)))
    alone, adapted = share_right(many.scores, test), share_right(predict_logits(head, many), test)
    assert alone > 0.9
    assert adapted > alone - 0.03
    # A penalty without limit leaves the base's scores, and a bias, which counts for little here.
    stiff = fit_head(few, train, Choice(1e9, 1.0))
    np.testing.assert_allclose(stiff.kernel, 0, atol=1e-6)
    np.testing.assert_allclose(
        predict_logits(stiff, many), many.scores + stiff.bias, rtol=0, atol=1e-4
    )


def test_the_head_of_fewer_directions_is_the_solution_in_all_features() -> None:
    rng = np.random.default_rng(2)
    classes = np.arange(12) % 3
    features = make_features(rng, classes, 3.0, 1.0)
    head = fit_head(features, classes, Choice(0.05, 0.5))
    # At the minimum, the slope of the loss vanishes: kernel = rows' @ (targets - probabilities).
    both = [features.inputs, features.hidden]
    centred = [part - part.mean(axis=0) for part in both]
    scales = [1 / np.sqrt(2 * np.square(part).sum(axis=1).mean()) for part in centred]
    rows = np.concatenate([s * part for s, part in zip(scales, centred, strict=True)], axis=1)
    logits = predict_logits(head, features)
    powers = np.exp(logits)
    left = (np.eye(3)[classes] - powers / powers.sum(axis=1, keepdims=True)) / len(classes)
    widths = np.repeat(scales, [N_FEATURES, 6])[:, np.newaxis]
    np.testing.assert_allclose(head.kernel, widths * (rows.T @ left) / 0.05, rtol=0, atol=2e-3)


def test_left_out_groups_are_not_fitted_to() -> None:
    rng = np.random.default_rng(3)
    classes = rng.integers(0, 3, size=36)
    noise = make_features(rng, classes, 0.0, 0.0)
    logits = cross_validate(noise, classes, np.arange(36))
    assert share_right(logits, classes) < 0.6
    # The same clips without leaving them out are learnt by heart.
    fitted = fit_head(noise, classes, Choice(0.003, 0.5))
    assert share_right(predict_logits(fitted, noise), classes) > 0.95


@pytest.mark.parametrize("n_groups", [2, 3, 20])
def test_each_group_is_tested_once(n_groups: int) -> None:
    classes = np.arange(40) % 2
    groups = np.arange(40) % n_groups
    tested = []
    for train, test in split_groups(classes, groups, 0):
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == 40
        tested += test.tolist()
    assert sorted(tested) == list(range(40))


def test_the_temperature_of_overconfident_logits_is_above_1() -> None:
    rng = np.random.default_rng(4)
    classes = rng.integers(0, 2, size=400)
    honest = np.log(np.where(np.eye(2)[classes] == 1, 0.8, 0.2))
    wrong = rng.random(400) < 0.2
    honest[wrong] = honest[wrong][:, ::-1]
    temperature, loss = fit_temperature(5 * honest, classes)
    assert temperature == pytest.approx(5, rel=0.25)
    assert loss == pytest.approx(-0.8 * np.log(0.8) - 0.2 * np.log(0.2), abs=0.06)


def test_scores_of_labels_that_the_base_knows_are_centred() -> None:
    matrix = share_labels(["sad", "calm", "angry"], ["angry", "bored", "sad"])
    scores = np.log([[0.2, 0.7, 0.1]]) @ matrix
    difference = np.log(0.1) - np.log(0.2)
    np.testing.assert_allclose(scores, [[difference / 2, 0, -difference / 2]])
    assert not share_labels(["sad"], ["bored", "keen"]).any()
