"""Encode each clip's true and predicted classes as one integer, for fast resampling.

An *outcome* is a combination of a clip's true class and each model's predicted class. Scores
depend only on how often each outcome occurs, so a resample is a vector of counts.
"""

from dataclasses import dataclass

import numpy as np

from emovox.evaluation.intervals import OutcomeScore
from emovox.evaluation.metrics import FloatArray, IntArray, count_confusions, score_confusions


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """The distinct outcomes of a set of clips, and the outcome of each clip.

    Attributes:
        rows: Classes of each distinct outcome, ``(outcomes, columns)``.
        index: Row number of each clip's outcome, int64 ``(clips,)``.
    """

    rows: IntArray
    index: IntArray

    @property
    def counts(self) -> IntArray:
        """Number of clips with each outcome, int64 ``(outcomes,)``."""
        return np.bincount(self.index, minlength=len(self.rows))


def code_outcomes(*columns: IntArray, by_appearance: bool = False) -> Outcomes:
    """Number the distinct combinations of several columns.

    Args:
        columns: Each int ``(clips,)``: the true class, then the class that each model predicted.
        by_appearance: Number combinations by first appearance, independent of the order of the
            columns. Otherwise they are sorted, independent of the order of the clips.

    Returns:
        The distinct combinations, and each clip's combination.

    Examples:
        >>> outcomes = code_outcomes(np.array([1, 0, 1]), np.array([1, 1, 1]))
        >>> outcomes.rows.tolist(), outcomes.index.tolist()
        ([[0, 1], [1, 1]], [1, 0, 1])
    """
    table = np.stack(columns, axis=1)
    rows, first, index = np.unique(table, axis=0, return_index=True, return_inverse=True)
    index = index.reshape(-1)  # (clips,): numpy 2.0 alone gives (clips, 1)
    if by_appearance:
        order = np.argsort(first)
        rows, index = rows[order], np.argsort(order)[index]
    return Outcomes(rows, index)


def score_models(outcomes: Outcomes, n_classes: int) -> OutcomeScore:
    """Return a function that scores every model from the outcomes' counts.

    Args:
        outcomes: Outcomes of the true class and each model's predicted class.
        n_classes: Number of classes.

    Returns:
        A function from counts ``(draws, outcomes)`` to WA, UA and macro F1 of each model, float64
        ``(models, 3, draws)``.

    Examples:
        >>> outcomes = code_outcomes(np.array([0, 1]), np.array([0, 0]), np.array([0, 1]))
        >>> score_models(outcomes, 2)(np.array([[1, 1]]))[:, 0, 0]
        array([0.5, 1. ])
    """
    true, *models = outcomes.rows.T

    def score(counts: IntArray) -> FloatArray:
        return np.stack(
            [
                score_confusions(count_confusions(counts, true, predicted, n_classes))
                for predicted in models
            ]
        )

    return score
