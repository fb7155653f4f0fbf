"""Write a model file's metadata and its seal, without changing its network."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx

from emovox.files import replace_file
from emovox.recognition.model_file import METADATA_PREFIX, ModelInfo, ProtocolScore, open_model
from emovox.recognition.seal import SEAL_KEY, seal_model


def write_scores(path: Path, scores: Sequence[ProtocolScore]) -> None:
    """Write a recipe's scores to a model file's metadata, unless it already has them.

    Each fold's file is written when the fold ends, so an interrupted run does not repeat it. The
    scores depend on all folds and are added at the end.

    Raises:
        ModelFileError: The file is not a model file.
    """
    found = open_model(path).info
    info = replace(found, scores=tuple(scores))
    if info != found:
        write_info(path, info)


def write_info(path: Path, info: ModelInfo) -> None:
    """Replace an ONNX file's emovox metadata, and seal it."""
    proto = onnx.ModelProto.FromString(path.read_bytes())
    with replace_file(path) as part:
        part.write_bytes(serialize_model(proto, info))


def serialize_model(proto: onnx.ModelProto, info: ModelInfo) -> bytes:
    """Return the content of a model file: a network and its metadata, sealed."""
    remove_entries(proto, METADATA_PREFIX)
    # 34 kB of shapes, which every runtime infers itself.
    del proto.graph.value_info[:]
    for key, value in info.to_metadata().items():
        proto.metadata_props.add(key=key, value=value)
    return seal_proto(proto)


def seal_proto(proto: onnx.ModelProto) -> bytes:
    """Return the content of a model file after its network or metadata were changed."""
    remove_entries(proto, SEAL_KEY)
    return seal_model(proto.SerializeToString())


def remove_entries(proto: onnx.ModelProto, prefix: str) -> None:
    """Remove the metadata entries whose keys have a prefix."""
    kept = [entry for entry in proto.metadata_props if not entry.key.startswith(prefix)]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
