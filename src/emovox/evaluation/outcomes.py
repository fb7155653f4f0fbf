"""What became of each clip, as one number, so that thousands of resamples cost a count each.

An *outcome* is a combination of what is true of a clip and what each model predicted. A score is a
function of how often each outcome was seen.
"""

from dataclasses import dataclass

import numpy as np

from emovox.evaluation.intervals import OutcomeScore
from emovox.evaluation.metrics import FloatArray, IntArray, count_confusions, score_confusions


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """The different outcomes of a set of clips, and which of them each clip had.

    Attributes:
        rows: One row for each outcome, one column for each thing coded, ``(outcomes, columns)``.
        index: Row of each clip, int64 ``(clips,)``.
    """

    rows: IntArray
    index: IntArray

    @property
    def counts(self) -> IntArray:
        """How often each outcome was seen, int64 ``(outcomes,)``."""
        return np.bincount(self.index, minlength=len(self.rows))


def code_outcomes(*columns: IntArray, by_appearance: bool = False) -> Outcomes:
    """Number the different combinations of several columns.

    Args:
        columns: Each int ``(clips,)``: the true class, then the class that each model predicted.
        by_appearance: Number them as the clips bring them, which does not depend on the order of
            the columns; otherwise they are sorted, which does not depend on the order of the clips.

    Returns:
        The combinations, and each clip's.

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
    """Return the function that scores every model from how often each outcome was seen.

    Args:
        outcomes: Of the true class, then of each model's predicted class.
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
