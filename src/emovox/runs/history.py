"""``history.csv``: loss and accuracy of each fold's training, epoch by epoch."""

import csv
from collections.abc import Sequence
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
    """Training history of one fold.

    Attributes:
        fold: Name of the fold.
        epochs: Epoch numbers from 1, float64 ``(epochs,)``.
        curves: One float64 ``(epochs,)`` for each of ``HISTORY_CURVES``; NaN if not measured.
        seconds: Wall time of the training.
        best_epoch: Epoch whose weights were kept; ``None`` if the run did not record it.
    """

    fold: str
    epochs: FloatArray
    curves: dict[str, FloatArray]
    seconds: float
    best_epoch: int | None = None


def read_history(path: Path) -> tuple[FoldHistory, ...]:
    """Read a run's ``history.csv``.

    Args:
        path: Path of the file.

    Returns:
        One entry per fold, in the file's order.

    Raises:
        RunError: The file is missing, lacks a column, or contains values that are not numbers.
    """
    folds: dict[str, list[list[float]]] = {}
    kept: dict[str, int] = {}
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
                if row.get("kept") == "1":
                    kept[row["fold"]] = int(numbers[0])
    except (OSError, ValueError, TypeError) as error:
        raise RunError(
            f"{path}: cannot be read ({error}); expected the history.csv of a run: train it again"
        ) from None
    histories = []
    for fold, lines in folds.items():
        columns = np.array(lines).T
        curves = dict(zip(HISTORY_CURVES, columns[2:], strict=True))
        seconds = float(columns[1].sum())
        histories.append(FoldHistory(fold, columns[0], curves, seconds, kept.get(fold)))
    return tuple(histories)


def write_history(path: Path, fold: str, history: Sequence[Epoch], best_epoch: int) -> None:
    """Write ``history.csv``: one row per epoch; ``kept`` is 1 for the epoch whose weights are."""
    *names, seconds = (f.name for f in fields(Epoch))
    lines = [",".join(["fold", *names, "kept", seconds])]
    for epoch in history:
        values = [f"{getattr(epoch, name):.10g}" for name in names]
        kept = str(int(epoch.epoch == best_epoch))
        lines.append(",".join([fold, *values, kept, f"{epoch.seconds:.10g}"]))
    write_text(path, "\n".join(lines) + "\n")
