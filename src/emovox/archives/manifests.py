"""Manifests: tables that name recordings, parts of them, and who speaks."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emovox.archives.addresses import (
    address_to_path,
    is_remote,
    open_file_system,
    path_to_address,
    try_again,
)
from emovox.archives.sources import BATCH_ROWS, Listing, make_plan_schema, to_table
from emovox.errors import ArchiveError

NAMES = {
    "source": ("source", "file", "path", "filename", "filepath", "wav", "audio", "url"),
    "start_s": ("start_s", "start"),
    "end_s": ("end_s", "end"),
    "speaker": ("speaker", "speaker_id", "spk"),
    "voice": ("voice",),
    "bytes": ("bytes", "size"),
}
"""Accepted names of the columns, case-insensitive; the first match is used. Times are seconds."""


def read_manifest(address: str) -> Listing:
    """Read a manifest.

    Args:
        address: A ``.csv``, ``.tsv`` or ``.parquet``. Paths in it are absolute, addresses, or
            relative to its folder.

    Returns:
        The recordings in its order; the columns of ``NAMES`` are used, all others kept.

    Raises:
        ArchiveError: It cannot be read, or has no column of recordings.
    """
    base = address.rpartition("/")[0] if is_remote(address) else str(Path(address).parent)
    try:
        file: Any
        tables: Iterator[pa.Table]
        if is_remote(address):
            files, path = open_file_system(address)
            file = try_again(lambda: files.open(path, "rb"), address)
        else:
            file = open(address_to_path(address), "rb")  # noqa: SIM115
        if address.lower().endswith(".parquet"):
            parquet = pq.ParquetFile(file)
            columns: list[str] = parquet.schema_arrow.names
            tables = (pa.Table.from_batches([batch]) for batch in parquet.iter_batches(BATCH_ROWS))
        else:
            columns, tables = _read_text(file)
    except FileNotFoundError:
        raise ArchiveError(
            "no such manifest; check the path", code="archive.not_found", source=address
        ) from None
    except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise _describe(address, error) from error
    found = find_columns(columns, address)
    extra = tuple(name for name in columns if name and name not in found.values())
    return Listing(_convert(tables, found, extra, base, address), extra)


def read_audformat(folder: Path) -> Listing:
    """Read the recordings of an audformat database: the files and segments of its CSV tables.

    Args:
        folder: The folder with ``db.yaml``.

    Returns:
        Each file or segment once, in the order of the tables, with its speaker if a table says so.

    Raises:
        ArchiveError: No table has recordings.
    """
    rows: dict[tuple[str, float | None, float | None], dict[str, Any]] = {}
    speakers: dict[str, str] = {}
    for path in sorted(folder.glob("db.*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                name = row.get("file")
                if not name:
                    continue
                if row.get("speaker"):
                    speakers[name] = row["speaker"]
                start_s = _parse_time(row.get("start", ""), path)
                end_s = _parse_time(row.get("end", ""), path)
                key = (name, start_s or None, end_s)
                rows.setdefault(key, {"source": name, "start_s": key[1], "end_s": end_s})
    if not rows:
        raise ArchiveError(
            "no table has a column 'file'; expected db.TABLE.csv: save the database with "
            "storage_format='csv'",
            code="archive.empty",
            source=str(folder),
        )
    for row in rows.values():
        name = row["source"]
        row["speaker"] = speakers.get(name)
        row["source"] = path_to_address(str(folder / name))
        row["bytes"] = find_bytes(row["source"])
    found = iter(rows.values())
    return Listing(to_table(batch) for batch in iter(lambda: [*islice(found, BATCH_ROWS)], []))


def find_columns(columns: Sequence[str], address: str) -> dict[str, str]:
    """Return the manifest's column for each of ``NAMES`` that it has."""
    by_name = {column.strip().lower(): column for column in reversed(columns)}
    found = {
        key: next(by_name[name] for name in names if name in by_name)
        for key, names in NAMES.items()
        if any(name in by_name for name in names)
    }
    if "source" not in found:
        raise ArchiveError(
            f"found the columns {', '.join(columns) or '(none)'}; expected one for the recording, "
            f"called {', '.join(NAMES['source'])}",
            code="archive.invalid",
            source=address,
        )
    return found


