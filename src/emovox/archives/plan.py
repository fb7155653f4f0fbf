"""The plan of an archive: what it holds, and the units of work that this is divided into.

It is written once and read by every later start, so that recordings keep their numbers: a
recording's number is its row in the plan.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from emovox.archives.sources import BATCH_ROWS, Listing, make_plan_schema
from emovox.errors import ArchiveError
from emovox.files import replace_file, write_text

FILE_ROWS = 16 * BATCH_ROWS
"""Recordings in a file of the plan, about a million."""

MAX_UNIT_RECORDINGS = 1_000
MAX_UNIT_BYTES = 32 * 2**20
MIN_UNITS = 64
"""A small archive is divided into this many units, if it has as many recordings, so that all
workers are busy to the end."""

LONG_BYTES = 16 * 2**20
"""A larger recording is a unit of its own; in timelines, it is cut into pieces."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Consecutive recordings of the plan, which one worker processes and which have one part.

    Attributes:
        number: Number of the unit, from 0.
        first: Number of its first recording.
        n_recordings: How many recordings it has.
        is_long: Whether it is a single large recording.
    """

    number: int
    first: int
    n_recordings: int
    is_long: bool


class Plan:
    """A plan that was written to a folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self.n_recordings = int(facts["recordings"])
        self.n_bytes = int(facts["bytes"])
        self.extra_columns = tuple(facts["extra_columns"])
        self.starts: npt.NDArray[np.int64] = np.load(folder / "units.npy", allow_pickle=False)
        self.are_long: npt.NDArray[np.bool_] = np.load(folder / "long.npy", allow_pickle=False)

    def __len__(self) -> int:
        return len(self.are_long)

    def unit(self, number: int) -> Unit:
        """Return a unit by its number."""
        first = int(self.starts[number])
        n = int(self.starts[number + 1]) - first
        return Unit(number, first, n, bool(self.are_long[number]))

    def read(self, unit: Unit) -> list[dict[str, Any]]:
        """Return the recordings of a unit, as dictionaries with the columns of the plan."""
        rows: list[dict[str, Any]] = []
        for at in range(
            unit.first // BATCH_ROWS, (unit.first + unit.n_recordings - 1) // BATCH_ROWS + 1
        ):
            table = _read_batch(self.folder, at)
            start = max(0, unit.first - at * BATCH_ROWS)
            end = unit.first + unit.n_recordings - at * BATCH_ROWS
            rows += table.slice(start, min(end, BATCH_ROWS) - start).to_pylist()
        return [row | {"recording": unit.first + i} for i, row in enumerate(rows)]


def write_plan(folder: Path, listing: Listing, source: str) -> Plan:
    """Write the plan of an archive; ``plan.json`` is written last and completes it.

    Args:
        folder: Where to write it.
        listing: The recordings.
        source: Name of the archive, for errors.

    Raises:
        ArchiveError: There is no recording, or the source cannot be listed.
    """
    schema = make_plan_schema(listing.extra_columns)
    n_recordings = n_bytes = n_short_bytes = n_files = 0
    for tables in _regroup(listing.tables):
        with replace_file(folder / f"plan-{n_files:05d}.parquet") as part:
            with pq.ParquetWriter(part, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table, row_group_size=BATCH_ROWS)
                    sizes = _read_sizes(table)
                    n_recordings += len(sizes)
                    n_bytes += int(sizes.sum())
                    n_short_bytes += int(sizes[sizes <= LONG_BYTES].sum())
        n_files += 1
    if not n_recordings:
        raise ArchiveError(
            "holds no recordings; expected some, by the endings of their names or in a manifest",
            code="archive.empty",
            source=source,
        )
    limits = set_limits(n_recordings, n_short_bytes)
    divided = []
    for number in range(n_files):
        sizes = _read_sizes(pq.read_table(folder / f"plan-{number:05d}.parquet", columns=["bytes"]))
        starts, are_long = divide(sizes, *limits)
        divided.append((starts + number * FILE_ROWS, are_long))
    starts = np.concatenate([*(first for first, _ in divided), [n_recordings]]).astype(np.int64)
    are_long = np.concatenate([flags for _, flags in divided])
    for name, array in (("units.npy", starts), ("long.npy", are_long)):
        with replace_file(folder / name) as part, part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    facts = {
        "source": source,
        "recordings": n_recordings,
        "bytes": n_bytes,
        "units": len(are_long),
        "extra_columns": list(listing.extra_columns),
    }
    write_text(folder / "plan.json", json.dumps(facts, indent=2) + "\n")
    return Plan(folder)


