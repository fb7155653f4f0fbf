"""Manifests: CSV lists of recordings with ``file,emotion,speaker`` and other columns."""

import codecs
import csv
import io
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
        rows.append(ListedRow(_find_file(path.parent, file), label, **values))
    ignored = [column for column in columns if column and column not in found.values()]
    return collect_rows(path.stem, path, rows, ignored=ignored)


def _find_file(folder: Path, file: str) -> Path:
    """Return a listed file's path; backslashes are separators unless a file is named so."""
    path = folder / file
    return folder / file.replace("\\", "/") if "\\" in file and not path.is_file() else path


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
        path: The table, in UTF-8, or in UTF-16 with a byte order mark. Its delimiter is named by a
            first line such as ``sep=;``, which Excel writes and reads; otherwise it is the comma,
            semicolon or tab that is most frequent in the header.

    Returns:
        The columns, and one dictionary per row.

    Raises:
        CorpusError: It cannot be read.
    """
    try:
        content = path.read_bytes()
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected a table") from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise CorpusError(
            f"{path}: is neither UTF-8 nor UTF-16 with a byte order mark; expected a table in one "
            "of these: in Excel, save it as 'CSV UTF-8'"
        )
    named = re.match(r'"?sep=(.)"?\r?\n', text)
    text = text[named.end() :] if named else text
    header = text.partition("\n")[0]
    delimiter = (
        named[1]
        if named
        else max(_DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d), [])))
    )
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        rows = [{key: (row.get(key) or "").strip() for key in columns} for row in reader]
    except csv.Error as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected a table") from None
    return columns, rows
