"""Score a model file on labelled recordings: a known corpus, a list, or a folder per class.

corpus -> clips -> Recognizer (as shipped) -> scores over the shared labels
                                           -> calibration and abstention over all model labels
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold, Protocol
from emovox.corpora.read import load_listings
from emovox.errors import CorpusError, RunError
from emovox.evaluation.abstention import answer_as_shipped
from emovox.evaluation.evaluate import evaluate_predictions
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.evaluation.summary import ResampleBy
from emovox.experiments.model_evaluation import (
    ModelEvaluation,
    UnusableClip,
    find_overlap,
    name_corpus,
    name_model,
)
from emovox.files import name_folder, write_text
from emovox.progress import Watcher
from emovox.recognition.model_file import (
    ModelInfo,
    find_model,
    open_model,
)
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.runs.corpus import write_places
from emovox.runs.folder import METRICS_NAME, PREDICTIONS_NAME, RECIPE_NAME
from emovox.runs.predictions import write_predictions
from emovox.wording import count

_FOLD = "01"


def evaluate_model(
    model: str | Path,
    corpus: str | Path,
    out: Path | None = None,
    *,
    data: Path | None = None,
    jobs: int = 1,
    vad: bool = True,
    watcher: Watcher | None = None,
) -> ModelEvaluation:
    """Score a model file on labelled recordings.

    Clips with a label that the model lacks are counted and left out, as are unusable clips. WA, UA
    and F1 are computed over the shared labels, with the model's probabilities restricted to them:
    a corpus with few labels does not count against the model. Calibration and abstention are those
    of the model as shipped, with all its labels, its own threshold, and no emotion if no speech is
    detected.

    Args:
        model: Path of a ``model.onnx``, or ``"default"`` for the model shipped with the package.
        corpus: A known corpus, a list (``.csv``, ``.tsv``, ``.jsonl``), or a folder per class.
        out: Folder for ``predictions.csv``, ``metrics.json`` and ``report.html``; ``None`` writes
            no files.
        data: Folder of the known corpora; ``None`` searches the usual places.
        jobs: Number of clips to predict in parallel.
        vad: Run voice-activity detection first, as ``Recognizer`` does.
        watcher: Receives progress updates.

    Returns:
        The scores, with intervals over speakers, or over clips if the speakers are unknown.

    Raises:
        CorpusError: The corpus was not found, has fewer than two of the model's labels, or has no
            usable clip.
        ModelFileError: The model file is missing or damaged.
        RunError: ``out`` is a training run.
    """
    watcher, model, corpus = watcher or Watcher(), str(model), str(corpus)
    if out is not None and (out / RECIPE_NAME).exists():
        raise RunError(f"{out} is a training run; name another folder with --out")
    path = find_model(model)
    info = open_model(path).info
    (listing,) = load_listings(data, [corpus])
    clips = [clip for clip in listing.clips if clip.emotion in info.labels]
    others = Counter(clip.emotion for clip in listing.clips if clip.emotion not in info.labels)
    share_labels(corpus, clips, info)
    predicted = predict_as_shipped(path, clips, jobs, vad, watcher)
    if not predicted.clips:
        raise CorpusError(
            f"{corpus}: none of {count(len(clips), 'clip')} can be used; the first: "
            f"{predicted.unusable[0].reason}"
        )
    clips = predicted.clips
    shared = share_labels(corpus, clips, info)
    predictions = Predictions(
        np.array([clip.name for clip in clips]),
        np.array([_FOLD] * len(clips)),
        np.array([clip.speaker for clip in clips]),
        np.array([clip.gender or "" for clip in clips]),
        np.array([info.labels.index(clip.emotion) for clip in clips]),
        np.array(predicted.probabilities),
        info.labels,
    )
    overlap = find_overlap(info, listing.clips, corpus)
    speakers_known = all(clip.has_speaker for clip in clips)
    fold = Fold(_FOLD, train=(), validation=(), test=tuple(clips), labels=shared)
    protocol = Protocol(f"{info.name} on {corpus}", 1, "", overlap.is_speaker_independent, (fold,))
    resample_by: ResampleBy | None = None if speakers_known else "clips"
    scored = evaluate_predictions(
        protocol, restrict_labels(predictions, shared), resample_by=resample_by
    )
    shipped = evaluate_predictions(
        replace(protocol, folds=(replace(fold, labels=info.labels),)),
        predictions,
        resample_by=resample_by,
    )
    own = answer_as_shipped(predictions, info.min_confidence, predicted.no_speech)
    evaluation = ModelEvaluation(
        model=model,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        info=info,
        corpus=corpus,
        overlap=overlap,
        predictions=predictions,
        scored=scored,
        shipped=replace(shipped, abstention=replace(shipped.abstention, own=own)),
        speakers_known=speakers_known,
        no_speech=tuple(predicted.no_speech),
        unusable=tuple(predicted.unusable),
        other_labels=tuple(sorted(others.items())),
        notes=tuple(listing.describe_unused()),
    )
    if out is not None:
        write_evaluation(out, evaluation, clips)
        write_places(out, [(corpus, listing.source)])
    return evaluation


@dataclass(frozen=True, slots=True)
class PredictedClips:
    """Clips with the model's probabilities, and clips without."""

    clips: list[Clip]
    probabilities: list[list[float]]
    no_speech: list[str]
    unusable: list[UnusableClip]


