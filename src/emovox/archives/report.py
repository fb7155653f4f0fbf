"""A page about a finished archive, and the same tables as CSV."""

import csv
import io
from pathlib import Path
from typing import Any

from emovox.archives.queries import ArchiveQueries, Table
from emovox.files import write_text
from emovox.pages.environment import make_page_environment
from emovox.timeline.media import choose_colours
from emovox.wording import make_printable


def write_archive_report(
    folder: Path,
    out: Path | None = None,
    *,
    by: tuple[str, ...] = (),
    time_column: str | None = None,
    csv_folder: Path | None = None,
) -> Path:
    """Write a page about a finished archive; it opens offline.

    Args:
        folder: The archive.
        out: The page; ``None``: ``report.html`` in the folder.
        by: Columns of the manifest, or ``speaker``, whose values are compared.
        time_column: Column of the manifest with dates.
        csv_folder: Where to write the tables as CSV, too.

    Returns:
        The path of the page.

    Raises:
        ArchiveError: The archive is not finished, or has no such column.
    """
    queries = ArchiveQueries(folder)
    summary = queries.summarize()
    compared = [queries.compare_times(time_column)] if time_column else []
    compared += [queries.compare(column) for column in by]
    if not by and not time_column:
        compared = [queries.compare("speaker")]
    failures = queries.list_failures()
    certain = [queries.list_certain(most=True), queries.list_certain(most=False)]
    page = make_page_environment("emovox.archives").get_template("archive.html.j2")
    text = page.render(
        name=make_printable(str(queries.settings["source"])),
        settings=queries.settings,
        summary=dict(zip(summary.columns, summary.rows[0], strict=True)),
        summary_title=summary.title,
        compared=[describe_comparison(table, queries.labels) for table in compared],
        colours=choose_colours(queries.labels),
        failures=failures,
        certain=certain,
        printable=make_printable,
    )
    path = out or folder / "report.html"
    write_text(path, text)
    if csv_folder is not None:
        for table in (summary, *compared, failures, *certain):
            write_text(csv_folder / f"{table.name}.csv", to_csv(table))
    return path


def describe_comparison(table: Table, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return a comparison for the page: of each value, the shares of the emotions."""
    rows = [
        {
            "value": make_printable(str(value)),
            "rows": n_rows,
            "speakers": n_speakers,
            "shares": {label: cells[3 * i : 3 * i + 3] for i, label in enumerate(labels)},
        }
        for value, n_rows, n_speakers, *cells in table.rows
    ]
    return {"title": table.title, "rows": rows}


def to_csv(table: Table) -> str:
    """Return a table as CSV; text that a spreadsheet would take for a formula is quoted."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow(
            ["'" + c if isinstance(c, str) and c[:1] in "=+-@" and c else c for c in row]
        )
    return file.getvalue()
