"""Score a run: its model files on its test clips, through the runtime that users call."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from emovox.corpora.clips import Clip
from emovox.corpora.cross import describe_labels
from emovox.corpora.protocols import Fold, Protocol
from emovox.errors import ModelFileError
from emovox.evaluation.calibration import (
    TARGET_ACCURACY,
    Calibration,
    bootstrap_calibration_error,
)
from emovox.evaluation.fairness import Fairness, compare_genders
from emovox.evaluation.intervals import Interval
from emovox.evaluation.metrics import CALIBRATION_BINS, Metrics, compute_metrics
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.evaluation.run_files import FoldHistory
from emovox.evaluation.selective import Abstention, measure_abstention
from emovox.evaluation.summary import Summary, choose_resampling, count, describe_score, summarize
from emovox.files import write_text
from emovox.labels import EMOTIONS
from emovox.model_file import ProtocolScore
from emovox.recognizer import Recognizer
from emovox.training.recipe import Recipe

METRICS_FORMAT = 1
BOOTSTRAP_SEED = 0

_PACKAGES = ("emovox", "numpy", "torch", "onnx", "onnxruntime", "scikit-learn", "soundfile", "soxr")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a run did on its test clips.

    Attributes:
        protocol: What it was tested by.
        summary: WA, UA and F1 with their intervals.
        metrics: All metrics of the pooled test predictions.
        calibration_interval: Of their expected calibration error.
        abstention: What abstaining brings on them.
        fairness: How women and men are served; ``None`` where one of them is not there.
    """

    protocol: Protocol
    summary: Summary
    metrics: Metrics
    calibration_interval: Interval
    abstention: Abstention
    fairness: Fairness | None = None

    def describe(self) -> list[str]:
        """Return a printable line each for WA, UA and F1, with all that a score must carry."""
        return [
            describe_score(
                self.summary,
                name,
                protocol=self.protocol.name,
                version=self.protocol.version,
                speaker_independent=self.protocol.speaker_independent,
                n_seeds=1,
            )
            for name in ("WA", "UA", "F1")
        ] + describe_labels(self.protocol)

    def describe_basis(self) -> str:
        """Return what a table of scores rests on, as the line above it."""
        summary, protocol = self.summary, self.protocol
        kind = "speaker-independent" if protocol.speaker_independent else "speaker-dependent"
        folds = count(summary.n_folds, "fold")
        clips, speakers = count(summary.n_clips, "clip"), count(summary.n_speakers, "speaker")
        return (
            f"{protocol.name} v{protocol.version}, {kind}: {folds}, 1 seed, {clips} of {speakers}; "
            f"percent, 95% intervals over {summary.resample_by}"
        )

    def describe_calibration(self) -> str:
        """Return a printable line: how far its confidence can be trusted."""
        interval = self.calibration_interval
        return (
            f"log-loss {self.metrics.log_loss:.3f}, expected calibration error "
            f"{self.metrics.expected_calibration_error:.3f} (95% interval {interval.low:.3f} to "
            f"{interval.high:.3f}; {CALIBRATION_BINS} bins of equal width, most probable class)"
        )

    def describe_abstention(self) -> list[str]:
        """Return printable lines: how often it is right where it answers only the surest clips."""
        lines = [f"{'answered':>8} {'confidence':>11} {'clips':>6} {'accuracy':>9}"]
        for entry in self.abstention.by_coverage:
            lines.append(
                f"{entry.coverage:8.0%} {entry.min_confidence or 0:>11.3f} {entry.count:6,} "
                f"{entry.accuracy or 0:9.3f}"
            )
        own = self.abstention.own
        if own is not None:
            right = "none answered" if own.accuracy is None else f"{own.accuracy:.1%} right"
            lines.append(
                f"at each model's own threshold: {own.coverage:.1%} answered, {right} "
                f"(asked for on its validation clips: {TARGET_ACCURACY:.0%})"
            )
        return lines

    def to_scores(self) -> tuple[ProtocolScore, ...]:
        """Return the scores as a model file carries them."""
        return tuple(
            ProtocolScore(
                name=score.name,
                value=score.value,
                low=score.interval.low,
                high=score.interval.high,
                protocol=f"{self.protocol.name} v{self.protocol.version}",
                speaker_independent=self.protocol.speaker_independent,
                n_seeds=1,
                n_clips=self.summary.n_clips,
                n_speakers=self.summary.n_speakers,
            )
            for score in self.summary.scores
        )


