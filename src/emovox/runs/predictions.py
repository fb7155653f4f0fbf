"""``predictions.csv``: the predictions of a run's models for each test clip."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emovox.errors import RunError
from emovox.evaluation.metrics import FloatArray, check_scores
from emovox.evaluation.predictions import GENDERS, Predictions
from emovox.files import write_text

COLUMNS = ("clip", "fold", "speaker", "gender", "true", "predicted")
"""First columns of ``predictions.csv``, followed by one column per label."""


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write ``predictions.csv`` atomically and without loss of precision.

    Args:
        path: Path of the file.
        predictions: Predictions to write, one row per clip.
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
    """Read and validate a ``predictions.csv``.

    Args:
        path: Path of the file.

    Returns:
        The predictions, in the file's order.

    Raises:
        RunError: If the file is missing, is not such a table, or has an inconsistent line; the
            message names the file and the line.
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
    """Return the labels in the header."""
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
    """Return one line's values, or raise ``ValueError``."""
    expected = len(COLUMNS) + len(labels)
    if len(fields) != expected:
        raise ValueError(f"found {len(fields)} fields; expected {expected}")
    clip, fold, speaker, gender, true, predicted, *numbers = fields
    for column, value in zip(COLUMNS, (clip, fold, speaker), strict=False):
        if not value:
            raise ValueError(f"found an empty {column}; expected a name")
    if gender not in GENDERS:
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