def set_limits(n_recordings: int, n_bytes: int) -> tuple[int, int]:
    """Return how many recordings and bytes a unit may have.

    Args:
        n_recordings: Number of recordings of the archive.
        n_bytes: Their bytes, without those of long recordings.
    """
    most = min(MAX_UNIT_RECORDINGS, -(-n_recordings // MIN_UNITS))
    return most, max(1, min(MAX_UNIT_BYTES, n_bytes // MIN_UNITS))


def divide(
    sizes: npt.NDArray[np.int64], most: int, most_bytes: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Divide recordings into units.

    Args:
        sizes: Size of each recording in bytes, int64 ``(recordings,)``; 0 if unknown.
        most: How many recordings a unit may have.
        most_bytes: How many bytes a unit of several recordings may have.

    Returns:
        First recording of each unit, int64 ``(units,)``, and whether it is a single long one,
        bool ``(units,)``.

    Examples:
        >>> starts, are_long = divide(np.array([5, 5, 2**30, 5, 5, 5]), 3, 12)
        >>> starts.tolist(), are_long.tolist()
        ([0, 2, 3, 5], [False, True, False, False])
    """
    ends = np.cumsum(sizes)
    starts: list[int] = []
    are_long: list[bool] = []
    done = 0
    for stop in [*np.flatnonzero(sizes > LONG_BYTES).tolist(), len(sizes)]:
        while done < stop:
            starts.append(done)
            are_long.append(False)
            before = int(ends[done - 1]) if done else 0
            fitting = np.searchsorted(
                ends[done : min(stop, done + most)], before + most_bytes, "right"
            )
            done += max(1, int(fitting))
        if stop < len(sizes):
            starts.append(stop)
            are_long.append(True)
            done = stop + 1
    return np.array(starts, np.int64), np.array(are_long, np.bool_)


def _read_sizes(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return the sizes in a table of a plan, 0 where they are unknown."""
    sizes: npt.NDArray[np.int64] = table["bytes"].fill_null(0).to_numpy().astype(np.int64)
    return sizes


def _regroup(tables: Iterator[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """Yield tables of ``BATCH_ROWS`` each, grouped by the file that they belong to."""
    held: list[pa.Table] = []
    batches = _cut(tables, held)
    for first in batches:
        yield _take(first, batches, FILE_ROWS // BATCH_ROWS)


def _take(first: pa.Table, others: Iterator[pa.Table], n: int) -> Iterator[pa.Table]:
    """Yield a table and the n - 1 that follow it."""
    yield first
    for _ in range(n - 1):
        table = next(others, None)
        if table is None:
            return
        yield table


def _cut(tables: Iterator[pa.Table], held: list[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables of exactly ``BATCH_ROWS``, the last one fewer."""
    n_held = 0
    for table in tables:
        held.append(table)
        n_held += len(table)
        while n_held >= BATCH_ROWS:
            joined = pa.concat_tables(held)
            yield joined.slice(0, BATCH_ROWS)
            held[:] = [joined.slice(BATCH_ROWS)]
            n_held -= BATCH_ROWS
    if n_held:
        yield pa.concat_tables(held)


@lru_cache(maxsize=2)
def _read_batch(folder: Path, at: int) -> pa.Table:
    """Read ``BATCH_ROWS`` recordings of a plan; those that are read next are kept."""
    per_file = FILE_ROWS // BATCH_ROWS
    path = folder / f"plan-{at // per_file:05d}.parquet"
    with pq.ParquetFile(path) as file:
        return file.read_row_group(at % per_file)
