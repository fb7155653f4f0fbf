"""Manifests: CSV lists of recordings with ``file,emotion,speaker`` and other columns."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from emovox.corpora.clips import CorpusListing
from emovox.corpora.listed import ListedRow, collect_rows
from emovox.errors import CorpusError

COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "file": ("file", "path", "filename", "filepath", "wav", "audio"),
    "emotion": ("emotion", "label", "class", "category"),
    "speaker": ("speaker", "speaker_id", "spk", "actor", "subject"),
    "gender": ("gender", "sex"),
    "sentence": ("sentence", "text", "transcript"),
}
"""Accepted column names of a manifest, case-insensitive; the first match is used."""

_DELIMITERS = (",", ";", "\t")


def read_manifest(path: Path) -> CorpusListing:
    """Read a manifest.

    Args:
        path: A table separated by commas, semicolons or tabs. Columns for the file (absolute or
            relative to the manifest's folder) and the label are required; speaker, gender and
            sentence are optional. ``COLUMN_NAMES`` lists the accepted names of each.

    Returns:
        The clips in file order, named after the manifest and their file.

    Raises:
        CorpusError: It cannot be read, lacks a required column, or contains no usable clip.
    """
    columns, table = read_table(path)
    found = find_columns(columns)
    missing = [name for name in ("file", "emotion") if name not in found]
    if missing:
        accepted = "; ".join(f"{name}: {', '.join(COLUMN_NAMES[name])}" for name in missing)
        raise CorpusError(
            f"{path}: found columns {', '.join(columns) or '(none)'}; expected one for the "
            f"{' and one for the '.join(missing)}, called as one of these ({accepted}): rename it "
            "or add it"
        )
    rows = []
    for row in table:
        values = {name: row[column] for name, column in found.items()}
        file, label = values.pop("file"), values.pop("emotion")
        rows.append(ListedRow(path.parent / file, label, **values))
    ignored = [column for column in columns if column and column not in found.values()]
    return collect_rows(path.stem, path, rows, ignored=ignored)


def find_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return the column for each key of ``COLUMN_NAMES``."""
    by_name = {_simplify(column): column for column in reversed(columns)}
    found = {}
    for key, names in COLUMN_NAMES.items():
        there = [by_name[_simplify(name)] for name in names if _simplify(name) in by_name]
        if there:
            found[key] = there[0]
    return found


def _simplify(column: str) -> str:
    """Return a column name in lower case without blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", column.lower())


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read a table with a header and strip surrounding blanks from its values.

    Args:
        path: The table; its delimiter (comma, semicolon or tab) is the most frequent in its header.

    Returns:
        The columns, and one dictionary per row.

    Raises:
        CorpusError: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d))))
            reader = csv.DictReader(file, delimiter=delimiter)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [{key: (row.get(key) or "").strip() for key in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected a table") from None
    return columns, rows
