"""What a model said about each test clip, and the predictions.csv that keeps it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.errors import RunError
from emovox.evaluation.metrics import FloatArray, IntArray, check_scores
from emovox.files import write_text

TextArray = npt.NDArray[np.str_]

COLUMNS = ("clip", "fold", "speaker", "gender", "true", "predicted")
"""First columns of predictions.csv; one column a label follows."""

_GENDERS = ("male", "female", "")


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A model's probabilities for the test clips of one or more folds.

    Sequences are turned into arrays. A clip may be in several folds (repeated splits), but only
    once in each.

    Attributes:
        clips: Name of each clip, str ``(clips,)``.
        folds: Fold in which it was tested, str ``(clips,)``.
        speakers: Its speaker, str ``(clips,)``.
        genders: ``"male"``, ``"female"``, or ``""`` where the corpus does not say, ``(clips,)``.
        true: Index of its true class in ``labels``, int64 ``(clips,)``.
        probabilities: Probability of each class, float64 ``(clips, classes)``; rows sum to 1.
        labels: Names of the classes, in the order of the columns.

    Raises:
        ValueError: If the arrays do not fit together, a row holds no probabilities, a gender is
            another, or a clip is twice in one fold.

    Example:
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
            if gender not in _GENDERS:
                raise ValueError(f"found gender {str(gender)!r}; expected one of {_GENDERS}")
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
        """Index of the most probable class, the first of equals, int64 ``(clips,)``."""
        best: IntArray = self.probabilities.argmax(axis=1)
        return best

    def select(self, rows: npt.ArrayLike) -> "Predictions":
        """Return some of the rows.

        Args:
            rows: bool ``(clips,)``, or the rows' numbers in the order wanted.

        Returns:
            The predictions of these rows.

        Raises:
            ValueError: If no row is left.

        Example:
            >>> predictions.select(predictions.folds == "01")  # doctest: +SKIP
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
    """Forbid a model all but some labels, as where a test corpus does not have the others.

    Args:
        predictions: Over all labels.
        labels: Some of them, in the same order; every clip's true label is among them.

    Returns:
        The predictions over these labels: their probabilities, divided by their sum; equal where
            all of them are zero.

    Raises:
        ValueError: If a label is unknown, or a clip's true label is not among them.

    Example:
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


def concatenate_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions of several folds, in their order.

    Args:
        parts: Predictions over the same labels.

    Returns:
        All their rows.

    Raises:
        ValueError: If there is no part, the labels differ, or a clip is twice in one fold.

    Example:
        >>> concatenate_predictions([first_fold, second_fold])  # doctest: +SKIP
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


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions.csv, whole or not at all; reading it gives the same numbers back.

    Args:
        path: The file to write.
        predictions: What goes into it, one row a clip.

    Example:
        >>> write_predictions(run / "predictions.csv", predictions)  # doctest: +SKIP
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*COLUMNS, *predictions.labels])
    labels = np.array(predictions.labels)
    columns = (
        predictions.clips.tolist(),
        predictions.folds.tolist(),
        predictions.speakers.tolist(),
        predictions.genders.tolist(),
        labels[predictions.true].tolist(),
        labels[predictions.predicted].tolist(),
    )
    for *names, scores in zip(*columns, predictions.probabilities.tolist(), strict=True):
        rows.writerow([*names, *map(repr, scores)])
    write_text(path, text.getvalue())


def read_predictions(path: Path) -> Predictions:
    """Read a predictions.csv, and refuse it where anything is off.

    Args:
        path: The file to read.

    Returns:
        Its rows, in the file's order.

    Raises:
        RunError: If the file is missing, is no such table, or a line contradicts itself; the
            message names the file and the line.

    Example:
        >>> read_predictions(Path("runs/vanilla/predictions.csv"))  # doctest: +SKIP
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(
            f"{path}: cannot be read ({error}); expected a run's predictions.csv: "
            "check the path, or evaluate the run again"
        ) from error
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[_Row] = []
    seen: set[tuple[str, str]] = set()
    try:
        labels = _read_header(next(lines, []))
        for fields in lines:
            row = _read_row(fields, labels)
            if (row.fold, row.clip) in seen:
                raise ValueError(f"found clip {row.clip} twice in fold {row.fold}")
            seen.add((row.fold, row.clip))
            rows.append(row)
        if not rows:
            raise ValueError("found no row after the header; expected one for each test clip")
    except (ValueError, csv.Error) as error:
        raise RunError(
            f"{path}, line {max(lines.line_num, 1)}: {error}: evaluate the run again"
        ) from error
    return Predictions(
        np.array([row.clip for row in rows]),
        np.array([row.fold for row in rows]),
        np.array([row.speaker for row in rows]),
        np.array([row.gender for row in rows]),
        np.array([row.true for row in rows]),
        np.array([row.probabilities for row in rows]),
        labels,
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One checked line of the file."""

    clip: str
    fold: str
    speaker: str
    gender: str
    true: int
    probabilities: FloatArray


def _read_header(fields: list[str]) -> tuple[str, ...]:
    """Return the labels that the header names."""
    labels = tuple(fields[len(COLUMNS) :])
    if tuple(fields[: len(COLUMNS)]) != COLUMNS or len(labels) < 2 or "" in labels:
        raise ValueError(
            f"found header {','.join(fields)!r}; expected {','.join(COLUMNS)} "
            "and one column for each emotion"
        )
    if len(set(labels)) != len(labels):
        raise ValueError(f"found a label twice in {', '.join(labels)}; expected different names")
    return labels


def _read_row(fields: list[str], labels: tuple[str, ...]) -> _Row:
    """Return one line's values, or say what is wrong with it."""
    expected = len(COLUMNS) + len(labels)
    if len(fields) != expected:
        raise ValueError(f"found {len(fields)} fields; expected {expected}")
    clip, fold, speaker, gender, true, predicted, *numbers = fields
    for column, value in zip(COLUMNS, (clip, fold, speaker), strict=False):
        if not value:
            raise ValueError(f"found an empty {column}; expected a name")
    if gender not in _GENDERS:
        raise ValueError(f"found gender {gender!r}; expected male, female, or nothing")
    for column, value in (("true", true), ("predicted", predicted)):
        if value not in labels:
            raise ValueError(
                f"found {column} {value!r}; expected one of the header's {', '.join(labels)}"
            )
    probabilities = np.array([float(number) for number in numbers])
    check_scores([labels.index(true)], probabilities[None], labels)
    best = labels[int(probabilities.argmax())]
    if predicted != best:
        raise ValueError(f"found predicted {predicted}; expected {best}, the most probable")
    return _Row(clip, fold, speaker, gender, labels.index(true), probabilities)
