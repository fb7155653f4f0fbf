"""What a model file says about itself: its metadata, read strictly."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.errors import ModelFileError
from emovox.recognition.seal import SEAL_KEY
from emovox.wording import count, name_speaker_rule

FORMAT_VERSION = 4
OLDEST_VERSION = 3
"""Files of this version, without the entries that came later, are still read."""
METADATA_PREFIX = "emovox."
RESTRICTED = re.compile(r"non-?commercial|\bNC\b|research|not stated", re.IGNORECASE)
"""Words of licences that do not allow every use."""
TEXTS = ("name", "recipe", "licence", "encoder_training", "encoder_licence")
"""Metadata entries that are plain text."""


@dataclass(frozen=True, slots=True)
class ProtocolScore:
    """A score of the model's recipe, with the test conditions needed to interpret it.

    Attributes:
        name: ``"WA"`` (accuracy), ``"UA"`` (mean recall over classes) or ``"F1"`` (macro F1).
        value: In [0, 1].
        low: Lower end of the 95% interval.
        high: Upper end of the 95% interval.
        protocol: Name and version, e.g. ``"reference-repeated v1"``.
        speaker_independent: Whether no test speaker was used for training.
        n_seeds: Number of trainings, each with a different seed.
        n_clips: Number of test clips.
        n_speakers: Number of test speakers.
    """

    name: str
    value: float
    low: float
    high: float
    protocol: str
    speaker_independent: bool
    n_seeds: int
    n_clips: int
    n_speakers: int

    def __str__(self) -> str:
        return (
            f"{self.name} {100 * self.value:.1f} (95% interval {100 * self.low:.1f} to "
            f"{100 * self.high:.1f}), {self.protocol}, "
            f"{name_speaker_rule(self.speaker_independent)}, {count(self.n_seeds, 'seed')}, "
            f"{count(self.n_clips, 'clip')} of {count(self.n_speakers, 'speaker')}"
        )


@dataclass(frozen=True, slots=True)
class CorpusCredit:
    """A training corpus, and what its licence asks for.

    Attributes:
        name: Name of the corpus, as in ``ModelInfo.training_corpora``.
        licence: Its licence.
        credit: Whom to credit, and how.
        url: Where it is published; empty if unknown.
    """

    name: str
    licence: str
    credit: str
    url: str


@dataclass(frozen=True, slots=True)
class ReferencePrior:
    """How much the reference of a speaker counts, depending on what it was made from.

    A reference of ``n`` recordings counts ``n / (n + prior)``, times a factor: the less is known of
    a speaker, the less is taken off.

    Attributes:
        neutral_prior: Number of recordings at which an enrolled voice counts half.
        unlabelled_prior: Number of recordings at which a voice estimated from a set counts half.
        neutral_weight: Weight of an enrolled voice of very many recordings, in [0, 1].
        unlabelled_weight: Weight of a set of very many recordings that are diverse, in [0, 1].
        one_sided_weight: Weight of a set of very many recordings that are all alike, in [0, 1].
        low_spread: Spread up to which the recordings of a set count as alike.
        high_spread: Spread from which they count as diverse; weights in between are interpolated.
        labels_prior: Number of recordings at which the model's predictions of them, without a
            voice, count half.
        neutral_known: How far an enrolled voice counts as known to be neutral, in [0, 1].
    """

    neutral_prior: float = 1.0
    unlabelled_prior: float = 1.0
    neutral_weight: float = 1.0
    unlabelled_weight: float = 1.0
    one_sided_weight: float = 1.0
    low_spread: float = 0.0
    high_spread: float = 1.0
    labels_prior: float = 10.0
    neutral_known: float = 0.6

    def share_labels(
        self, kind: str, labels: Sequence[str], probabilities: npt.NDArray[np.float64]
    ) -> tuple[float, ...]:
        """Return what is known of the labels of the recordings of a reference.

        Args:
            kind: As in ``weigh``.
            labels: The model's labels.
            probabilities: The model's, for each recording without a voice, float64 ``(recordings,
                classes)``.

        Returns:
            The share of each label; they sum to less than 1 where little is known.

        Examples:
            >>> prior = ReferencePrior(labels_prior=1.0, neutral_known=0.5)
            >>> prior.share_labels("neutral", ("neutral", "happy"), np.array([[0.25, 0.75]]))
            (0.5, 0.0)
            >>> prior.share_labels("unlabelled", ("neutral", "happy"), np.array([[0.25, 0.75]]))
            (0.125, 0.375)
        """
        if kind == "neutral":
            return tuple(self.neutral_known * (label == "neutral") for label in labels)
        known = len(probabilities) / (len(probabilities) + self.labels_prior)
        return tuple(round(float(share), 9) for share in known * probabilities.mean(0))

    def weigh(self, kind: str, n_recordings: int, spread: float) -> float:
        """Return how much a reference counts, in [0, 1].

        Args:
            kind: ``"neutral"`` or ``"unlabelled"``, as in ``Voice``.
            n_recordings: Number of recordings that it averages.
            spread: How much the recordings differ, as in ``Voice``.

        Examples:
            >>> ReferencePrior(neutral_prior=3, neutral_weight=0.8).weigh("neutral", 9, 0.0)
            0.6
        """
        if kind == "neutral":
            return round(
                self.neutral_weight * n_recordings / (n_recordings + self.neutral_prior), 9
            )
        share = (spread - self.low_spread) / (self.high_spread - self.low_spread)
        share = min(1.0, max(0.0, share))
        weight = self.one_sided_weight + share * (self.unlabelled_weight - self.one_sided_weight)
        return round(weight * n_recordings / (n_recordings + self.unlabelled_prior), 9)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Metadata of a model file.

    Attributes:
        name: Name of the recipe that the model was trained with.
        labels: Emotions, in the order of the probabilities.
        sample_rate_hz: Sampling rate of the input waveform.
        temperature: Divisor of the logits; 1 means not calibrated.
        min_confidence: Confidence threshold: a prediction below it is "uncertain"; 0 means never.
        training_corpora: Names of the training corpora.
        training_clips: Number of training clips.
        training_clips_sha256: SHA-256 of the names of the training clips, sorted, one per line.
        scores: Scores of the recipe; empty if it was never tested.
        recipe: The recipe as TOML.
        licence: Licence terms of the model.
        format_version: Version of the metadata format.
        training_speakers: Speakers whose clips the head was trained, stopped or calibrated on, as
            ``Clip.speaker``, sorted; empty in files written before this entry.
        encoder_training: A sentence on what the encoder before the head was trained on; empty in
            files written before this entry.
        encoder_licence: Licence of the encoder's weights; empty without an encoder, and in files
            written before this entry.
        corpora: Licence and credit of each training corpus; empty in files written before this
            entry.
        reference: How much the reference of a speaker counts; ``None`` if the model takes none.
    """

    name: str
    labels: tuple[str, ...]
    sample_rate_hz: int
    temperature: float
    min_confidence: float
    training_corpora: tuple[str, ...]
    training_clips: int
    training_clips_sha256: str
    scores: tuple[ProtocolScore, ...]
    recipe: str
    licence: str
    format_version: int = FORMAT_VERSION
    training_speakers: tuple[str, ...] = ()
    encoder_training: str = ""
    encoder_licence: str = ""
    corpora: tuple[CorpusCredit, ...] = ()
    reference: ReferencePrior | None = None

    @property
    def is_non_commercial(self) -> bool:
        """Whether the licence, or that of a training corpus, restricts what the model is used for.

        It does if it names non-commercial use or research; see the "Licences" page.
        """
        terms = [self.licence, self.encoder_licence, *(corpus.licence for corpus in self.corpora)]
        return any(RESTRICTED.search(term) is not None for term in terms)

    def to_metadata(self) -> dict[str, str]:
        """Return the fields as ONNX metadata: values in JSON, keys prefixed with ``emovox.``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["scores"] = [asdict(score) for score in self.scores]
        values["corpora"] = [asdict(corpus) for corpus in self.corpora]
        values["reference"] = None if self.reference is None else asdict(self.reference)
        return {METADATA_PREFIX + key: json.dumps(value) for key, value in values.items()}


def read_info(path: Path, metadata: dict[str, str]) -> ModelInfo:
    """Read and validate the metadata of a model file."""
    found = {
        k.removeprefix(METADATA_PREFIX): v
        for k, v in metadata.items()
        if k.startswith(METADATA_PREFIX) and k != SEAL_KEY
    }
    if not found:
        raise ModelFileError(
            "an ONNX file without emovox metadata; expected one written by 'emovox train'",
            code="model.foreign",
            source=str(path),
        )
    try:
        values: dict[str, Any] = {key: json.loads(value) for key, value in found.items()}
        version = values["format_version"]
        if version not in (OLDEST_VERSION, FORMAT_VERSION) or type(version) is not int:
            raise ModelFileError(
                f"model file format {version}; this emovox reads {OLDEST_VERSION} and "
                f"{FORMAT_VERSION}: install the emovox that wrote it, or train it again",
                code="model.version",
                source=str(path),
            )
        check_keys("metadata", set(values), ModelInfo, whole=version == FORMAT_VERSION)
        info = ModelInfo(
            **{
                **values,
                "labels": read_texts("labels", values["labels"]),
                "training_corpora": read_texts("training_corpora", values["training_corpora"]),
                "training_speakers": read_texts(
                    "training_speakers", values.get("training_speakers", [])
                ),
                "scores": tuple(read_score(score) for score in values["scores"]),
                "corpora": tuple(read_credit(entry) for entry in values.get("corpora", [])),
                "reference": read_prior(values.get("reference")),
            }
        )
        check_info(info)
    except KeyError as error:
        raise ModelFileError(
            f"the metadata entry {error} is missing", code="model.damaged", source=str(path)
        ) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"malformed metadata: {error}", code="model.damaged", source=str(path)
        ) from None
    return info


def check_keys(where: str, found: set[str], model: type, *, whole: bool = True) -> None:
    """Raise ValueError unless the keys are a dataclass's fields, or not whole, those it needs."""
    known = {f.name for f in fields(model)}
    needed = {f.name for f in fields(model) if whole or f.default is MISSING}
    for what, keys in (("lacks", needed - found), ("has the unknown", found - known)):
        if keys:
            raise ValueError(f"{where} {what} {', '.join(sorted(keys))}")


