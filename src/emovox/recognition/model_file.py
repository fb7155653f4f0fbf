"""The model file: an ONNX network, waveform in, probabilities out, that describes itself."""

import hashlib
import json
import logging
import math
import os
import re
import stat
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import onnxruntime as ort

from emovox.errors import ModelFileError
from emovox.recognition.session import open_session
from emovox.wording import count, name_speaker_rule

_log = logging.getLogger(__name__)

FORMAT_VERSION = 2
INPUT_NAME = "waveform"
OUTPUT_NAME = "probabilities"
MAX_MODEL_BYTES = 2**31 - 1
"""What an ONNX file can hold (a limit of Protocol Buffers)."""
METADATA_PREFIX = "emovox."
DEFAULT_MODEL = "default"
"""Names the model that comes with the package where a command takes a model file."""


@dataclass(frozen=True, slots=True)
class ProtocolScore:
    """A score of the model's recipe, with all that it needs to be understood.

    Attributes:
        name: ``"WA"`` (accuracy), ``"UA"`` (mean recall over classes) or ``"F1"`` (macro F1).
        value: In [0, 1].
        low: Lower end of the 95% interval.
        high: Upper end.
        protocol: Name and version, e.g. ``"reference-repeated v1"``.
        speaker_independent: Whether the test speakers were unknown to the model.
        n_seeds: Trainings from different seeds.
        n_clips: Test clips.
        n_speakers: Speakers of the test clips.
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
    """What a model file says about itself.

    Attributes:
        name: Name of the recipe that it was trained by.
        labels: Emotions, in the order of the probabilities.
        sample_rate_hz: Rate of the waveform it takes.
        temperature: By which its logits are divided; 1: not calibrated.
        min_confidence: Below this probability of the best emotion a recogniser shall say
            "uncertain"; 0: never.
        training_corpora: What it was trained on.
        training_clips: Number of training clips.
        training_clips_sha256: SHA-256 of their names, sorted, one a line.
        scores: Its recipe's scores; empty where it was never tested.
        recipe: The recipe as TOML.
        licence: What its use is bound to.
        format_version: Version of this list of entries.
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

    def to_metadata(self) -> dict[str, str]:
        """Return the entries as ONNX metadata: each value in JSON, each key under ``emovox.``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["scores"] = [{f.name: getattr(s, f.name) for f in fields(s)} for s in self.scores]
        return {METADATA_PREFIX + key: json.dumps(value) for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An opened model file; pickled or copied, it is opened again.

    Attributes:
        session: Runs the network.
        info: What the file says about itself.
        path: Where the file lies, absolute.
        threads: CPU threads for one prediction.
    """

    session: ort.InferenceSession
    info: ModelInfo
    path: Path
    threads: int = 1

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot be pickled or copied.
        return reopen_model, (self.path, self.threads, self.info)


def check_size(path: Path, status: os.stat_result) -> None:
    """Check that a file is one that can be read whole.

    Raises:
        ModelFileError: It is a device or a pipe, or too large.
    """
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
    """Return the path of the model that comes with the package."""
    return Path(str(resources.files("emovox") / "assets" / "default.onnx"))


def find_model(name: str) -> Path:
    """Return the path of a model that is named on the command line: a file, or ``default``."""
    return find_default_model() if name == DEFAULT_MODEL else Path(name)


def open_model(path: str | Path, *, threads: int = 1) -> ModelFile:
    """Open a model file and check that it is one.

    Args:
        path: The ``.onnx`` file.
        threads: CPU threads for one prediction.

    Returns:
        The session and the file's own description.

    Raises:
        ModelFileError: The file is missing, no ONNX, of another format version, or an entry is
            missing or contradicts the network.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            # Before anything is read: a device such as /dev/zero has no end.
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
    """Open a model file's content, which need not be on a disk.

    Args:
        content: What the file holds.
        path: The name that errors give it.
        threads: CPU threads for one prediction.

    Returns:
        The session and the file's own description.

    Raises:
        ModelFileError: As ``open_model``.
    """
    try:
        session = open_session(content, threads=threads)
    except Exception as error:  # onnxruntime's errors share no base class of their own
        reason = str(error).splitlines()[0][:200]
        raise ModelFileError(
            f"not a usable ONNX model ({reason})", code="model.damaged", source=str(path)
        ) from None
    info = read_info(path, dict(session.get_modelmeta().custom_metadata_map))
    check_network(path, session, info)
    _log.info("%s: model %r opened, %d emotions", path, info.name, len(info.labels))
    return ModelFile(session, info, path.absolute(), threads)


def reopen_model(path: Path, threads: int, info: ModelInfo) -> ModelFile:
    """Open a model file that was open elsewhere, unless it is another one by now.

    Raises:
        ModelFileError: It cannot be opened, or says something else about itself.
    """
    model = open_model(path, threads=threads)
    if model.info != info:
        raise ModelFileError(
            f"holds another model than the {info.name!r} that was opened before; open it anew",
            code="model.changed",
            source=str(path),
        )
    return model


def read_info(path: Path, metadata: dict[str, str]) -> ModelInfo:
    """Read and check the entries of a model file's metadata.

    Raises:
        ModelFileError: An entry is missing, malformed, or of another format version.
    """
    found = {
        k.removeprefix(METADATA_PREFIX): v
        for k, v in metadata.items()
        if k.startswith(METADATA_PREFIX)
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
    """Check that exactly the fields of a dataclass are there; ValueError names the others."""
    known = {f.name for f in fields(model)}
    for what, keys in (("lacks", known - found), ("has the unknown", found - known)):
        if keys:
            raise ValueError(f"{where} {what} {', '.join(sorted(keys))}")


def read_texts(key: str, value: Any) -> tuple[str, ...]:
    """Check that an entry is a list of texts; ValueError names it."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{key} is {value!r}, expected a list of texts")
    return tuple(value)


def read_score(entry: Any) -> ProtocolScore:
    """Check one score; ValueError says what is wrong with it."""
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
    """Check types and ranges of what a model file says; ValueError names the entry."""
    rules = {
        **{key: isinstance(getattr(info, key), str) for key in ("name", "recipe", "licence")},
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
    """Return whether a value is a whole number from 0; JSON's true and false are none."""
    return type(value) is int and value >= 0


def is_number(value: Any, low: float, high: float) -> bool:
    """Return whether a value is a finite number from ``low`` to ``high``."""
    return type(value) in (int, float) and math.isfinite(value) and low <= value <= high


def raise_broken_rules(prefix: str, holder: object, rules: dict[str, bool]) -> None:
    """Raise a ValueError for the first entry whose rule does not hold."""
    for key, holds in rules.items():
        if not holds:
            raise ValueError(f"{prefix}{key} is {getattr(holder, key)!r}")


def check_network(path: Path, session: ort.InferenceSession, info: ModelInfo) -> None:
    """Check that the network takes and gives what the metadata says.

    Raises:
        ModelFileError: Another input or output, or another number of classes.
    """
    inputs = [(i.name, i.type, len(i.shape)) for i in session.get_inputs()]
    outputs = [(o.name, o.type, len(o.shape)) for o in session.get_outputs()]
    kind = "tensor(float)"
    if inputs != [(INPUT_NAME, kind, 2)] or outputs != [(OUTPUT_NAME, kind, 2)]:
        raise ModelFileError(
            f"found input {inputs} and output {outputs}; expected {INPUT_NAME} "
            f"(batch, samples) and {OUTPUT_NAME} (batch, classes), both float32",
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
    """Return the SHA-256 of clip names, sorted, one a line: says what a model was trained on."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
