"""What scoring a model file on labelled recordings found, and whether it was trained on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emovox.corpora.clips import UNKNOWN_SPEAKER, Clip
from emovox.corpora.registry import CORPORA, identify_speaker
from emovox.evaluation.evaluate import Evaluation
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import format_score
from emovox.recognition.model_file import (
    ModelInfo,
    hash_clip_names,
)
from emovox.runs.folder import MODEL_NAME
from emovox.runs.metrics import METRICS_FORMAT, describe_machine, scores_to_dict, summary_to_dict
from emovox.wording import count

UNSEEN = "unseen corpus"
UNSEEN_SPEAKERS = "seen corpus, unseen speakers"

_RAVDESS = {"ravdess", "ravdess-song"}
"""Corpora recorded by the same actors."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Possible overlap of a model's training data with the test clips.

    Attributes:
        kind: ``"unseen corpus"``, with ``", seen speakers"`` if speaker names are equal; ``"seen
            corpus"``, with ``", seen speakers"`` or ``", unseen speakers"`` if the model file names
            them; or ``"training clips"``. Printed with every score.
        reason: How the overlap is known, and its effect on the scores.
    """

    kind: str
    reason: str

    @property
    def is_unseen(self) -> bool:
        """Whether the training data named in the model file does not include these clips."""
        return self.kind == UNSEEN

    @property
    def is_speaker_independent(self) -> bool:
        """Whether no test speaker is among the training speakers, as far as the file says."""
        return self.kind in (UNSEEN, UNSEEN_SPEAKERS)


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
            at its own threshold; clips without enough speech get no emotion.
        speakers_known: Whether the corpus names the speakers; otherwise clips are resampled.
        no_speech: Clips in which no speech was detected, or too little to answer; they count in
            ``scored``.
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
                f"{count(len(self.no_speech), 'clip')} without speech, by the speech detector, or "
                "with too little: scored above, but no emotion from the model as shipped"
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
                "training_speakers": list(info.training_speakers),
                "encoder_training": info.encoder_training,
                "licence": info.licence,
                "recipe": info.recipe,
            },
            "corpus": {
                "source": self.corpus,
                "overlap": self.overlap.kind,
                "reason": self.overlap.reason,
                "is_unseen": self.overlap.is_unseen,
                "speaker_independent": self.overlap.is_speaker_independent,
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


def find_overlap(info: ModelInfo, clips: Sequence[Clip], corpus: str) -> Overlap:
    """Determine from a model file whether the model may have been trained on a corpus.

    A model file names its training corpora and speakers, the number of its clips, and a hash of
    their names, but not the individual clips. Files of earlier versions name no speakers.
    """
    trained = f"the model was trained on {info.training_clips:,} clips of " + ", ".join(
        info.training_corpora
    )
    if hash_clip_names([clip.name for clip in clips]) == info.training_clips_sha256:
        return Overlap(
            "training clips",
            f"{trained}: exactly these, so the scores measure how well it remembers them",
        )
    corpora = {clip.corpus for clip in clips}
    is_seen = bool(corpora & set(info.training_corpora))
    kind = "seen corpus" if is_seen else UNSEEN
    shared = find_shared_speakers(info, clips)
    if shared:
        speakers = {clip.speaker for clip in clips}
        names = f"{len(shared)} of the {count(len(speakers), 'speaker')} tested"
        return Overlap(
            f"{kind}, seen speakers",
            f"{trained}, and {names} are in training, by their names: the score is not "
            "speaker-independent, and that of unseen speakers would be lower",
        )
    named = bool(info.training_speakers) and not any(
        speaker.endswith(f"-{UNKNOWN_SPEAKER}") for speaker in info.training_speakers
    )
    if is_seen and named and all(clip.has_speaker for clip in clips):
        return Overlap(
            UNSEEN_SPEAKERS,
            f"{trained}, but on none of the speakers tested: speaker-independent, yet of a corpus "
            "whose recordings it knows; scores on an unseen corpus would be lower",
        )
    if is_seen:
        return Overlap(
            kind,
            f"{trained}, and these clips may be among them: scores on unseen clips would be lower",
        )
    if _RAVDESS & corpora and _RAVDESS & set(info.training_corpora) and not info.training_speakers:
        return Overlap(
            f"{kind}, seen speakers",
            f"{trained}, by the same speakers: scores of unseen speakers would be lower",
        )
    return Overlap(UNSEEN, f"{trained}; its file lists neither {corpus} nor any of its speakers")


def find_shared_speakers(info: ModelInfo, clips: Sequence[Clip]) -> set[str]:
    """Return the speakers of clips whom the model file names as training speakers.

    In lists of the user's own, a speaker is the same person under the same name after each list's
    prefix, as in ``identify_speaker``.
    """
    lists = [name for name in info.training_corpora if name not in CORPORA]
    trained = set(info.training_speakers)
    for speaker in info.training_speakers:
        trained |= {
            identify_speaker(Clip("", Path(), name, "", speaker))
            for name in lists
            if speaker.startswith(f"{name}-")
        }
    return {c.speaker for c in clips if c.has_speaker and identify_speaker(c) in trained}
