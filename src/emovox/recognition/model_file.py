"""Model files: ONNX networks from waveform to probabilities, described by their metadata."""

import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from emovox.errors import ModelFileError
from emovox.recognition.model_info import FORMAT_VERSION as FORMAT_VERSION
from emovox.recognition.model_info import METADATA_PREFIX as METADATA_PREFIX
from emovox.recognition.model_info import ModelInfo as ModelInfo
from emovox.recognition.model_info import ProtocolScore as ProtocolScore
from emovox.recognition.model_info import hash_clip_names as hash_clip_names
from emovox.recognition.model_info import read_info as read_info
from emovox.recognition.named_models import DEFAULT_MODEL as DEFAULT_MODEL
from emovox.recognition.named_models import find_default_model as find_default_model
from emovox.recognition.named_models import find_model as find_model
from emovox.recognition.seal import SEAL_KEY, check_seal
from emovox.recognition.session import open_session

_log = logging.getLogger(__name__)

INPUT_NAME = "waveform"
OUTPUT_NAME = "probabilities"
EMBEDDING_NAME = "embedding"
"""Second output of models with an encoder: what the encoder makes of the recording."""
REFERENCE_NAME = "reference"
"""Input that may be left out: the mean embedding of other recordings of the speaker."""
WEIGHT_NAME = "reference_weight"
"""Input that may be left out: how much of the reference counts."""
LABELS_NAME = "reference_labels"
"""Input that may be left out: what is known of the labels of these recordings."""
MAX_MODEL_BYTES = 2**31 - 1
"""Maximum size of an ONNX file (a limit of Protocol Buffers)."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An open model file; a pickled or copied one is reopened from its path.

    Attributes:
        session: ONNX Runtime session of the network.
        info: Metadata of the file.
        path: Absolute path of the file.
        threads: CPU threads per prediction.
        sha256: SHA-256 of the whole file, as ``sha256sum`` prints it.
        n_bytes: Size of the file.
        n_features: Length of the embedding; 0 without one.
    """

    session: ort.InferenceSession
    info: ModelInfo
    path: Path
    threads: int = 1
    sha256: str = ""
    n_bytes: int = 0
    n_features: int = 0

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
    sha256 = check_seal(content)
    if sha256 is None and SEAL_KEY.encode() in content:
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
    if sha256 is None:
        raise describe_damage(path)
    n_features = check_network(path, session, info)
    _log.info("%s: model %r opened, %d emotions", path, info.name, len(info.labels))
    return ModelFile(session, info, path.absolute(), threads, sha256, len(content), n_features)


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


def check_network(path: Path, session: ort.InferenceSession, info: ModelInfo) -> int:
    """Check that the network fits its metadata; return the length of its embedding, 0 if none."""
    try:
        inputs = [(i.name, i.type, len(i.shape)) for i in session.get_inputs()]
        optional = [(i.name, i.type, i.shape) for i in session.get_overridable_initializers()]
        outputs = [(o.name, o.type, len(o.shape)) for o in session.get_outputs()]
    except UnicodeDecodeError as error:
        raise ModelFileError(
            f"the name of an input or output is not text ({error})",
            code="model.damaged",
            source=str(path),
        ) from None
    kind = "tensor(float)"
    expected = [(OUTPUT_NAME, kind, 2), (EMBEDDING_NAME, kind, 2)]
    if inputs != [(INPUT_NAME, kind, 2)] or outputs not in (expected[:1], expected):
        raise ModelFileError(
            f"found input {inputs} and output {outputs}; expected {INPUT_NAME} (batch, samples) "
            f"and {OUTPUT_NAME} (batch, classes), and {EMBEDDING_NAME} if anything, all float32",
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
    n_features = session.get_outputs()[1].shape[1] if outputs == expected else 0
    needed = []
    if info.reference is not None:
        needed = [
            (REFERENCE_NAME, kind, [1, n_features]),
            (LABELS_NAME, kind, [1, n_classes]),
            (WEIGHT_NAME, kind, [1]),
        ]
    if not isinstance(n_features, int) or sorted(optional) != needed:
        raise ModelFileError(
            f"the network gives an embedding of {n_features} features and takes {optional} besides "
            f"the waveform; by its metadata, expected {needed or 'nothing else'}",
            code="model.damaged",
            source=str(path),
        )
    return n_features
