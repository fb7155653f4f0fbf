"""Close an archive: join the parts to files of bounded size, and name these in the manifest."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emovox.archives.folder import MANIFEST, ArchiveFolder
from emovox.archives.settings import FORMAT_VERSION
from emovox.files import replace_file, write_text

GROUP_ROWS = 65_536
FILE_GROUPS = 16
"""A file has at most about a million rows."""


def close_archive(
    folder: ArchiveFolder, paths: Iterable[Path], n_recordings: int
) -> dict[str, Any]:
    """Join parts to the rows of a finished archive.

    A process that is killed here leaves the parts, and no manifest or the one before: closing is
    then repeated.

    Args:
        folder: The archive's folder.
        paths: Its parts, in the order of the plan.
        n_recordings: Number of recordings.

    Returns:
        The manifest.
    """
    return write_files(folder, read_tables(paths), n_recordings)


def write_files(
    folder: ArchiveFolder, tables: Iterable[pa.Table], n_recordings: int
) -> dict[str, Any]:
    """Write rows to files, then the manifest; then remove what it replaces."""
    files: list[dict[str, Any]] = []
    errors: Counter[str] = Counter()
    groups = cut_groups(tables)
    for first in groups:
        # A generation has names of its own, so that the old files are whole until the manifest
        # names the new ones.
        path = folder.path / f"rows-{folder.generation}-{len(files):05d}.parquet"
        n_rows = 0
        with replace_file(path) as part:
            with pq.ParquetWriter(part, first.schema, compression="zstd") as writer:
                for group in _take(first, groups, FILE_GROUPS):
                    writer.write_table(group, row_group_size=GROUP_ROWS)
                    n_rows += len(group)
                    failed = group.filter(pc.is_valid(group["error_code"]))
                    counted = failed.group_by("error_code").aggregate(
                        [("recording", "count_distinct")]
                    )
                    for row in counted.to_pylist():
                        errors[row["error_code"]] += row["recording_count_distinct"]
            digest = hash_path(part)
        files.append({"name": path.name, "rows": n_rows, "sha256": digest})
    manifest = {
        "format_version": FORMAT_VERSION,
        "generation": folder.generation,
        "recordings": n_recordings,
        "rows": sum(file["rows"] for file in files),
        "failures": dict(sorted(errors.items())),
        "files": files,
    }
    write_text(folder.path / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    folder.clean(manifest)
    return manifest


def read_tables(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """Yield the rows of Parquet files, one row group at a time."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            for at in range(file.num_row_groups):
                yield file.read_row_group(at)


def cut_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same rows in tables of ``GROUP_ROWS``, the last one fewer."""
    held: list[pa.Table] = []
    n_held = 0
    last: pa.Table | None = None
    for table in tables:
        last = table
        if len(table):
            held.append(table)
            n_held += len(table)
        if n_held >= GROUP_ROWS:
            joined = pa.concat_tables(held).combine_chunks()
            while n_held >= GROUP_ROWS:
                yield joined.slice(0, GROUP_ROWS)
                joined = joined.slice(GROUP_ROWS)
                n_held -= GROUP_ROWS
            held = [joined] if n_held else []
    if held:
        yield pa.concat_tables(held).combine_chunks()
    elif last is not None and not len(last):
        yield last


def hash_path(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _take(first: pa.Table, others: Iterator[pa.Table], n: int) -> Iterator[pa.Table]:
    """Yield a table and the n - 1 that follow it."""
    yield first
    for _ in range(n - 1):
        table = next(others, None)
        if table is None:
            return
        yield table
