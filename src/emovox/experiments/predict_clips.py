"""Predict clips with a model file, using the same runtime as users."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold
from emovox.errors import ModelFileError
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.labels import order_labels
from emovox.recognition.model_file import open_model, open_model_bytes
from emovox.recognition.recognizer import Recognizer
from emovox.runs.folder import MODEL_NAME


def predict_fold(
    model: Path | bytes, fold: Fold, on_clip: Callable[[], None] = lambda: None
) -> Predictions:
    """Predict a fold's test clips with its model file.

    Args:
        model: Path or content of the fold's ``model.onnx``.
        fold: Fold whose test clips are predicted.
        on_clip: Called after each clip, to report progress.

    Returns:
        The predictions, in the order of the test clips.

    Raises:
        ModelFileError: The file is damaged, or has no output for a clip's label.
        AudioError: A test clip cannot be used.
    """
    predictions = predict_clips(model, fold.test, fold.name, on_clip)
    return restrict_labels(predictions, fold.labels) if fold.labels else predictions


def predict_clips(
    model: Path | bytes,
    clips: Sequence[Clip],
    fold: str,
    on_clip: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predict clips with a model file, without abstention.

    Args:
        model: Path or content of a ``model.onnx``.
        clips: Clips to predict, at least one.
        fold: Name of the fold, stored with the predictions.
        on_clip: Called after each clip, to report progress.

    Returns:
        The predictions, in the order of the clips.

    Raises:
        ModelFileError: The file is damaged, or has no output for a clip's label.
        AudioError: A clip cannot be used.
    """
    path = Path(f"fold {fold}") / MODEL_NAME if isinstance(model, bytes) else model
    opened = open_model_bytes(model, path) if isinstance(model, bytes) else open_model(model)
    # Every clip counts, so abstention is disabled.
    recognizer = Recognizer(opened, min_confidence=0)
    labels = recognizer.info.labels
    unknown = order_labels({clip.emotion for clip in clips}.difference(labels))
    if unknown:
        raise ModelFileError(
            f"{path}: has the labels {', '.join(labels)}, but some clips are labelled "
            f"{', '.join(unknown)}; leave these clips out, or use a model trained on their labels"
        )
    probabilities = []
    for clip in clips:
        scores = recognizer.predict(clip.path).scores
        # Digital silence has no scores and is never right: a uniform guess among the other labels.
        guess = {label: (label != clip.emotion) / (len(labels) - 1) for label in labels}
        probabilities.append(list((guess if scores is None else scores).values()))
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
