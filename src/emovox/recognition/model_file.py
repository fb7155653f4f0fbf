"""Model files: ONNX networks from waveform to probabilities, described by their metadata."""

import hashlib
import json
import logging
import math
import os
import re
import stat
from dataclasses import MISSING, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import onnxruntime as ort

from emovox.errors import ModelFileError
from emovox.recognition.seal import SEAL_KEY, is_whole
from emovox.recognition.session import open_session
from emovox.wording import count, name_speaker_rule

_log = logging.getLogger(__name__)

FORMAT_VERSION = 3
INPUT_NAME = "waveform"
OUTPUT_NAME = "probabilities"
MAX_MODEL_BYTES = 2**31 - 1
"""Maximum size of an ONNX file (a limit of Protocol Buffers)."""
METADATA_PREFIX = "emovox."
TEXTS = ("name", "recipe", "licence", "encoder_training")
"""Metadata entries that are plain text."""
DEFAULT_MODEL = "default"
"""Command-line name of the bundled model."""


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

    def to_metadata(self) -> dict[str, str]:
        """Return the fields as ONNX metadata: values in JSON, keys prefixed with ``emovox.``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["scores"] = [{f.name: getattr(s, f.name) for f in fields(s)} for s in self.scores]
        return {METADATA_PREFIX + key: json.dumps(value) for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An open model file; a pickled or copied one is reopened from its path.

    Attributes:
        session: ONNX Runtime session of the network.
        info: Metadata of the file.
        path: Absolute path of the file.
        threads: CPU threads per prediction.
    """

    session: ort.InferenceSession
    info: ModelInfo
    path: Path
    threads: int = 1

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot be pickled or copied.
        return reopen_model, (self.path, self.threads, self.info)


def check_size(path: Path, status: os.stat_result) -> None:
    """Refuse a device, a pipe, or a file that is too large."""
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(
            "a device or a pipe; expected a model.onnx on a disk",
            code="model.unreadable",
            source=str(path),
        )
    if status.st_size > MAX_MODEL_BYTES:
        raise ModelFileError(
            f"{status.st_size:,} bytes; expected a model file of at most {MAX_MODEL_BYTES:,}",
            code="model.too_large",
            source=str(path),
        )


def find_default_model() -> Path:
    """Return the path of the bundled model."""
    return Path(str(resources.files("emovox") / "assets" / "default.onnx"))


def find_model(name: str) -> Path:
    """Return the path of a model named on the command line: a file, or ``default``."""
    return find_default_model() if name == DEFAULT_MODEL else Path(name)


def open_model(path: str | Path, *, threads: int = 1) -> ModelFile:
    """Open and validate a model file.

    Args:
        path: The ``.onnx`` file.
        threads: CPU threads per prediction.

    Returns:
        The session and the metadata.

    Raises:
        ModelFileError: The file is missing, not ONNX, of another format version, or no longer as it
            was written, or its metadata are incomplete or do not match the network.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            # Check before reading: a device such as /dev/zero never ends.
            check_size(path, os.fstat(file.fileno()))
            content = file.read()
    except OSError as error:
        raise ModelFileError(
            f"cannot be read ({error.strerror}); expected a model.onnx written by emovox",
            code="model.unreadable",
            source=str(path),
        ) from None
    return open_model_bytes(content, path, threads=threads)


def open_model_bytes(content: bytes, path: Path, *, threads: int = 1) -> ModelFile:
    """Open and validate the content of a model file.

    Args:
        content: Bytes of the ``.onnx`` file.
        path: Path to show in error messages; it need not exist.
        threads: CPU threads per prediction.

    Returns:
        The session and the metadata.

    Raises:
        ModelFileError: As in ``open_model``.
    """
    whole = is_whole(content)
    if not whole and SEAL_KEY.encode() in content:
        # Not opened: damaged sizes could fill the memory.
        raise describe_damage(path)
    try:
        session = open_session(content, threads=threads)
        metadata = dict(session.get_modelmeta().custom_metadata_map)
    except Exception as error:  # onnxruntime's errors share no base class
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise ModelFileError(
            f"not a usable ONNX model ({reason})", code="model.damaged", source=str(path)
        ) from None
    info = read_info(path, metadata)
    if not whole:
        raise describe_damage(path)
    check_network(path, session, info)
    _log.info("%s: model %r opened, %d emotions", path, info.name, len(info.labels))
    return ModelFile(session, info, path.absolute(), threads)


def describe_damage(path: Path) -> ModelFileError:
    """Return the error for a file whose content differs from its SHA-256."""
    return ModelFileError(
        "the content does not match its SHA-256, so the file is damaged or was changed by another "
        "program; copy it again, or train it again",
        code="model.damaged",
        source=str(path),
    )


def reopen_model(path: Path, threads: int, info: ModelInfo) -> ModelFile:
    """Reopen a pickled or copied model file, and check that its metadata are unchanged."""
    model = open_model(path, threads=threads)
    if model.info != info:
        raise ModelFileError(
            f"holds another model than the {info.name!r} that was opened before; load it again",
            code="model.changed",
            source=str(path),
        )
    return model


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
        if version != FORMAT_VERSION:
            raise ModelFileError(
                f"model file format {version}; this emovox reads {FORMAT_VERSION}: "
                "install the emovox that wrote it, or train it again",
                code="model.version",
                source=str(path),
            )
        check_keys("metadata", set(values), ModelInfo)
        info = ModelInfo(
            **{
                **values,
                "labels": read_texts("labels", values["labels"]),
                "training_corpora": read_texts("training_corpora", values["training_corpora"]),
                "training_speakers": read_texts(
                    "training_speakers", values.get("training_speakers", [])
                ),
                "scores": tuple(read_score(score) for score in values["scores"]),
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


def check_keys(where: str, found: set[str], model: type) -> None:
    """Raise ValueError unless the keys are the fields of a dataclass, with or without defaults."""
    known = {f.name for f in fields(model)}
    needed = {f.name for f in fields(model) if f.default is MISSING}
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


def check_network(path: Path, session: ort.InferenceSession, info: ModelInfo) -> None:
    """Check that the network's inputs, outputs and number of classes match the metadata."""
    try:
        inputs = [(i.name, i.type, len(i.shape)) for i in session.get_inputs()]
        outputs = [(o.name, o.type, len(o.shape)) for o in session.get_outputs()]
    except UnicodeDecodeError as error:
        raise ModelFileError(
            f"the name of an input or output is not text ({error})",
            code="model.damaged",
            source=str(path),
        ) from None
    kind = "tensor(float)"
    if inputs != [(INPUT_NAME, kind, 2)] or outputs != [(OUTPUT_NAME, kind, 2)]:
        raise ModelFileError(
            f"found input {inputs} and output {outputs}; expected {INPUT_NAME} "
            f"(batch, samples) and {OUTPUT_NAME} (batch, classes), both float32",
            code="model.damaged",
            source=str(path),
        )
    batch, length = session.get_inputs()[0].shape
    if isinstance(length, int) or (isinstance(batch, int) and batch != 1):
        raise ModelFileError(
            f"the network takes a waveform of shape ({batch}, {length}); expected any number of "
            "samples: export it with a dynamic length",
            code="model.damaged",
            source=str(path),
        )
    n_classes = session.get_outputs()[0].shape[1]
    if n_classes != len(info.labels):
        raise ModelFileError(
            f"the network gives {n_classes} classes, its metadata names {len(info.labels)}",
            code="model.damaged",
            source=str(path),
        )


def hash_clip_names(names: list[str]) -> str:
    """Return the SHA-256 of clip names, sorted, one per line: identifies a training set."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
