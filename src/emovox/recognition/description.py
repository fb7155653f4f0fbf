"""Describe a model for programs that cannot read its metadata: ``model.json``."""

import hashlib
import json
from pathlib import Path
from typing import Any

from emovox.files import write_text
from emovox.recognition.enroll import MIN_ENROLLED_S
from emovox.recognition.model_file import ModelFile
from emovox.recognition.rules import describe_rules
from emovox.recognition.voice_activity import find_speech_model

DESCRIPTION_NAME = "model.json"
FORMAT_VERSION = 1
"""Version of ``model.json``, apart from the rules, which have their own."""


def describe_model(model: ModelFile) -> dict[str, Any]:
    """Describe a model file and the rules of docs/runtime.md.

    ONNX Runtime does not show a model's metadata in a browser
    (https://github.com/microsoft/onnxruntime/issues/16547).

    Args:
        model: An open model file.

    Returns:
        JSON-serialisable: ``format``, entries of the metadata by their names, ``reference`` (how
        a speaker's reference counts; ``None`` if the model takes none), ``files`` (size and
        SHA-256 of the files next to it), and ``rules``.
    """
    info = model.info
    return {
        "format": FORMAT_VERSION,
        "name": info.name,
        "labels": list(info.labels),
        "sample_rate_hz": info.sample_rate_hz,
        "min_confidence": info.min_confidence,
        "licence": info.licence,
        "reference": _describe_reference(model),
        "files": {
            "model.onnx": _describe_file(model.path),
            "silero_vad.onnx": _describe_file(find_speech_model()),
        },
        "rules": describe_rules(),
    }


def write_description(path: Path, model: ModelFile) -> None:
    """Write ``model.json``, atomically.

    Args:
        path: The file to write.
        model: An open model file.

    Raises:
        EmovoxError: The file cannot be written.
    """
    write_text(path, serialize_description(model))


def serialize_description(model: ModelFile, *, service: bool = False) -> str:
    """Return the content of ``model.json``.

    Args:
        model: An open model file.
        service: Whether the server that the file comes from predicts recordings, too.
    """
    description = describe_model(model) | {"service": service}
    return json.dumps(description, indent=1, ensure_ascii=False) + "\n"


def _describe_reference(model: ModelFile) -> dict[str, Any] | None:
    """Return how many features a speaker's reference has, and how much it counts."""
    prior = model.info.reference
    if prior is None:
        return None
    return {
        "features": model.n_features,
        "min_speech_s": MIN_ENROLLED_S,
        "neutral_prior": prior.neutral_prior,
        "neutral_weight": prior.neutral_weight,
        "labels": len(model.info.labels),
        "neutral_known": prior.neutral_known,
    }


def _describe_file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
