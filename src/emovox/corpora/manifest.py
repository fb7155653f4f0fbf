"""A list of recordings as CSV: ``file,emotion,speaker`` and any more columns."""

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
"""What a manifest's columns may be called, in any case, the first that is there counts."""

_DELIMITERS = (",", ";", "\t")


def read_manifest(path: Path) -> CorpusListing:
    """Read a manifest.

    Args:
        path: A table separated by commas, semicolons or tabs. A column for the file (from the
            manifest's folder, or absolute) and one for the label are required; speaker, gender
            and sentence are read where they are there. :data:`COLUMN_NAMES` says how each may be
            called.

    Returns:
        The clips in the file's order, named by the manifest's name and their file's.

    Raises:
        CorpusError: It cannot be read, lacks a column, or holds no clip that can be used.

    Example:
        >>> read_manifest(Path("calls.csv")).clips[0].name  # doctest: +SKIP
        'calls-monday/0001'
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
    """Return which column holds what, by the keys of :data:`COLUMN_NAMES`."""
    by_name = {_simplify(column): column for column in reversed(columns)}
    found = {}
    for key, names in COLUMN_NAMES.items():
        there = [by_name[_simplify(name)] for name in names if _simplify(name) in by_name]
        if there:
            found[key] = there[0]
    return found


def _simplify(column: str) -> str:
    """Return a column's name in lower case, without blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", column.lower())


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read a table with a header, its values without surrounding blanks.

    Args:
        path: A file separated by whatever parts its header most: commas, semicolons or tabs.

    Returns:
        The columns, and one dictionary a row.

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
