"""Write ``metrics.json``: all scores of a run, with protocol, recipe and versions."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from emovox.evaluation.calibration import Calibration
from emovox.evaluation.evaluate import Evaluation
from emovox.evaluation.intervals import DRAWS
from emovox.evaluation.metrics import SCORE_DEFINITIONS
from emovox.evaluation.summary import Summary
from emovox.files import write_text
from emovox.recipes.recipe import Recipe
from emovox.runs.history import FoldHistory

METRICS_FORMAT = 1

_PACKAGES = ("emovox", "numpy", "torch", "onnx", "onnxruntime", "scikit-learn", "soundfile", "soxr")
_KEYS = ("accuracy", "uar", "macro_f1")


def write_metrics(
    path: Path,
    evaluation: Evaluation,
    recipe: Recipe,
    histories: Sequence[FoldHistory],
    calibrations: Mapping[str, Calibration],
) -> None:
    """Write ``metrics.json``.

    Args:
        path: Path of the file; its folder names the run.
        evaluation: Scores of the run.
        recipe: Recipe of the run.
        histories: Training history of each fold.
        calibrations: Calibration of each fold, keyed by fold.
    """
    summary, protocol = evaluation.summary, evaluation.protocol
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
        "n_folds": summary.n_folds,
        "n_seeds": 1,
        **summary_to_dict(summary),
        **scores_to_dict(evaluation),
        "folds": [
            {
                "fold": fold.name,
                **{k: s.folds[i] for k, s in zip(_KEYS, summary.scores, strict=True)},
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


def summary_to_dict(summary: Summary) -> dict[str, Any]:
    """Return WA, UA and F1 with their intervals and basis as JSON-ready types."""
    return {
        "n_clips": summary.n_clips,
        "n_speakers": summary.n_speakers,
        "summary": {
            key: {"mean": s.value, "low": s.interval.low, "high": s.interval.high}
            for key, s in zip(_KEYS, summary.scores, strict=True)
        },
        "definitions": SCORE_DEFINITIONS,
        "interval": f"95%, {describe_draws(summary)}",
    }


def scores_to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return all other scores as JSON-ready types."""
    takes, corpora = evaluation.repeated_takes, evaluation.over_corpora
    return {
        "metrics": evaluation.metrics.to_dict(),
        "calibration_interval": evaluation.calibration_interval.to_dict(),
        "calibration_by_group": evaluation.calibration_by_group.to_dict(),
        "abstention": evaluation.abstention.to_dict(),
        "fairness": evaluation.fairness.to_dict() if evaluation.fairness else None,
        "repeated_takes": takes.to_dict() if takes else None,
        **({"over_corpora": corpora.to_dict()} if corpora else {}),
    }


def describe_draws(summary: Summary) -> str:
    """Describe how the intervals were computed, such as ``"t interval over 9 speakers"``."""
    if summary.interval_name.startswith("t "):
        return summary.interval_name
    return f"{DRAWS:,} bootstrap draws over {summary.resample_by}"


def describe_machine() -> dict[str, str]:
    """Return the versions and the processor that scores were measured with."""
    versions = {}
    for package in _PACKAGES:
        # Evaluation works without PyTorch.
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "python": platform.python_version(),
        **versions,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "processor": name_processor(),
    }


def name_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model name, because CNN training differs between processors."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), "") or platform.processor() or platform.machine()
