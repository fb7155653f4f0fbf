"""A model's predictions for each test clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.corpora.clips import UNKNOWN_SPEAKER
from emovox.evaluation.metrics import FloatArray, IntArray, check_scores

TextArray = npt.NDArray[np.str_]

GENDERS = ("male", "female", "")


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A model's probabilities for the test clips of one or more folds.

    Sequences are converted to arrays. A clip may be in several folds (repeated splits), but only
    once in each.

    Attributes:
        clips: Name of each clip, str ``(clips,)``.
        folds: Fold in which each clip was tested, str ``(clips,)``.
        speakers: Speaker of each clip, str ``(clips,)``.
        genders: ``"male"``, ``"female"``, or ``""`` if unknown, str ``(clips,)``.
        true: Index of each clip's true class in ``labels``, int64 ``(clips,)``.
        probabilities: Probability of each class, float64 ``(clips, classes)``; rows sum to 1.
        labels: Names of the classes, in the order of the columns.

    Raises:
        ValueError: If the arrays do not fit together, a row is not a probability distribution, a
            gender is unknown, or a clip occurs twice in one fold.

    Examples:
        >>> Predictions(["a"], ["01"], ["1"], [""], [0], [[0.9, 0.1]], ["calm", "sad"]).predicted
        array([0])
    """

    clips: TextArray
    folds: TextArray
    speakers: TextArray
    genders: TextArray
    true: IntArray
    probabilities: FloatArray
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        labels = tuple(self.labels)
        true, probabilities = check_scores(self.true, self.probabilities, labels)
        fields: dict[str, Any] = {"true": true, "probabilities": probabilities, "labels": labels}
        for name in ("clips", "folds", "speakers", "genders"):
            fields[name] = np.asarray(getattr(self, name), dtype=np.str_)
            if fields[name].shape != true.shape:
                raise ValueError(
                    f"found {name} of shape {fields[name].shape}; expected {true.shape}, "
                    "one for every clip"
                )
        for gender in np.unique(fields["genders"]):
            if gender not in GENDERS:
                raise ValueError(f"found gender {str(gender)!r}; expected one of {GENDERS}")
        seen: set[tuple[str, str]] = set()
        for fold, clip in zip(fields["folds"].tolist(), fields["clips"].tolist(), strict=True):
            if (fold, clip) in seen:
                raise ValueError(f"found clip {clip} twice in fold {fold}; expected it once")
            seen.add((fold, clip))
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return int(self.true.size)

    @property
    def predicted(self) -> IntArray:
        """Index of the most probable class, or the first of equals, int64 ``(clips,)``."""
        best: IntArray = self.probabilities.argmax(axis=1)
        return best

    @property
    def n_speakers(self) -> int:
        """Number of distinct known speakers; 0 if the corpus names none."""
        names = np.unique(self.speakers).tolist()
        return sum(not name.endswith(f"-{UNKNOWN_SPEAKER}") for name in names)

    def select(self, rows: npt.ArrayLike) -> "Predictions":
        """Return some of the rows.

        Args:
            rows: bool ``(clips,)``, or row numbers in the desired order.

        Returns:
            The predictions in these rows.

        Raises:
            ValueError: If no row is selected.
        """
        chosen = np.arange(len(self))[np.asarray(rows)]
        return Predictions(
            self.clips[chosen],
            self.folds[chosen],
            self.speakers[chosen],
            self.genders[chosen],
            self.true[chosen],
            self.probabilities[chosen],
            self.labels,
        )


def restrict_labels(predictions: Predictions, labels: Sequence[str]) -> Predictions:
    """Restrict predictions to a subset of the labels, such as those of the test corpus.

    Args:
        predictions: Predictions over all labels.
        labels: Labels to keep, in the same order, including every clip's true label.

    Returns:
        The predictions over these labels, with probabilities renormalized to sum to 1; uniform if
        all of them are zero.

    Raises:
        ValueError: If a label is unknown, or a clip's true label is not among them.

    Examples:
        >>> both = Predictions(["a"], ["1"], ["1"], [""], [0], [[0.2, 0.2, 0.6]], ["a", "b", "c"])
        >>> restrict_labels(both, ["a", "b"]).probabilities
        array([[0.5, 0.5]])
    """
    if tuple(labels) == predictions.labels:
        return predictions
    unknown = set(labels) - set(predictions.labels)
    absent = {predictions.labels[i] for i in np.unique(predictions.true)} - set(labels)
    if unknown or absent:
        raise ValueError(
            f"found labels {tuple(labels)}; expected some of {predictions.labels}, among them "
            "the true label of every clip"
        )
    columns = [predictions.labels.index(label) for label in labels]
    kept = predictions.probabilities[:, columns]
    sums = kept.sum(axis=1, keepdims=True)
    shares = np.divide(kept, sums, out=np.full_like(kept, 1 / len(columns)), where=sums > 0)
    return Predictions(
        predictions.clips,
        predictions.folds,
        predictions.speakers,
        predictions.genders,
        np.array([columns.index(i) for i in predictions.true.tolist()]),
        shares,
        tuple(labels),
    )


def widen_labels(predictions: Predictions, labels: Sequence[str]) -> Predictions:
    """Add labels that a fold does not predict, with probability 0.

    Args:
        predictions: Predictions over some of the labels.
        labels: All labels, in the new order.

    Returns:
        The predictions over all labels.

    Raises:
        ValueError: If a label of the predictions is not among them.

    Examples:
        >>> one = Predictions(["a"], ["1"], ["1"], [""], [1], [[0.4, 0.6]], ["a", "c"])
        >>> widen_labels(one, ["a", "b", "c"]).probabilities
        array([[0.4, 0. , 0.6]])
    """
    if tuple(labels) == predictions.labels:
        return predictions
    missing = set(predictions.labels).difference(labels)
    if missing:
        raise ValueError(f"found labels {predictions.labels}; expected some of {tuple(labels)}")
    columns = np.array([list(labels).index(label) for label in predictions.labels])
    probabilities = np.zeros((len(predictions), len(labels)))
    probabilities[:, columns] = predictions.probabilities
    return Predictions(
        predictions.clips,
        predictions.folds,
        predictions.speakers,
        predictions.genders,
        columns[predictions.true],
        probabilities,
        tuple(labels),
    )


def concatenate_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Concatenate the predictions of several folds, in order.

    Args:
        parts: Predictions over the same labels.

    Returns:
        The rows of all parts.

    Raises:
        ValueError: If there are no parts, the labels differ, or a clip occurs twice in one fold.
    """
    if not parts:
        raise ValueError("found no predictions; expected those of at least one fold")
    for part in parts:
        if part.labels != parts[0].labels:
            raise ValueError(
                f"found labels {part.labels} beside {parts[0].labels}; "
                "expected the same, in the same order"
            )
    return Predictions(
        np.concatenate([part.clips for part in parts]),
        np.concatenate([part.folds for part in parts]),
        np.concatenate([part.speakers for part in parts]),
        np.concatenate([part.genders for part in parts]),
        np.concatenate([part.true for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        parts[0].labels,
    )
