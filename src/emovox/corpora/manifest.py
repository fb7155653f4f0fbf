"""A list of recordings as CSV: ``file,emotion,speaker`` and any more columns."""

import csv
from pathlib import Path

from emovox.corpora.clips import CorpusListing
from emovox.corpora.listed import ListedRow, collect_rows
from emovox.errors import CorpusError


def read_manifest(path: Path) -> CorpusListing:
    """Read a manifest.

    Args:
        path: A CSV file, or tab-separated where it ends in ``.tsv``. The columns ``file`` (from
            the manifest's folder, or absolute) and ``emotion`` are required; ``speaker``,
            ``gender`` and ``sentence`` are read where they are there, others are not.

    Returns:
        The clips in the file's order, named by the manifest's name and their file's.

    Raises:
        CorpusError: It cannot be read, lacks a column, or holds no clip that can be used.

    Example:
        >>> read_manifest(Path("calls.csv")).clips[0].name  # doctest: +SKIP
        'calls-monday/0001'
    """
    rows = [
        ListedRow(
            path=path.parent / row["file"],
            label=row["emotion"],
            speaker=row.get("speaker", ""),
            gender=row.get("gender", ""),
            sentence=row.get("sentence", ""),
        )
        for row in read_table(path, required=("file", "emotion"))
    ]
    return collect_rows(path.stem, path, rows)


def read_table(path: Path, required: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a table with a header, its values without surrounding blanks.

    Args:
        path: A CSV file, or tab-separated where it ends in ``.tsv``.
        required: Columns that have to be there.

    Returns:
        One dictionary a row, with every column of the header.

    Raises:
        CorpusError: It cannot be read, or lacks a column.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [{key: (row.get(key) or "").strip() for key in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected a table") from None
    missing = [name for name in required if name not in columns]
    if missing:
        raise CorpusError(
            f"{path}: found columns {', '.join(columns) or '(none)'}; expected "
            f"{' and '.join(required)} among them: add {', '.join(missing)}"
        )
    return rows
