"""Write ``metrics.json``: all scores of a run, and what they rest on."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emovox.evaluation.calibration import Calibration
from emovox.evaluation.evaluate import Evaluation
from emovox.files import write_text
from emovox.recipes.recipe import Recipe
from emovox.runs.history import FoldHistory

METRICS_FORMAT = 1

_PACKAGES = ("emovox", "numpy", "torch", "onnx", "onnxruntime", "scikit-learn", "soundfile", "soxr")


def write_metrics(
    path: Path,
    evaluation: Evaluation,
    recipe: Recipe,
    histories: Sequence[FoldHistory],
    calibrations: Mapping[str, Calibration],
) -> None:
    """Write ``metrics.json``.

    Args:
        path: The file to write; its folder names the run.
        evaluation: The run's scores.
        recipe: What the run was trained by.
        histories: How the training of each fold went.
        calibrations: Each fold's, by its name.
    """
    summary, protocol = evaluation.summary, evaluation.protocol
    keys = ("accuracy", "uar", "macro_f1")
    content: dict[str, Any] = {
        "format": METRICS_FORMAT,
        "run": path.parent.name,
        "recipe": recipe.name,
        "protocol": {
            "name": protocol.name,
            "version": protocol.version,
            "speaker_independent": protocol.speaker_independent,
            "description": protocol.description,
        },
        "n_clips": summary.n_clips,
        "n_speakers": summary.n_speakers,
        "n_folds": summary.n_folds,
        "n_seeds": 1,
        "summary": {
            key: {"mean": s.value, "low": s.interval.low, "high": s.interval.high}
            for key, s in zip(keys, summary.scores, strict=True)
        },
        "interval": f"95%, 2,000 bootstrap draws over {summary.resample_by}",
        "metrics": evaluation.metrics.to_dict(),
        "calibration_interval": evaluation.calibration_interval.to_dict(),
        "abstention": evaluation.abstention.to_dict(),
        "fairness": evaluation.fairness.to_dict() if evaluation.fairness else None,
        "folds": [
            {
                "fold": fold.name,
                **{k: s.folds[i] for k, s in zip(keys, summary.scores, strict=True)},
                "n_clips": len(fold.test),
                "best_epoch": histories[i].best_epoch,
                "epochs": len(histories[i].epochs),
                "calibration": calibrations[fold.name].to_dict(),
            }
            for i, fold in enumerate(protocol.folds)
        ],
        "versions": describe_machine(),
        "seconds": round(sum(history.seconds for history in histories), 1),
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def describe_machine() -> dict[str, str]:
    """Return the versions and the machine that a figure was measured with."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }
