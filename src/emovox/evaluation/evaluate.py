"""Score a run: its model files on its test clips, through the runtime that users call."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from emovox.corpora.cross import describe_labels
from emovox.corpora.protocols import Fold, Protocol
from emovox.errors import ModelFileError
from emovox.evaluation.metrics import Metrics, compute_metrics
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.evaluation.run_files import FoldHistory
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
    """

    protocol: Protocol
    summary: Summary
    metrics: Metrics

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
    # Every clip counts, so nothing is left out as no speech or uncertain.
    recognizer = Recognizer.load(model_path, vad=False, min_confidence=0)
    if recognizer.info.labels != EMOTIONS:
        raise ModelFileError(
            f"{model_path}: found labels {recognizer.info.labels}; expected {EMOTIONS}"
        )
    probabilities = []
    for clip in fold.test:
        probabilities.append(list(recognizer.predict(clip.path).scores.values()))
        on_clip()
    predictions = Predictions(
        clips=np.array([c.name for c in fold.test]),
        folds=np.array([fold.name] * len(fold.test)),
        speakers=np.array([c.speaker for c in fold.test]),
        genders=np.array([c.gender or "" for c in fold.test]),
        true=np.array([EMOTIONS.index(c.emotion) for c in fold.test]),
        probabilities=np.array(probabilities),
        labels=EMOTIONS,
    )
    return restrict_labels(predictions, fold.labels)


def evaluate_predictions(protocol: Protocol, predictions: Predictions) -> Evaluation:
    """Score the test predictions of all folds."""
    resample_by = choose_resampling(predictions, speaker_independent=protocol.speaker_independent)
    summary = summarize(predictions, resample_by, np.random.default_rng(BOOTSTRAP_SEED))
    metrics = compute_metrics(predictions.true, predictions.probabilities, predictions.labels)
    return Evaluation(protocol, summary, metrics)


def write_metrics(
    path: Path, evaluation: Evaluation, recipe: Recipe, histories: Sequence[FoldHistory]
) -> None:
    """Write ``metrics.json``.

    Args:
        path: The file to write; its folder names the run.
        evaluation: The run's scores.
        recipe: What the run was trained by.
        histories: How the training of each fold went.
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
        "folds": [
            {
                "fold": fold.name,
                **{k: s.folds[i] for k, s in zip(keys, summary.scores, strict=True)},
                "n_clips": len(fold.test),
                "best_epoch": find_best_epoch(recipe, histories[i]),
                "epochs": len(histories[i].epochs),
            }
            for i, fold in enumerate(protocol.folds)
        ],
        "versions": describe_machine(),
        "seconds": round(sum(history.seconds for history in histories), 1),
        "temperature": 1.0,
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
