"""Read the tables that corpora publish beside their recordings."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emovox.errors import CorpusError


def read_table(
    path: Path, columns: Sequence[str], *, of: str, delimiter: str = ","
) -> list[dict[str, str]]:
    """Read some columns of a published table, without blanks around the values.

    Args:
        path: The table, in UTF-8.
        columns: The columns to read.
        of: What the table is, for messages, such as ``"nEMO's data.tsv"``.
        delimiter: What separates the columns; tables separated by tabs have no quotes.

    Returns:
        The rows in file order, each with all ``columns``; a missing cell is empty.

    Raises:
        CorpusError: The table cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(
                file,
                delimiter=delimiter,
                quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
            )
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            rows = [{key: (row.get(key) or "").strip() for key in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected {of}") from None
    if missing:
        named = ", ".join(repr(name) if not name else name for name in missing)
        raise CorpusError(
            f"{path}: found no column {named}; expected {of} with "
            f"{', '.join(filter(None, columns))}"
        )
    return rows


def read_json(path: Path, *, of: str) -> dict[str, Any]:
    """Read a published JSON object; ``of`` says in messages what it is.

    Raises:
        CorpusError: The file cannot be read or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected {of}") from None
    if not isinstance(content, dict):
        raise CorpusError(f"{path}: found {type(content).__name__}; expected {of}, an object")
    return content