def find_bytes(address: str) -> int | None:
    """Return the size of a file on this machine; None if that is not known."""
    if is_remote(address):
        return None
    try:
        return Path(address_to_path(address)).stat().st_size
    except (OSError, ValueError):
        return None


def _read_text(file: Any) -> tuple[list[str], Iterator[pa.Table]]:
    """Read the header of a CSV, separated by commas, semicolons or tabs, and its rows as text."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    header = text.readline()
    delimiter = max(",;\t", key=header.count)
    columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]

    def iterate() -> Iterator[pa.Table]:
        rows = csv.reader(text, delimiter=delimiter)
        schema = pa.schema([(name, pa.string()) for name in columns])
        while batch := list(islice(rows, BATCH_ROWS)):
            padded = ([*row, *[""] * (len(columns) - len(row))] for row in batch if row)
            arrays = [
                pa.array([value.strip() or None for value in values], pa.string())
                for values in zip(*padded, strict=False)
            ][: len(columns)]
            if arrays:
                yield pa.table(arrays, schema=schema)

    return columns, iterate()


def _convert(
    tables: Iterator[pa.Table],
    found: dict[str, str],
    extra: tuple[str, ...],
    base: str,
    address: str,
) -> Iterator[pa.Table]:
    """Yield tables of a manifest with the columns of a plan."""
    schema = make_plan_schema(extra)
    try:
        for table in tables:
            values: dict[str, Any] = {}
            for field in schema:
                column = found.get(field.name) if field.name in NAMES else None
                if field.name in extra:
                    column = field.name
                if column is None:
                    values[field.name] = pa.nulls(len(table), field.type)
                else:
                    values[field.name] = pc.cast(table[column], field.type)
            sources = _resolve(values["source"], base)
            values |= {"source": sources, "voice": _resolve(values["voice"], base)}
            if "bytes" not in found and not is_remote(base):
                sizes = [None if s is None else find_bytes(s) for s in sources.to_pylist()]
                values["bytes"] = pa.array(sizes, pa.int64())
            yield pa.table([values[name] for name in schema.names], schema=schema)
    except (pa.ArrowException, OSError, csv.Error, UnicodeDecodeError) as error:
        raise _describe(address, error) from error


def _resolve(sources: Any, base: str) -> Any:
    """Return addresses: relative paths are relative to the manifest's folder."""
    is_absolute = pc.match_substring_regex(sources, r"^(/|[A-Za-z][A-Za-z0-9+.-]*:)")
    if base in ("", "."):
        return sources
    joined = pc.binary_join_element_wise(base.rstrip("/"), sources, "/")
    return pc.if_else(is_absolute, sources, joined)


def _parse_time(text: str, path: Path) -> float | None:
    """Return a time of an audformat table in seconds; None for none."""
    if text in ("", "NaT"):
        return None
    days, _, clock = text.rpartition(" days ")
    try:
        hours, minutes, seconds = clock.split(":")
        return 86_400 * int(days or 0) + 3_600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        try:
            return float(text.removesuffix("s"))
        except ValueError:
            raise ArchiveError(
                f"found the time {text!r}; expected one such as '0 days 00:00:01.5'",
                source=str(path),
            ) from None


def _describe(address: str, error: Exception) -> ArchiveError:
    """Return the error for a manifest that cannot be read."""
    reason = " ".join(str(error).split())[:200]
    return ArchiveError(
        f"cannot be read ({reason}); expected a table in UTF-8 or Parquet, with times in seconds",
        source=address,
    )
