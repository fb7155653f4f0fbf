"""Convert predictions to a pandas DataFrame with audformat's segmented index."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emovox.errors import EmovoxError
from emovox.recognition.results import FileFailure, Prediction, list_cells

if TYPE_CHECKING:
    import pandas as pd


def to_frame(results: Iterable[Prediction | FileFailure]) -> "pd.DataFrame":
    """Convert predictions to a pandas DataFrame.

    Args:
        results: Predictions, and failures for recordings that could not be used.

    Returns:
        One row per result, in the given order. The index is audformat's segmented index
        (https://audeering.github.io/audformat): ``file``, and ``start`` and ``end`` as timedelta;
        ``file`` is missing for sources other than paths, ``end`` for failures. Columns:
        ``emotion``, ``confidence``, ``abstained``, ``channel``, ``notes``, ``error_code``,
        ``error``, then the probability of each emotion. Absent values are missing.

    Raises:
        EmovoxError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError:
        raise EmovoxError(
            "to_frame needs pandas, which is not installed; pip install 'emovox[frame]'",
            code="package.missing",
        ) from None
    results = list(results)
    ends_s = [r.end_s if isinstance(r, Prediction) else None for r in results]
    starts_s = [r.start_s if isinstance(r, Prediction) else 0.0 for r in results]
    index = pd.MultiIndex.from_arrays(
        [
            pd.Index([r.file for r in results], dtype="string"),
            pd.to_timedelta(pd.Series(starts_s, dtype=float), unit="s").astype("timedelta64[ns]"),
            pd.to_timedelta(pd.Series(ends_s, dtype=float), unit="s").astype("timedelta64[ns]"),
        ],
        names=["file", "start", "end"],
    )
    labels = dict.fromkeys(label for r in results for label in getattr(r, "scores", None) or ())
    columns = "emotion confidence abstained channel notes error_code error".split()
    frame = pd.DataFrame([list_cells(r) for r in results], index=index, columns=[*columns, *labels])
    return frame.astype({"confidence": float, "channel": "Int64", **dict.fromkeys(labels, float)})
