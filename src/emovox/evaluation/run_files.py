"""What a finished run wrote about itself: its scores and its history, checked as they are read."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from emovox.errors import RunError
from emovox.evaluation.calibration import Calibration
from emovox.evaluation.metrics import FloatArray

HISTORY_CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


Entry = TypeVar("Entry", bound=BaseModel)


class _Entry(BaseModel):
    """Part of metrics.json; keys that are not needed here are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ProtocolEntry(_Entry):
    """The protocol that the scores rest on."""

    name: str
    version: int
    speaker_independent: bool
    description: str = ""


class ScoreEntry(_Entry):
    """A score in [0, 1] and its interval, where there is one."""

    mean: float
    low: float | None = None
    high: float | None = None


class SummaryEntry(_Entry):
    """The three scores that stand for the run."""

    accuracy: ScoreEntry
    uar: ScoreEntry
    macro_f1: ScoreEntry


class CalibrationEntry(_Entry):
    """What a fold's model knows of its own trust."""

    temperature: float
    min_confidence: float
    n_clips: int
    n_speakers: int


class IntervalEntry(_Entry):
    """An interval of a figure."""

    low: float
    high: float


class FoldEntry(_Entry):
    """The scores of one fold."""

    fold: str
    accuracy: float
    uar: float
    macro_f1: float
    n_clips: int
    best_epoch: int | None = None
    epochs: int | None = None
    calibration: CalibrationEntry | None = None


class PooledEntry(_Entry):
    """What ties metrics.json to the predictions beside it."""

    confusion: list[list[int]]


class RunScores(_Entry):
    """The part of metrics.json that a report shows."""

    run: str
    recipe: str
    protocol: ProtocolEntry
    n_folds: int
    n_seeds: int
    summary: SummaryEntry
    interval: str = ""
    metrics: PooledEntry
    folds: tuple[FoldEntry, ...] = ()
    versions: dict[str, Any] = {}
    seconds: float | None = None
    calibration_interval: IntervalEntry | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FoldHistory:
    """How one fold's training went.

    Attributes:
        fold: Name of the fold.
        epochs: Epoch numbers from 1, float64 ``(epochs,)``.
        curves: One float64 ``(epochs,)`` for each of :data:`HISTORY_CURVES`; NaN where the run
            did not measure it.
        seconds: Wall time of the training.
    """

    fold: str
    epochs: FloatArray
    curves: dict[str, FloatArray]
    seconds: float


def read_scores(path: Path) -> RunScores:
    """Read a run's metrics.json.

    Args:
        path: The file to read.

    Returns:
        What a report shows of it.

    Raises:
        RunError: It is missing, no JSON, or lacks an entry, which the message names.

    Example:
        >>> read_scores(Path("runs/vanilla/metrics.json")).protocol.name  # doctest: +SKIP
        'reference'
    """
    expected = (
        "a finished run's metrics.json: check the path, or finish the run with "
        "'emovox train --resume'"
    )
    return read_entry(path, RunScores, expected=expected, remedy="evaluate the run again")


def read_calibration(path: Path) -> Calibration:
    """Read a fold's calibration.json.

    Args:
        path: The file to read.

    Returns:
        The fold's temperature and threshold.

    Raises:
        RunError: It is missing, no JSON, or lacks an entry, which the message names.

    Example:
        >>> read_calibration(Path("runs/vanilla/calibration.json")).temperature  # doctest: +SKIP
        5.1
    """
    expected = "the calibration of a run: train it again"
    entry = read_entry(path, CalibrationEntry, expected=expected, remedy="train the run again")
    return Calibration(**entry.model_dump())


def read_entry(path: Path, model: type[Entry], *, expected: str, remedy: str) -> Entry:
    """Read a JSON file of a run, or say what is wrong with it and what to do."""
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); expected {expected}") from None
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in detail["loc"]) or "the file"
        raise RunError(f"{path}: {key}: {detail['msg']}; {remedy}") from None


def read_history(path: Path) -> tuple[FoldHistory, ...]:
    """Read a run's history.csv.

    Args:
        path: The file to read.

    Returns:
        One entry for each fold in the file's order.

    Raises:
        RunError: It is missing, lacks a column, or holds something else than numbers.

    Example:
        >>> read_history(Path("runs/vanilla/history.csv"))[0].epochs[-1]  # doctest: +SKIP
        50.0
    """
    folds: dict[str, list[list[float]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = {"fold", "epoch", "seconds", *HISTORY_CURVES} - set(rows.fieldnames or ())
            if missing:
                raise RunError(
                    f"{path}: found no column {', '.join(sorted(missing))}; expected the "
                    "history.csv of a run: train it again"
                )
            for row in rows:
                numbers = [
                    float(row[name] or "nan") for name in ("epoch", "seconds", *HISTORY_CURVES)
                ]
                folds.setdefault(row["fold"], []).append(numbers)
    except (OSError, ValueError, TypeError) as error:
        raise RunError(
            f"{path}: cannot be read ({error}); expected the history.csv of a run: train it again"
        ) from None
    histories = []
    for fold, lines in folds.items():
        columns = np.array(lines).T
        curves = dict(zip(HISTORY_CURVES, columns[2:], strict=True))
        histories.append(FoldHistory(fold, columns[0], curves, float(columns[1].sum())))
    return tuple(histories)