def predict_as_shipped(
    model: Path, clips: Sequence[Clip], jobs: int, vad: bool, watcher: Watcher
) -> PredictedClips:
    """Predict clips as users do; get probabilities even for clips without detected speech."""
    shipped = Recognizer.load(model, vad=vad)
    undetected = Recognizer.load(model, vad=False)
    predicted = PredictedClips([], [], [], [])
    watcher.start_clips("clips", len(clips))
    results = shipped.predict_files([clip.path for clip in clips], jobs=jobs)
    for clip, result in zip(clips, results, strict=True):
        abstained = result.abstained if isinstance(result, Prediction) else None
        if abstained == "no speech":
            (result,) = undetected.predict_files([clip.path])
        if not isinstance(result, Prediction):
            predicted.unusable.append(UnusableClip(clip.name, result.error))
        elif result.scores is None:
            reason = f"{clip.path}: found digital silence, or less than 0.1 s; expected speech"
            predicted.unusable.append(UnusableClip(clip.name, reason))
        else:
            predicted.clips.append(clip)
            predicted.probabilities.append([result.scores[label] for label in shipped.info.labels])
            if abstained in ("no speech", "too short"):
                predicted.no_speech.append(clip.name)
        watcher.end_clip()
    return predicted


def write_evaluation(out: Path, evaluation: ModelEvaluation, clips: Sequence[Clip]) -> None:
    """Write ``predictions.csv``, ``metrics.json`` and ``report.html``."""
    # Importing matplotlib takes a second, so import it only when needed.
    from emovox.report.page import write_report

    write_predictions(out / PREDICTIONS_NAME, evaluation.predictions)
    write_text(out / METRICS_NAME, json.dumps(evaluation.to_dict(), indent=1) + "\n")
    write_report(out, {clip.name: clip for clip in clips})


def name_evaluation_folder(model: str, corpus: str) -> Path:
    """Return the default folder of an evaluation."""
    return Path("runs") / name_folder(f"evaluate-{name_model(model)}-{name_corpus(corpus)}")


def share_labels(corpus: str, clips: Sequence[Clip], info: ModelInfo) -> tuple[str, ...]:
    """Return the labels that clips and model share, in the model's order.

    Raises:
        CorpusError: There are fewer than two.
    """
    found = {clip.emotion for clip in clips}
    shared = tuple(label for label in info.labels if label in found)
    if len(shared) < 2:
        raise CorpusError(
            f"{corpus}: found usable clips of {', '.join(shared) or 'none'} of the labels of "
            f"{info.name} ({', '.join(info.labels)}); expected at least two of them: name another "
            "corpus or another model"
        )
    return shared
