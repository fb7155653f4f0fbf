"""Update a model file's metadata without changing its network."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx

from emovox.files import replace_file
from emovox.recognition.model_file import METADATA_PREFIX, ProtocolScore, open_model


def write_scores(path: Path, scores: Sequence[ProtocolScore]) -> None:
    """Write a recipe's scores to a model file's metadata, unless it already has them.

    Each fold's file is written when the fold ends, so an interrupted run does not repeat it. The
    scores depend on all folds and are added at the end.

    Raises:
        ModelFileError: The file is not a model file.
    """
    found = open_model(path).info
    info = replace(found, scores=tuple(scores))
    if info == found:
        return
    proto = onnx.ModelProto.FromString(path.read_bytes())
    kept = [p for p in proto.metadata_props if not p.key.startswith(METADATA_PREFIX)]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    for key, value in info.to_metadata().items():
        proto.metadata_props.add(key=key, value=value)
    with replace_file(path) as part:
        part.write_bytes(proto.SerializeToString())
