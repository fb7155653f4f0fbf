"""Any model file scored on labelled recordings: a known corpus, a list, or a folder per class.

corpus -> clips -> Recognizer (as shipped) -> scores over the labels that both have
                                           -> calibration and abstention over the model's own
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
"""Recorded by the same actors."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Whether a model may have been trained on what it is scored on.

    Attributes:
        kind: ``"unseen corpus"``, ``"training speakers"``, ``"training corpus"`` or ``"training
            clips"``; stands beside every score.
        reason: How that is known, and what follows.
    """

    kind: str
    reason: str

    @property
    def is_unseen(self) -> bool:
        """Whether the model file names no training data that these clips could be part of."""
        return self.kind == UNSEEN


@dataclass(frozen=True, slots=True)
class UnusableClip:
    """A clip without a prediction.

    Attributes:
        clip: Its name.
        reason: What was found, what was expected, what to do.
    """

    clip: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ModelEvaluation:
    """How well a model file does on labelled recordings.

    Attributes:
        model: As the caller named it: a path, or ``"default"``.
        sha256: Of the model file.
        info: What the model file says about itself.
        corpus: As the caller named it.
        overlap: Whether the model may have been trained on these clips.
        predictions: Over all labels of the model, as it gives them.
        scored: WA, UA, F1 and the like over the labels that model and corpus share: the most
            probable of these counts, as in the protocols across corpora.
        shipped: The model as users get it, over all its labels: its calibration, and its
            abstention at its own threshold; clips without speech get no emotion.
        speakers_known: Whether the corpus says who speaks; without it clips are resampled.
        no_speech: Clips in which the detector hears nobody; scored all the same.
        unusable: Clips that could not be decoded, or hold nothing.
        other_labels: Labels of the corpus that the model lacks, with their clips.
        notes: What of the corpus' recordings is not listed, and why.
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
        """The model and the corpus, for people."""
        return f"{name_model(self.model)} on {name_corpus(self.corpus)}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that model and corpus share."""
        return self.scored.protocol.folds[0].labels

    def describe(self) -> list[str]:
        """Return a printable line each for WA, UA and F1, with all that a score must carry."""
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
        """Return a printable line on each kind of clip that is not scored."""
        lines = list(self.notes)
        if self.other_labels:
            labels = ", ".join(f"{label} ({n:,})" for label, n in self.other_labels)
            total = count(sum(n for _, n in self.other_labels), "clip")
            lines.append(f"{total} not scored, whose label the model lacks: {labels}")
        if self.unusable:
            lines.append(f"{count(len(self.unusable), 'clip')} not scored that cannot be used")
        return lines

    def describe_shipped(self) -> list[str]:
        """Return printable lines on the model as users get it: over all its labels."""
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
        """Return everything but the predictions as JSON-ready types: ``metrics.json``."""
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

    Clips with a label that the model lacks are counted and left out, as are clips that cannot be
    used. WA, UA and F1 are over the labels that both have, the model's probabilities restricted to
    these, so that a small label set of the corpus is not held against the model. Calibration and
    abstention are those of the model as shipped: all its labels, its own threshold, and no emotion
    where the detector hears nobody.

    Args:
        model: A ``model.onnx``, or ``"default"``: the one that comes with the package.
        corpus: A known corpus, a list (``.csv``, ``.tsv``, ``.jsonl``), or a folder per class.
        out: Where ``predictions.csv``, ``metrics.json`` and ``report.html`` are written; ``None``:
            nothing is.
        data: Where known corpora lie; ``None``: the usual places.
        jobs: Clips at the same time.
        vad: Ask the speech detector whether anybody speaks, as ``Recognizer`` does.
        watcher: Hears of the progress.

    Returns:
        The scores, with intervals over speakers; over clips where the corpus does not say who
        speaks.

    Raises:
        CorpusError: The corpus is not here, it has fewer than two of the model's labels, or none of
            its clips can be used.
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
    heard = hear_clips(path, clips, jobs, vad, watcher)
    if not heard.clips:
        raise CorpusError(
            f"{corpus}: none of {count(len(clips), 'clip')} can be used; the first: "
            f"{heard.unusable[0].reason}"
        )
    clips = heard.clips
    shared = share_labels(corpus, clips, info)
    predictions = Predictions(
        np.array([clip.name for clip in clips]),
        np.array([_FOLD] * len(clips)),
        np.array([clip.speaker for clip in clips]),
        np.array([clip.gender or "" for clip in clips]),
        np.array([info.labels.index(clip.emotion) for clip in clips]),
        np.array(heard.probabilities),
        info.labels,
    )
    overlap = find_overlap(info, listing.clips, corpus)
    speakers_known = not any(clip.speaker == f"{clip.corpus}-unknown" for clip in clips)
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
    own = answer_as_shipped(predictions, info.min_confidence, heard.no_speech)
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
        no_speech=tuple(heard.no_speech),
        unusable=tuple(heard.unusable),
        other_labels=tuple(sorted(others.items())),
        notes=tuple(listing.describe_unused()),
    )
    if out is not None:
        write_evaluation(out, evaluation, clips)
    return evaluation


