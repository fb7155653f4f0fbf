import numpy as np
import pytest

from emovox.evaluation.metrics import compute_metrics
from emovox.evaluation.outcomes import code_outcomes, score_models

TRUE = np.array([2, 0, 1, 2, 2])
FIRST = np.array([0, 0, 1, 0, 2])
SECOND = np.array([2, 2, 1, 2, 0])


def test_outcomes_are_numbered_by_what_they_are() -> None:
    outcomes = code_outcomes(TRUE, FIRST)
    assert outcomes.rows.tolist() == [[0, 0], [1, 1], [2, 0], [2, 2]]
    assert outcomes.index.tolist() == [2, 0, 1, 2, 3]
    assert outcomes.counts.tolist() == [1, 1, 2, 1]


def test_outcomes_can_be_numbered_as_they_appear() -> None:
    outcomes = code_outcomes(TRUE, FIRST, SECOND, by_appearance=True)
    assert outcomes.index.tolist() == [0, 1, 2, 0, 3]
    swapped = code_outcomes(TRUE, SECOND, FIRST, by_appearance=True)
    assert swapped.index.tolist() == outcomes.index.tolist()
    assert swapped.rows[:, [0, 2, 1]].tolist() == outcomes.rows.tolist()


def test_scores_of_counts_are_those_of_the_clips() -> None:
    outcomes = code_outcomes(TRUE, FIRST, SECOND)
    scores = score_models(outcomes, 3)(np.stack([outcomes.counts, 2 * outcomes.counts]))
    assert scores.shape == (2, 3, 2)
    for said, found in zip((FIRST, SECOND), scores, strict=True):
        metrics = compute_metrics(TRUE, np.eye(3)[said], ["a", "b", "c"])
        expected = [metrics.accuracy, metrics.uar, metrics.macro_f1]
        assert found[:, 0] == pytest.approx(expected)
        assert found[:, 1] == pytest.approx(expected)
