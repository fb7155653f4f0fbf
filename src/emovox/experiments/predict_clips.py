"""Predict clips with a model file, through the runtime that users call."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from emovox.corpora.clips import Clip
from emovox.corpora.protocols import Fold
from emovox.errors import ModelFileError
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.labels import order_labels
from emovox.recognition.recognizer import Recognizer


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
        ModelFileError: The file is damaged, or has no output for a clip's label.
        AudioError: A test clip cannot be used.
    """
    predictions = predict_clips(model_path, fold.test, fold.name, on_clip)
    return restrict_labels(predictions, fold.labels) if fold.labels else predictions


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
        ModelFileError: The file is damaged, or has no output for a clip's label.
        AudioError: A clip cannot be used.
    """
    # Every clip counts, so nothing is left out as no speech or uncertain.
    recognizer = Recognizer.load(model_path, vad=False, min_confidence=0)
    labels = recognizer.info.labels
    unknown = order_labels({clip.emotion for clip in clips}.difference(labels))
    if unknown:
        raise ModelFileError(
            f"{model_path}: knows the labels {', '.join(labels)}; expected {', '.join(unknown)} "
            "among them, which clips have: leave these clips out, or take a model of their labels"
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
        true=np.array([labels.index(c.emotion) for c in clips]),
        probabilities=np.array(probabilities),
        labels=labels,
    )
