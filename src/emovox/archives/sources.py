"""List the recordings of a source: folder, glob, tar, zip, manifest or store, in a fixed order.

Listings are tables of bounded size, so that memory does not grow with the archive.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from emovox.archives.addresses import (
    address_to_path,
    is_remote,
    open_file_system,
    path_to_address,
    try_again,
)
from emovox.archives.containers import CONTAINER_SUFFIXES, iterate_members
from emovox.audio.folders import AUDIO_SUFFIXES, split_numbers, walk_audio
from emovox.errors import ArchiveError

PLAN_FIELDS = (
    ("source", pa.string()),
    ("member", pa.string()),
    ("offset", pa.int64()),
    ("bytes", pa.int64()),
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("speaker", pa.string()),
    ("voice", pa.string()),
)
"""Columns of a plan: address, name and place in a tar, size, part in seconds, who speaks, and the
voice to adapt to."""

BATCH_ROWS = 65_536
_GLOB = "*?["


@dataclass(frozen=True, slots=True)
class Listing:
    """The recordings of a source.

    Attributes:
        tables: Tables with the columns of ``PLAN_FIELDS``, then the extra columns as text.
        extra_columns: Names of the manifest's own columns.
    """

    tables: Iterator[pa.Table]
    extra_columns: tuple[str, ...] = ()


def list_recordings(source: str) -> Listing:
    """List the recordings of a source.

    Args:
        source: A folder, a glob, a tar, a zip, a manifest (``.csv``, ``.tsv``, ``.parquet``), an
            audformat database, one recording, or an address of any of these but audformat that
            fsspec opens.

    Returns:
        The listing, which is read as it is iterated.

    Raises:
        ArchiveError: There is no such source, or it cannot be listed.
        EmovoxError: The package for such addresses is missing.
    """
    from emovox.archives import manifests

    suffix = os.path.splitext(source)[1].lower()
    path = address_to_path(source)
    if suffix in (".csv", ".tsv", ".parquet"):
        return manifests.read_manifest(source)
    if not is_remote(source) and os.path.isfile(os.path.join(path, "db.yaml")):
        return manifests.read_audformat(Path(path))
    if is_remote(source):
        found = _list_remote(source)
    elif os.path.isdir(path):
        found = ((path_to_address(file), _find_bytes(file)) for _, file in walk_audio(path))
    elif os.path.exists(path):
        found = iter([(path_to_address(path), _find_bytes(path))])
    elif any(char in source for char in _GLOB):
        names = sorted(glob.iglob(path, recursive=True), key=split_numbers)
        found = ((path_to_address(n), _find_bytes(n)) for n in names if _is_listed(n))
    else:
        raise ArchiveError(
            "no such file or folder; expected a folder, a glob, a tar, a manifest or an address "
            "such as s3://bucket/folder",
            code="archive.not_found",
            source=source,
        )
    return Listing(_to_tables(_open_tars(found)))


def to_table(rows: Iterable[dict[str, Any]], extra_columns: tuple[str, ...] = ()) -> pa.Table:
    """Return recordings as a table with the columns of a plan; missing values are null."""
    return pa.Table.from_pylist([*rows], schema=make_plan_schema(extra_columns))


def make_plan_schema(extra_columns: tuple[str, ...]) -> pa.Schema:
    """Return the columns of a plan."""
    return pa.schema([*PLAN_FIELDS, *((name, pa.string()) for name in extra_columns)])


def _to_tables(rows: Iterator[dict[str, Any]]) -> Iterator[pa.Table]:
    """Yield rows as tables of bounded size."""
    while batch := list(islice(rows, BATCH_ROWS)):
        yield to_table(batch)


def _open_tars(found: Iterable[tuple[str, int | None]]) -> Iterator[dict[str, Any]]:
    """Yield a row for each file, or for each recording in a tar or a zip."""
    for address, n_bytes in found:
        if address.lower().endswith(CONTAINER_SUFFIXES):
            yield from iterate_members(address)
        else:
            yield {"source": address, "bytes": n_bytes}


def _is_listed(name: str) -> bool:
    """Return whether a name is that of a recording, or of a tar or a zip."""
    return os.path.splitext(name)[1].lower() in (*AUDIO_SUFFIXES, *CONTAINER_SUFFIXES)


def _find_bytes(path: str) -> int | None:
    """Return the size of a file; None if it cannot be found, which its row will report."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _list_remote(source: str) -> Iterator[tuple[str, int | None]]:
    """Yield address and size of the objects below an address, or that match a glob."""
    found: Iterator[dict[str, Any]]
    files, root = open_file_system(source)
    scheme = source.partition("://")[0]
    try:
        if any(char in root for char in _GLOB):
            matching = try_again(lambda: files.glob(root, detail=True), source)
            found = (matching[name] for name in sorted(matching, key=split_numbers))
        elif try_again(lambda: files.isfile(root), source):
            yield source, int(try_again(lambda: files.info(root), source)["size"])
            return
        else:
            found = _walk_remote(files, root)
        first = next(found, None)
    except (FileNotFoundError, PermissionError, OSError) as error:
        raise ArchiveError(
            f"cannot be listed ({error}); check the address and the credentials",
            code="archive.not_found",
            source=source,
        ) from error
    for entry in chain([first] if first else [], found):
        if entry["type"] == "file" and _is_listed(entry["name"]):
            yield f"{scheme}://{entry['name'].removeprefix('/')}", entry.get("size")


def _walk_remote(files: Any, root: str) -> Iterator[dict[str, Any]]:
    """Yield the objects below a prefix, the larger listings of stores one level at a time."""
    pending = [root]
    while pending:
        current = pending.pop()
        entries = try_again(partial(files.ls, current, detail=True), current)
        entries.sort(key=lambda entry: split_numbers(entry["name"]))
        below = []
        for entry in entries:
            name = entry["name"].rstrip("/").rpartition("/")[2]
            if name.startswith(".") or entry["name"].rstrip("/") == current.rstrip("/"):
                continue
            if entry["type"] == "directory":
                below.append(entry["name"])
            else:
                yield entry
        pending += reversed(below)
