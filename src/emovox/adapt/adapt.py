"""Adapt a model file to a corpus of a few labelled clips: from recordings to a new model file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from emovox.adapt.features import ComputedClips, compute_clips, share_labels
from emovox.adapt.graph import find_head, replace_head
from emovox.adapt.head import (
    AdaptedHead,
    choose_strength,
    cross_validate,
    fit_head,
    fit_temperature,
)
from emovox.corpora.clips import Clip
from emovox.corpora.read import load_listings
from emovox.corpora.registry import list_credits
from emovox.errors import CorpusError
from emovox.evaluation.calibration import fit_min_confidence
from emovox.evaluation.intervals import bootstrap_over_clips, bootstrap_over_speakers
from emovox.evaluation.metrics import FloatArray, IntArray
from emovox.evaluation.outcomes import code_outcomes, score_models
from emovox.evaluation.predictions import Predictions
from emovox.files import replace_file
from emovox.labels import order_labels
from emovox.progress import Watcher
from emovox.recognition.model_file import open_model_bytes
from emovox.recognition.model_info import FORMAT_VERSION, ModelInfo, ProtocolScore, hash_clip_names
from emovox.recognition.named_models import DEFAULT_MODEL, find_model
from emovox.recognition.recognizer import Recognizer

MIN_CLIPS = 5
"""Clips of each label that adaptation needs."""
MIN_SPEAKERS = 5
"""With fewer, the strength is chosen by leaving out clips, not speakers."""
MIN_THRESHOLD_CLIPS = 100
"""With fewer, the base's confidence threshold is kept."""
UA = 1
"""Position of UA among the scores of ``score_models``."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score of left-out clips, in [0, 1] (a difference: [-1, 1]), with its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{100 * self.value:.1f} (95% interval {100 * self.low:.1f} to {100 * self.high:.1f})"
        )


@dataclass(frozen=True, slots=True)
class Adaptation:
    """An adapted model, and how it compares to its base on clips that it was not fitted to.

    Attributes:
        path: The model file.
        info: Its metadata.
        n_clips: Number of clips that it was fitted to.
        n_speakers: Number of their speakers; 0 if unknown.
        by_speaker: Whether scores are of left-out speakers; otherwise of left-out clips.
        base: UAR of the base model, over the labels of the corpus.
        adapted: UAR of adapted heads.
        gain: Their difference, on the same clips.
        unknown_labels: Labels that the base model lacks, which it therefore never predicts.
        unusable: Name of each clip that was left out, and what is wrong with it.
    """

    path: Path
    info: ModelInfo
    n_clips: int
    n_speakers: int
    by_speaker: bool
    base: Score
    adapted: Score
    gain: Score
    unknown_labels: tuple[str, ...]
    unusable: tuple[tuple[str, str], ...]

    @property
    def is_better(self) -> bool:
        """Whether the interval of the gain is above 0."""
        return self.gain.low > 0


def adapt_model(
    corpus: str | Path,
    out: Path,
    *,
    base: str | Path = DEFAULT_MODEL,
    data: Path | None = None,
    jobs: int = 1,
    vad: bool = True,
    watcher: Watcher | None = None,
) -> Adaptation:
    """Fit a head for a corpus and its own labels after a base model, and write a model file.

    The base model itself is not trained: its head's inputs, its hidden layer and its probabilities
    are what the new head reads. Scores are those of heads that saw neither the clip nor its
    speaker; the head that is written is fitted to all clips.

    Args:
        corpus: A known corpus, a list (``.csv``, ``.tsv``, ``.jsonl``), or a folder per class, with
            five clips or more of each label.
        out: The model file to write.
        base: A model file with an encoder, or the name of one.
        data: Folder of the known corpora.
        jobs: Number of clips to process in parallel.
        vad: Run voice-activity detection first, as ``Recognizer`` does.
        watcher: Receives progress updates.

    Returns:
        The scores, and what was written.

    Raises:
        CorpusError: The corpus was not found, or has too few usable clips of a label.
        ModelFileError: The base model is missing, damaged, or has no encoder.
    """
    (listing,) = load_listings(data, [str(corpus)])
    require_clips(str(corpus), listing.clips, "clip")
    recognizer = Recognizer.load(base, vad=vad)
    content = find_model(base).read_bytes()
    proto = onnx.ModelProto.FromString(content)
    tensors = find_head(proto, str(base))
    found = compute_clips(recognizer, proto, tensors, listing.clips, jobs=jobs, watcher=watcher)
    require_clips(str(corpus), found.clips, "usable clip")

    labels = order_labels({clip.emotion for clip in found.clips})
    shared = share_labels(recognizer.info.labels, labels)
    features = found.make_features(shared)
    classes = np.array([labels.index(clip.emotion) for clip in found.clips])
    speakers = number_speakers(found.clips)
    each = np.arange(len(classes))
    n_speakers = 0 if speakers is None else int(speakers.max()) + 1
    left_out = each if speakers is None or n_speakers < 2 else speakers
    logits = cross_validate(features, classes, left_out)
    temperature, _ = fit_temperature(logits, classes)
    groups = each if n_speakers < MIN_SPEAKERS else left_out
    head = fit_head(features, classes, choose_strength(features, classes, groups))
    head = replace(head, temperature=temperature)

    by_speaker = n_speakers > 1
    base_classes = predict_base(found, recognizer.info.labels, labels)
    scores = score_both(
        classes, base_classes, logits.argmax(axis=1), len(labels), left_out if by_speaker else None
    )
    info = describe_adapted(
        recognizer.info, found.clips, labels, head, logits, classes, scores[1], by_speaker
    )
    written = replace_head(proto, tensors, head, shared, recognizer.info, info)
    open_model_bytes(written, out)
    with replace_file(out) as part:
        part.write_bytes(written)
    return Adaptation(
        path=out,
        info=info,
        n_clips=len(classes),
        n_speakers=n_speakers,
        by_speaker=by_speaker,
        base=scores[0],
        adapted=scores[1],
        gain=scores[2],
        unknown_labels=tuple(label for label in labels if label not in recognizer.info.labels),
        unusable=tuple(found.unusable),
    )


def require_clips(corpus: str, clips: Sequence[Clip], what: str) -> None:
    """Refuse a corpus with one label, or with too few clips of one."""
    counts = Counter(clip.emotion for clip in clips)
    few = {label: n for label, n in counts.items() if n < MIN_CLIPS}
    if len(counts) < 2 or few:
        found = ", ".join(f"{n} {label}" for label, n in sorted((few or counts).items()))
        raise CorpusError(
            f"{corpus}: found {found or 'no'} {what}s; expected {MIN_CLIPS} or more of each of two "
            "labels or more: label more clips, or leave the label out"
        )


def number_speakers(clips: Sequence[Clip]) -> IntArray | None:
    """Return a number for each clip's speaker; ``None`` if some are unknown."""
    if not all(clip.has_speaker for clip in clips):
        return None
    _, numbers = np.unique([clip.speaker for clip in clips], return_inverse=True)
    return np.asarray(numbers, np.int64)