@dataclass(frozen=True, slots=True)
class HeardClips:
    """Clips with the model's probabilities, beside those that have none."""

    clips: list[Clip]
    probabilities: list[list[float]]
    no_speech: list[str]
    unusable: list[UnusableClip]


def hear_clips(
    model: Path, clips: Sequence[Clip], jobs: int, vad: bool, watcher: Watcher
) -> HeardClips:
    """Predict clips as users do; where nobody is heard speaking, ask the model all the same."""
    shipped = Recognizer.load(model, vad=vad)
    undetected = Recognizer.load(model, vad=False)
    heard = HeardClips([], [], [], [])
    watcher.start_clips("clips", len(clips))
    results = shipped.predict_files([clip.path for clip in clips], jobs=jobs)
    for clip, result in zip(clips, results, strict=True):
        speaks = not (isinstance(result, Prediction) and result.abstained == "no speech")
        result = result if speaks else undetected.predict(clip.path)
        if not isinstance(result, Prediction):
            heard.unusable.append(UnusableClip(clip.name, result.error))
        elif result.scores is None:
            reason = f"{clip.path}: found digital silence, or less than 0.1 s; expected speech"
            heard.unusable.append(UnusableClip(clip.name, reason))
        else:
            heard.clips.append(clip)
            heard.probabilities.append([result.scores[label] for label in shipped.info.labels])
            if not speaks:
                heard.no_speech.append(clip.name)
        watcher.end_clip()
    return heard


def write_evaluation(out: Path, evaluation: ModelEvaluation, clips: Sequence[Clip]) -> None:
    """Write ``predictions.csv``, ``metrics.json`` and ``report.html``."""
    # Importing matplotlib takes a second: only when there is something to draw.
    from emovox.report.page import write_report

    write_predictions(out / PREDICTIONS_NAME, evaluation.predictions)
    write_text(out / METRICS_NAME, json.dumps(evaluation.to_dict(), indent=1) + "\n")
    write_report(out, {clip.name: clip for clip in clips})


def name_model(model: str) -> str:
    """Return a short name for a model file: its run's, where it is called ``model.onnx``.

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
    """Return a short name for a corpus: that of its file or folder where it is given by a path."""
    return corpus if corpus in CORPORA else Path(corpus).resolve().stem


def name_evaluation_folder(model: str, corpus: str) -> Path:
    """Return the folder of an evaluation where the user names none."""
    return Path("runs") / name_folder(f"evaluate-{name_model(model)}-{name_corpus(corpus)}")


def share_labels(corpus: str, clips: Sequence[Clip], info: ModelInfo) -> tuple[str, ...]:
    """Return the labels that some clip has and the model knows, in the model's order.

    Raises:
        CorpusError: There are fewer than two, so that nothing can be told apart.
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
    """Say whether a model may have been trained on a corpus, from what its file tells.

    A model file tells the corpora that it was trained on, how many clips, and the hash of all
    their names; not which ones.
    """
    trained = f"the model was trained on {info.training_clips:,} clips of " + ", ".join(
        info.training_corpora
    )
    if hash_clip_names([clip.name for clip in clips]) == info.training_clips_sha256:
        return Overlap(
            "training clips",
            f"{trained}: exactly these, so the scores say how well it remembers them",
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
