"""``stress.csv``: the scores of a stress test."""

import csv
import io
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from emovox.errors import RunError
from emovox.evaluation.stress_scores import StressRow


def format_stress(rows: tuple[StressRow, ...]) -> str:
    """Return the rows as CSV with a header, without loss of precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(StressRow)]
    writer.writerow(names)
    for row in rows:
        writer.writerow(["" if v is None else v for v in (getattr(row, n) for n in names)])
    return text.getvalue()


def read_stress(path: Path) -> tuple[StressRow, ...]:
    """Read a run's ``stress.csv``.

    Args:
        path: Path of the file.

    Returns:
        The rows, in the file's order.

    Raises:
        RunError: The file cannot be read, or is not such a table; the message names the file and
            the line.
    """
    lines = None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file, strict=True)
            if lines.fieldnames != [field.name for field in fields(StressRow)]:
                raise ValueError(f"found the columns {lines.fieldnames}")
            rows = tuple(_parse_row(line) for line in lines)
            if not rows:
                raise ValueError("found no row after the header")
    except (OSError, ValueError, TypeError, csv.Error) as error:
        where = f", line {lines.line_num}" if lines is not None else ""
        raise RunError(
            f"{path}{where}: {error}; expected the stress.csv of a run: run 'emovox stress' again"
        ) from None
    return rows


def _parse_row(line: dict[str, str]) -> StressRow:
    """Convert a line's values to the types of the row's fields."""
    values: dict[str, Any] = {}
    for name, kind in get_type_hints(StressRow).items():
        text, kinds = line[name], get_args(kind) or (kind,)
        values[name] = None if text == "" and type(None) in kinds else kinds[0](text)
    return StressRow(**values)