def predict_base(found: ComputedClips, base: Sequence[str], labels: Sequence[str]) -> IntArray:
    """Return the class of the base model's most probable label among those of the corpus."""
    own = [label for label in labels if label in base]
    if not own:
        return np.full(len(found.clips), -1)
    best = found.probabilities[:, [base.index(label) for label in own]].argmax(axis=1)
    classes: IntArray = np.array([labels.index(label) for label in own])[best]
    return classes


def score_both(
    classes: IntArray,
    base: IntArray,
    adapted: IntArray,
    n_classes: int,
    speakers: IntArray | None,
) -> tuple[Score, Score, Score]:
    """Score base and adapted head on the same clips, and their difference, with intervals.

    Args:
        classes: int64 ``(clips,)``.
        base: Classes that the base predicts; -1: none of the labels.
        adapted: Classes that adapted heads predict.
        n_classes: Number of labels.
        speakers: Number of each clip's speaker; ``None``: intervals are over clips.
    """
    # A base without a label that it could predict is never right.
    outcomes = code_outcomes(classes, np.where(base < 0, (classes + 1) % n_classes, base), adapted)
    score = score_models(outcomes, n_classes)

    def measure(counts: IntArray) -> FloatArray:
        uar = score(counts)[:, UA]  # (models, draws)
        return np.stack([*uar, uar[1] - uar[0]])

    values = measure(outcomes.counts[np.newaxis])[:, 0]
    generator = np.random.default_rng(0)
    if speakers is None:
        intervals = bootstrap_over_clips(outcomes.index, measure, generator)
    else:
        intervals = bootstrap_over_speakers(
            outcomes.index, speakers.astype(np.str_), measure, generator
        )
    first, second, third = (
        Score(float(value), interval.low, interval.high)
        for value, interval in zip(values, intervals, strict=True)
    )
    return first, second, third


def describe_adapted(
    base: ModelInfo,
    clips: Sequence[Clip],
    labels: tuple[str, ...],
    head: AdaptedHead,
    logits: FloatArray,
    classes: IntArray,
    score: Score,
    by_speaker: bool,
) -> ModelInfo:
    """Return the metadata of an adapted model: the base's ledger, and the corpus."""
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / head.temperature)
    predictions = Predictions(
        np.array([clip.name for clip in clips]),
        np.array(["left-out"] * len(clips)),
        np.array([clip.speaker for clip in clips]),
        np.array([""] * len(clips)),
        classes,
        powers / powers.sum(axis=1, keepdims=True),
        labels,
    )
    corpora = sorted({clip.corpus for clip in clips} - set(base.training_corpora))
    speakers = {clip.speaker for clip in clips}
    names = [base.training_clips_sha256, *(clip.name for clip in clips)]
    return replace(
        base,
        format_version=FORMAT_VERSION,
        name=f"{base.name}-adapted",
        labels=labels,
        temperature=head.temperature,
        min_confidence=(
            fit_min_confidence(predictions)
            if len(clips) >= MIN_THRESHOLD_CLIPS
            else base.min_confidence
        ),
        training_corpora=(*base.training_corpora, *corpora),
        training_clips=base.training_clips + len(clips),
        training_clips_sha256=hash_clip_names(names),
        training_speakers=tuple(sorted({*base.training_speakers, *speakers})),
        corpora=(*base.corpora, *list_credits(corpora)),
        licence=f"{base.licence}. Adapted to recordings of {', '.join(corpora) or 'its corpora'}",
        scores=(
            ProtocolScore(
                name="UA",
                value=score.value,
                low=max(0.0, score.low),
                high=min(1.0, score.high),
                protocol="adapted, left out v1",
                speaker_independent=by_speaker,
                n_seeds=1,
                n_clips=len(clips),
                n_speakers=len(speakers),
            ),
        ),
    )
