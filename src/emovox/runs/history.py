"""``history.csv``: how the training of each fold went, epoch by epoch."""

import csv
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from emovox.errors import RunError
from emovox.evaluation.metrics import FloatArray
from emovox.files import write_text
from emovox.progress import Epoch

HISTORY_CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


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


def write_history(path: Path, fold: str, history: list[Epoch]) -> None:
    """Write ``history.csv``: one row per finished epoch."""
    names = [f.name for f in fields(Epoch)]
    lines = [",".join(["fold", *names])]
    lines += [",".join([fold, *(f"{getattr(e, name):.10g}" for name in names)]) for e in history]
    write_text(path, "\n".join(lines) + "\n")