def read_texts(key: str, value: Any) -> tuple[str, ...]:
    """Return a list of strings as a tuple; raise ValueError for anything else."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{key} is {value!r}, expected a list of strings")
    return tuple(value)


def read_score(entry: Any) -> ProtocolScore:
    """Read one score; raise ValueError if it is malformed."""
    if not isinstance(entry, dict):
        raise ValueError(f"a score is {entry!r}, expected its entries by name")
    check_keys("a score", set(entry), ProtocolScore)
    score = ProtocolScore(**entry)
    rules = {
        **{key: isinstance(getattr(score, key), str) for key in ("name", "protocol")},
        **{key: is_number(getattr(score, key), 0, 1) for key in ("value", "low", "high")},
        **{key: is_count(getattr(score, key)) for key in ("n_seeds", "n_clips", "n_speakers")},
        "speaker_independent": isinstance(score.speaker_independent, bool),
    }
    raise_broken_rules("a score's ", score, rules)
    return score


def read_credit(entry: Any) -> CorpusCredit:
    """Read the licence and credit of a corpus; raise ValueError if they are malformed."""
    if not isinstance(entry, dict):
        raise ValueError(f"a corpus is {entry!r}, expected its entries by name")
    check_keys("a corpus", set(entry), CorpusCredit)
    credit = CorpusCredit(**entry)
    raise_broken_rules("a corpus' ", credit, {key: isinstance(entry[key], str) for key in entry})
    return credit


def read_prior(entry: Any) -> ReferencePrior | None:
    """Read how much a reference counts; raise ValueError if it is malformed."""
    if entry is None:
        return None
    if not isinstance(entry, dict):
        raise ValueError(f"reference is {entry!r}, expected its entries by name")
    check_keys("reference", set(entry), ReferencePrior)
    prior = ReferencePrior(**entry)
    rules = {
        **{key: is_number(entry[key], 0, 1e6) for key in entry if not key.endswith("_weight")},
        **{key: is_number(entry[key], 0, 1) for key in entry if key.endswith("_weight")},
        "high_spread": is_number(prior.high_spread, 0, 1e6)
        and prior.low_spread < prior.high_spread,
    }
    raise_broken_rules("reference's ", prior, rules)
    return prior


def check_info(info: ModelInfo) -> None:
    """Check the types and ranges of metadata; ValueError names the entry."""
    rules = {
        **{key: isinstance(getattr(info, key), str) for key in TEXTS},
        "labels": len(info.labels) > 1 and len(set(info.labels)) == len(info.labels),
        "sample_rate_hz": is_count(info.sample_rate_hz) and 1_000 <= info.sample_rate_hz <= 384_000,
        "temperature": is_number(info.temperature, 1e-6, 1e6),
        "min_confidence": is_number(info.min_confidence, 0, 1),
        "training_clips": is_count(info.training_clips),
        "training_clips_sha256": isinstance(info.training_clips_sha256, str)
        and re.fullmatch("[0-9a-f]{64}", info.training_clips_sha256) is not None,
    }
    raise_broken_rules("", info, rules)


def is_count(value: Any) -> bool:
    """Return whether a value is a non-negative integer; booleans do not count."""
    return type(value) is int and value >= 0


def is_number(value: Any, low: float, high: float) -> bool:
    """Return whether a value is a finite number from ``low`` to ``high``."""
    return type(value) in (int, float) and math.isfinite(value) and low <= value <= high


def raise_broken_rules(prefix: str, holder: object, rules: dict[str, bool]) -> None:
    """Raise ValueError for the first entry that breaks its rule."""
    for key, holds in rules.items():
        if not holds:
            raise ValueError(f"{prefix}{key} is {getattr(holder, key)!r}")


def hash_clip_names(names: list[str]) -> str:
    """Return the SHA-256 of clip names, sorted, one per line: identifies a training set."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