def predict_fold(
    model_path: Path, fold: Fold, on_clip: Callable[[], None] = lambda: None
) -> Predictions:
    """Predict a fold's test clips with its model file.

    Args:
        model_path: The fold's ``model.onnx``.
        fold: Its test clips are predicted.
        on_clip: Called after each, for a progress bar.

    Returns:
        The predictions, in the order of the test clips.

    Raises:
        ModelFileError: The file is damaged, or names other emotions.
        AudioError: A test clip cannot be used.
    """
    predictions = predict_clips(model_path, fold.test, fold.name, on_clip)
    return restrict_labels(predictions, fold.labels)


def predict_clips(
    model_path: Path,
    clips: Sequence[Clip],
    fold: str,
    on_clip: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predict clips with a model file; every clip gets scores, abstained or not.

    Args:
        model_path: A ``model.onnx``.
        clips: At least one.
        fold: Name of the fold, for the predictions.
        on_clip: Called after each, for a progress bar.

    Returns:
        The predictions, in the order of the clips.

    Raises:
        ModelFileError: The file is damaged, or names other emotions.
        AudioError: A clip cannot be used.
    """
    # Every clip counts, so nothing is left out as no speech or uncertain.
    recognizer = Recognizer.load(model_path, vad=False, min_confidence=0)
    if recognizer.info.labels != EMOTIONS:
        raise ModelFileError(
            f"{model_path}: found labels {recognizer.info.labels}; expected {EMOTIONS}"
        )
    probabilities = []
    for clip in clips:
        probabilities.append(list(recognizer.predict(clip.path).scores.values()))
        on_clip()
    return Predictions(
        clips=np.array([c.name for c in clips]),
        folds=np.array([fold] * len(clips)),
        speakers=np.array([c.speaker for c in clips]),
        genders=np.array([c.gender or "" for c in clips]),
        true=np.array([EMOTIONS.index(c.emotion) for c in clips]),
        probabilities=np.array(probabilities),
        labels=EMOTIONS,
    )


def evaluate_predictions(
    protocol: Protocol,
    predictions: Predictions,
    calibrations: Mapping[str, Calibration] | None = None,
) -> Evaluation:
    """Score the test predictions of all folds.

    Args:
        protocol: What they were tested by.
        predictions: Of every fold.
        calibrations: Each fold's, by its name; without them no threshold is scored.

    Returns:
        The scores.
    """
    resample_by = choose_resampling(predictions, speaker_independent=protocol.speaker_independent)
    summary = summarize(predictions, resample_by, np.random.default_rng(BOOTSTRAP_SEED))
    metrics = compute_metrics(predictions.true, predictions.probabilities, predictions.labels)
    interval = bootstrap_calibration_error(
        predictions, resample_by, np.random.default_rng(BOOTSTRAP_SEED)
    )
    fitted = calibrations is not None and all(c.n_clips for c in calibrations.values())
    thresholds = (
        {fold: c.min_confidence for fold, c in calibrations.items()}
        if calibrations is not None and fitted
        else None
    )
    abstention = measure_abstention(predictions, thresholds)
    fairness = compare_genders(predictions, np.random.default_rng(BOOTSTRAP_SEED))
    return Evaluation(protocol, summary, metrics, interval, abstention, fairness)


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
                "best_epoch": find_best_epoch(recipe, histories[i]),
                "epochs": len(histories[i].epochs),
                "calibration": calibrations[fold.name].to_dict(),
            }
            for i, fold in enumerate(protocol.folds)
        ],
        "versions": describe_machine(),
        "seconds": round(sum(history.seconds for history in histories), 1),
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def find_best_epoch(recipe: Recipe, history: FoldHistory) -> int:
    """Return the epoch whose weights were kept: the last, or early stopping's best."""
    if not recipe.training.early_stopping_patience:
        return len(history.epochs)
    return int(np.nanargmin(history.curves["validation_loss"])) + 1


def describe_machine() -> dict[str, str]:
    """Return the versions and the machine that a figure was measured with."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }
