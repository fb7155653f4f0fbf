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
from typing import Any

import numpy as np

from emovox.corpora.clips import Clip
from emovox.corpora.protocols import Fold, Protocol
from emovox.corpora.read import load_listings
from emovox.corpora.registry import CORPORA
from emovox.errors import CorpusError, RunError
from emovox.evaluation.abstention import answer_as_shipped
from emovox.evaluation.evaluate import Evaluation, evaluate_predictions
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.evaluation.summary import ResampleBy, format_score
from emovox.files import name_folder, write_text
from emovox.progress import Watcher
from emovox.recognition.model_file import (
    ModelInfo,
    find_model,
    hash_clip_names,
    open_model,
)
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.runs.folder import METRICS_NAME, MODEL_NAME, PREDICTIONS_NAME, RECIPE_NAME
from emovox.runs.metrics import METRICS_FORMAT, describe_machine, scores_to_dict, summary_to_dict
from emovox.runs.predictions import write_predictions
from emovox.wording import count

UNSEEN = "unseen corpus"

_FOLD = "01"
_RAVDESS = {"ravdess", "ravdess-song"}
"""Corpora recorded by the same actors."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Possible overlap of a model's training data with the test clips.

    Attributes:
        kind: ``"unseen corpus"``, ``"training speakers"``, ``"training corpus"`` or ``"training
            clips"``; printed with every score.
        reason: How the overlap is known, and its effect on the scores.
    """

    kind: str
    reason: str

    @property
    def is_unseen(self) -> bool:
        """Whether the training data named in the model file does not include these clips."""
        return self.kind == UNSEEN


@dataclass(frozen=True, slots=True)
class UnusableClip:
    """A clip without a prediction.

    Attributes:
        clip: Name of the clip.
        reason: Why the clip cannot be used.
    """

    clip: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ModelEvaluation:
    """Scores of a model file on labelled recordings.

    Attributes:
        model: Model as given by the caller: a path, or ``"default"``.
        sha256: SHA-256 of the model file.
        info: Metadata of the model file.
        corpus: Corpus as given by the caller.
        overlap: Whether the model may have been trained on these clips.
        predictions: Predictions over all labels of the model.
        scored: Scores over the labels that model and corpus share, where the most probable of
            the shared labels is the prediction, as in cross-corpus protocols.
        shipped: Scores of the model as shipped, over all its labels: calibration, and abstention
            at its own threshold; clips without speech get no emotion.
        speakers_known: Whether the corpus names the speakers; otherwise clips are resampled.
        no_speech: Clips in which no speech was detected; they count in ``scored``.
        unusable: Clips that cannot be decoded, or are silent or too short.
        other_labels: Labels of the corpus that the model lacks, with their number of clips.
        notes: Recordings of the corpus that are not used, and why.
    """

    model: str
    sha256: str
    info: ModelInfo
    corpus: str
    overlap: Overlap
    predictions: Predictions
    scored: Evaluation
    shipped: Evaluation
    speakers_known: bool
    no_speech: tuple[str, ...]
    unusable: tuple[UnusableClip, ...]
    other_labels: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Display name of the evaluation: model and corpus."""
        return f"{name_model(self.model)} on {name_corpus(self.corpus)}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that model and corpus share."""
        return self.scored.protocol.folds[0].labels

    def describe(self) -> list[str]:
        """Return one printable line each for WA, UA and F1, with corpus, clips and overlap."""
        summary = self.scored.summary
        speakers = count(summary.n_speakers, "speaker")
        basis = (
            f"{self.info.name} {self.sha256[:8]} on {name_corpus(self.corpus)}, "
            f"{self.overlap.kind}, {count(len(self.labels), 'label')}, "
            f"{count(summary.n_clips, 'clip')} of "
            f"{speakers if self.speakers_known else 'unknown speakers'}"
        )
        return [
            f"{score.name} {format_score(score, summary.interval_name)}, {basis}"
            for score in summary.scores
        ]

    def describe_unused(self) -> list[str]:
        """Return one printable line for each kind of clip that is not scored."""
        lines = list(self.notes)
        if self.other_labels:
            labels = ", ".join(f"{label} ({n:,})" for label, n in self.other_labels)
            total = count(sum(n for _, n in self.other_labels), "clip")
            lines.append(f"{total} not scored, whose label the model lacks: {labels}")
        if self.unusable:
            lines.append(f"{count(len(self.unusable), 'clip')} not scored that cannot be used")
        return lines

    def describe_shipped(self) -> list[str]:
        """Return printable lines on the model as shipped, over all its labels."""
        own = self.shipped.abstention.own
        lines = [
            f"as shipped, over its {count(len(self.info.labels), 'label')}: "
            f"{self.shipped.metrics.accuracy:.1%} right",
            self.shipped.describe_calibration(),
        ]
        if own is not None:
            right = "" if own.accuracy is None else f", {own.accuracy:.1%} of these right"
            lines.append(
                f"at its own threshold ({self.info.min_confidence:.3g}): an emotion for "
                f"{own.coverage:.1%} of the clips{right}"
            )
        if self.no_speech:
            lines.append(
                f"{count(len(self.no_speech), 'clip')} without speech, by the speech detector: "
                "scored above, but no emotion from the model as shipped"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``metrics.json``: everything except the predictions."""
        info = self.info
        return {
            "format": METRICS_FORMAT,
            "run": self.title,
            "model": {
                "file": self.model,
                "sha256": self.sha256,
                "name": info.name,
                "labels": list(info.labels),
                "temperature": info.temperature,
                "min_confidence": info.min_confidence,
                "training_corpora": list(info.training_corpora),
                "training_clips": info.training_clips,
                "licence": info.licence,
                "recipe": info.recipe,
            },
            "corpus": {
                "source": self.corpus,
                "overlap": self.overlap.kind,
                "reason": self.overlap.reason,
                "is_unseen": self.overlap.is_unseen,
                "speakers_known": self.speakers_known,
            },
            "labels": list(self.labels),
            **summary_to_dict(self.scored.summary),
            **scores_to_dict(self.scored),
            "shipped": scores_to_dict(self.shipped),
            "no_speech": list(self.no_speech),
            "unusable": [{"clip": u.clip, "reason": u.reason} for u in self.unusable],
            "other_labels": dict(self.other_labels),
            "notes": list(self.notes),
            "versions": describe_machine(),
        }


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
        raise RunError(f"{out} is a training run; name another folder by --out")
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
    protocol = Protocol(f"{info.name} on {corpus}", 1, "", overlap.is_unseen, (fold,))
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
        speaks = not (isinstance(result, Prediction) and result.abstained == "no speech")
        result = result if speaks else undetected.predict(clip.path)
        if not isinstance(result, Prediction):
            predicted.unusable.append(UnusableClip(clip.name, result.error))
        elif result.scores is None:
            reason = f"{clip.path}: found digital silence, or less than 0.1 s; expected speech"
            predicted.unusable.append(UnusableClip(clip.name, reason))
        else:
            predicted.clips.append(clip)
            predicted.probabilities.append([result.scores[label] for label in shipped.info.labels])
            if not speaks:
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


def name_model(model: str) -> str:
    """Return a short name for a model file: that of its run, if it is called ``model.onnx``.

    Examples:
        >>> name_model("runs/encoder-emobox-6/fold-03/model.onnx")
        'encoder-emobox-6-fold-03'
    """
    path = Path(model)
    if path.name != MODEL_NAME:
        return path.stem
    *_, run, folder = ("", *path.resolve().parent.parts)
    return f"{run}-{folder}" if folder.startswith("fold-") else folder


def name_corpus(corpus: str) -> str:
    """Return a short name for a corpus: the name of its file or folder if given by a path."""
    return corpus if corpus in CORPORA else Path(corpus).resolve().stem


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


def find_overlap(info: ModelInfo, clips: Sequence[Clip], corpus: str) -> Overlap:
    """Determine from a model file whether the model may have been trained on a corpus.

    A model file names its training corpora, their number of clips, and a hash of all clip names,
    but not the individual clips.
    """
    trained = f"the model was trained on {info.training_clips:,} clips of " + ", ".join(
        info.training_corpora
    )
    if hash_clip_names([clip.name for clip in clips]) == info.training_clips_sha256:
        return Overlap(
            "training clips",
            f"{trained}: exactly these, so the scores measure how well it remembers them",
        )
    if {clip.corpus for clip in clips} & set(info.training_corpora):
        return Overlap(
            "training corpus",
            f"{trained}, and these clips may be among them: scores on unseen clips would be lower",
        )
    if _RAVDESS & {clip.corpus for clip in clips} and _RAVDESS & set(info.training_corpora):
        return Overlap(
            "training speakers",
            f"{trained}, by the same speakers: scores of unseen speakers would be lower",
        )
    return Overlap(UNSEEN, f"{trained}, and its file names nothing of {corpus}")
