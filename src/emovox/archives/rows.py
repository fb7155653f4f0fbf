"""The rows of an archive: their columns, and how results become rows.

Version 1 of the columns is documented in docs/archives.md.
"""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emovox import __version__
from emovox.archives.settings import FORMAT_VERSION, What, WorkSpec
from emovox.recognition.results import FileFailure, Prediction

SCORE_PREFIX = "score_"
"""Of the columns with the probability of each emotion, so that no label is taken for another."""

EXTRA_PREFIX = "meta_"
"""Of the manifest's own columns."""

_FIXED = (
    ("recording", pa.int64()),
    ("source", pa.string()),
    ("sha256", pa.string()),
    ("speaker", pa.string()),
    ("voice", pa.string()),
    ("channel", pa.int32()),
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
)
_PREDICTED = (
    ("emotion", pa.string()),
    ("confidence", pa.float32()),
    ("abstained", pa.string()),
    ("notes", pa.string()),
)
_CONSTANT = (("model_sha256", pa.string()), ("emovox_version", pa.string()))
_FAILED = (("error_code", pa.string()), ("error", pa.string()))


def make_schema(spec: WorkSpec, labels: Sequence[str]) -> pa.Schema:
    """Return the columns of the rows.

    Args:
        spec: What is computed, and the manifest's own columns.
        labels: Emotions of the model, in its order.
    """
    if spec.settings.what == What.EMBED:
        results: list[tuple[str, pa.DataType]] = [("embedding", pa.list_(pa.float32()))]
    else:
        scores = [(SCORE_PREFIX + label, pa.float32()) for label in labels]
        results = [*_PREDICTED, *scores]
    extra = [(EXTRA_PREFIX + name, pa.string()) for name in spec.extra_columns]
    version = {"emovox.archive": str(FORMAT_VERSION)}
    return pa.schema([*_FIXED, *results, *_CONSTANT, *_FAILED, *extra], metadata=version)


def make_row(result: Prediction | FileFailure, offset_s: float = 0.0) -> dict[str, Any]:
    """Return the columns that a result fills.

    Args:
        result: A prediction or a failure.
        offset_s: Where in the recording the predicted part begins, in seconds.
    """
    if isinstance(result, FileFailure):
        return {"error_code": result.code, "error": _to_text(result.detail)}
    scores = {SCORE_PREFIX + label: p for label, p in (result.scores or {}).items()}
    return {
        "channel": result.channel,
        "start_s": result.start_s + offset_s,
        "end_s": result.end_s + offset_s,
        "emotion": result.emotion,
        "confidence": result.confidence,
        "abstained": result.abstained,
        "notes": _to_text("; ".join(result.notes)) or None,
        **scores,
    }


def write_rows(rows: Iterable[dict[str, Any]], schema: pa.Schema, spec: WorkSpec) -> bytes:
    """Return rows as the bytes of a Parquet file, which depend on nothing else."""
    constant = {"model_sha256": spec.model_sha256, "emovox_version": __version__}
    table = pa.Table.from_pylist([row | constant for row in rows], schema=schema)
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def _to_text(text: str) -> str:
    """Return text that can be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
