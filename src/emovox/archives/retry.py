"""Process the recordings again that failed, and put their new rows in the place of the old ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emovox.archives.close import read_tables, write_files
from emovox.archives.folder import ArchiveFolder
from emovox.archives.plan import Plan, Unit, set_limits
from emovox.files import replace_file


class FailedPlan(Plan):
    """The recordings of a plan that failed, divided into units of their own.

    Args:
        plan: The plan of all recordings.
        recordings: Numbers of those that failed, int64 ``(recordings,)``, sorted.
    """

    def __init__(self, plan: Plan, recordings: npt.NDArray[np.int64]) -> None:
        self.folder = plan.folder
        self.all = plan
        self.recordings = recordings
        self.n_recordings = len(recordings)
        self.n_bytes = 0
        self.extra_columns = plan.extra_columns
        most, _ = set_limits(len(recordings), 0)
        starts = range(0, len(recordings), most)
        self.starts = np.array([*starts, len(recordings)], np.int64)
        self.are_long = np.zeros(len(starts), np.bool_)

    def read(self, unit: Unit) -> list[dict[str, Any]]:
        """Return the recordings of a unit."""
        numbers = self.recordings[unit.first : unit.first + unit.n_recordings].tolist()
        return [self.all.read(Unit(unit.number, n, 1, False))[0] for n in numbers]


def list_failed(folder: ArchiveFolder, manifest: dict[str, Any], plan: Plan) -> FailedPlan:
    """Return the recordings that failed, which are kept in a file for a later start.

    Args:
        folder: The folder, with the generation of the new rows.
        manifest: The manifest of the rows so far.
        plan: The plan of all recordings.
    """
    path = folder.parts / "failed.npy"
    if not path.exists():
        numbers = []
        for name in _names(folder, manifest):
            table = pq.read_table(name, columns=["recording", "error_code"])
            failed = table.filter(pc.is_valid(table["error_code"]))
            numbers.append(failed["recording"].to_numpy())
        with replace_file(path) as part, part.open("wb") as file:
            np.save(file, np.unique(np.concatenate(numbers)), allow_pickle=False)
    return FailedPlan(plan, np.load(path, allow_pickle=False))


def merge_retried(
    folder: ArchiveFolder, manifest: dict[str, Any], failed: FailedPlan, n_recordings: int
) -> dict[str, Any]:
    """Write all rows again, with the new ones in the place of those that failed.

    Args:
        folder: The folder, with the generation of the new rows.
        manifest: The manifest of the rows so far.
        failed: The recordings that were processed again.
        n_recordings: Number of recordings of the archive.

    Returns:
        The new manifest.
    """
    old = read_tables(_names(folder, manifest))
    new = read_tables(folder.list_parts(len(failed)))
    merged = merge_tables(old, new, pa.array(failed.recordings))
    return write_files(folder, merged, n_recordings)


def merge_tables(
    old: Iterator[pa.Table], new: Iterator[pa.Table], retried: pa.Array
) -> Iterator[pa.Table]:
    """Yield the old rows without those of retried recordings, and the new rows between them.

    Args:
        old: Rows in the order of their recordings.
        new: Rows of the retried recordings, in the same order.
        retried: Numbers of the retried recordings.
    """
    waiting: pa.Table | None = next(new, None)
    for table in old:
        last = table["recording"][-1].as_py() if len(table) else -1
        kept = [table.filter(pc.invert(pc.is_in(table["recording"], retried)))]
        while waiting is not None:
            n_fitting = int(np.searchsorted(waiting["recording"].to_numpy(), last, "right"))
            kept.append(waiting.slice(0, n_fitting))
            waiting = waiting.slice(n_fitting)
            if len(waiting):
                break
            waiting = next(new, None)
        joined = pa.concat_tables(kept)
        order = np.argsort(joined["recording"].to_numpy(), kind="stable")
        yield joined.take(pa.array(order))
    if waiting is not None:
        yield waiting
        yield from new


def _names(folder: ArchiveFolder, manifest: dict[str, Any]) -> list[Path]:
    """Return the files of the rows so far."""
    return [folder.path / file["name"] for file in manifest["files"]]
