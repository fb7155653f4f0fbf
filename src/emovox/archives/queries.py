"""Questions to the rows of a finished archive, in SQL: DuckDB reads the Parquet files.

Shares are of the recordings, or in timelines of the time. An interval is the share plus or minus
t times the standard error of a ratio over clusters (Cochran, Sampling Techniques, 1977, 6.3):
the speakers, or recordings where no speaker is named, since predictions of one voice are alike.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emovox.archives.folder import ArchiveFolder
from emovox.archives.rows import EXTRA_PREFIX
from emovox.archives.settings import What
from emovox.errors import ArchiveError

if TYPE_CHECKING:
    pass

MIN_CLUSTERS = 3
"""Shares of fewer speakers have no interval."""

N_LISTED = 10
MAX_VALUES = 50
"""Values of a column that are compared: those with the most recordings."""

_Z = 1.959964
"""97.5% quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Table:
    """The answer to a question.

    Attributes:
        name: Short name, also of its CSV.
        title: What it shows.
        columns: Names of the columns.
        rows: Their values.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class ArchiveQueries:
    """Answers questions about a finished archive.

    Args:
        path: Its folder.

    Raises:
        ArchiveError: It is not finished, or has no predictions.
    """

    def __init__(self, path: Path) -> None:
        import duckdb

        manifest = ArchiveFolder(path).read_manifest()
        if manifest is None:
            raise ArchiveError(
                "holds no finished archive; expected one that 'emovox archive' has closed: run it "
                "again to continue",
                code="archive.unfinished",
                source=str(path),
            )
        self.manifest = manifest
        self.settings = json.loads((path / "settings.json").read_text(encoding="utf-8"))
        if self.settings["what"] == What.EMBED:
            raise ArchiveError(
                "holds embeddings; expected predictions or timelines", source=str(path)
            )
        self.labels = tuple(self.settings["labels"])
        self.columns = tuple(self.settings["extra_columns"])
        self.is_timeline = self.settings["what"] == What.TIMELINE
        self.weight = "(end_s - start_s)" if self.is_timeline else "1::DOUBLE"
        # Nothing is downloaded: what DuckDB lacks would otherwise be fetched as an extension.
        self.database: duckdb.DuckDBPyConnection = duckdb.connect(
            config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        )
        files = [str(path / file["name"]) for file in manifest["files"]]
        rows = self.database.read_parquet(files)
        rows.create_view("rows")

    def ask(self, name: str, title: str, sql: str, parameters: Sequence[Any] = ()) -> Table:
        """Return the answer to a query."""
        found = self.database.execute(sql, list(parameters))
        columns = tuple(column[0] for column in found.description or ())
        return Table(name, title, columns, tuple(found.fetchall()))

    def check_column(self, name: str) -> str:
        """Return the column of the rows for one of the manifest, quoted.

        Raises:
            ArchiveError: There is no such column.
        """
        if name != "speaker" and name not in self.columns:
            raise ArchiveError(
                f"has no column {name!r}; expected speaker"
                + "".join(f", {column}" for column in self.columns)
            )
        column = name if name == "speaker" else EXTRA_PREFIX + name
        return '"' + column.replace('"', '""') + '"'

    def summarize(self) -> Table:
        """Return recordings, hours, speakers, and how they ended."""
        of = "time" if self.is_timeline else "recordings"
        share = f"sum({self.weight}) FILTER ({{}}) / sum({self.weight})"
        ends = {
            "with an emotion": "emotion IS NOT NULL",
            "uncertain": "abstained = 'uncertain'",
            "too short": "abstained = 'too short'",
            "no speech": "abstained = 'no speech'",
        }
        shares = ", ".join(
            f'coalesce({share.format(f"WHERE {sql}")}, 0) AS "{name}"' for name, sql in ends.items()
        )
        return self.ask(
            "summary",
            f"The archive; shares of the {of}",
            "SELECT count(DISTINCT recording) AS recordings, count(*) AS rows, "
            "coalesce(sum(end_s - start_s), 0) / 3600 AS hours, "
            "count(DISTINCT speaker) AS speakers, "
            "count(DISTINCT recording) FILTER (WHERE error_code IS NOT NULL) AS failed, "
            f"{shares} FROM rows",
        )

    def compare(self, column: str) -> Table:
        """Return the share of each emotion for each value of a column, with intervals.

        Args:
            column: A column of the manifest, or ``speaker``.
        """
        return self._compare(
            f"by_{column}", f"Emotions by {column}", self.check_column(column), "clusters DESC, 1"
        )

    def compare_times(self, column: str) -> Table:
        """Return the share of each emotion for each month, or day of less than three months.

        Args:
            column: Column of the manifest with dates that begin as in ISO 8601.
        """
        quoted = self.check_column(column)
        date = f"TRY_CAST(substr({quoted}, 1, 10) AS DATE)"
        (span,) = self.ask("", "", f"SELECT max({date}) - min({date}) FROM rows").rows[0]
        if span is None:
            raise ArchiveError(
                f"the column {column!r} has no dates; expected such as 2026-11-30 or "
                "2026-11-30T12:00"
            )
        length = 10 if int(span) < 92 else 7
        period = f"substr(CAST({date} AS VARCHAR), 1, {length})"
        return self._compare("over_time", f"Emotions over time ({column})", period, "1")

    def _compare(self, name: str, title: str, group: str, order: str) -> Table:
        """Return shares with intervals for each value of an expression."""
        # Of each cluster: its weight, and that of each emotion in it.
        sums = ", ".join(
            f"coalesce(sum(w) FILTER (WHERE emotion = ?), 0) AS x{i}"
            for i in range(len(self.labels))
        )
        totals = ", ".join(
            f"sum(x{i}) AS x{i}, sum(x{i} * x{i}) AS xx{i}, sum(x{i} * n) AS xn{i}"
            for i in range(len(self.labels))
        )
        found = self.ask(
            name,
            title,
            f"WITH weighted AS (SELECT {group} AS value, {self.weight} AS w, emotion, "
            "coalesce(speaker, source) AS cluster FROM rows WHERE emotion IS NOT NULL), "
            f"clustered AS (SELECT value, cluster, count(*) AS rows, sum(w) AS n, {sums} "
            "FROM weighted WHERE value IS NOT NULL GROUP BY value, cluster) "
            "SELECT value, sum(rows)::BIGINT AS rows, count(*) AS clusters, sum(n) AS n, "
            f"sum(n * n) AS nn, {totals} FROM clustered GROUP BY value ORDER BY {order} "
            f"LIMIT {MAX_VALUES}",
            self.labels,
        )
        rows = []
        for value, n_rows, clusters, n, nn, *rest in found.rows:
            cells: list[Any] = [value, n_rows, clusters]
            for x, xx, xn in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
                cells += estimate_share(x, xx, xn, n, nn, clusters)
            rows.append(tuple(cells))
        named = [f"{label}{end}" for label in self.labels for end in ("", "_low", "_high")]
        return Table(name, title, ("value", "rows", "speakers", *named), tuple(rows))

    def list_failures(self) -> Table:
        """Return how many recordings failed for each code, with an example."""
        return self.ask(
            "failures",
            "Failures",
            "SELECT error_code AS code, count(DISTINCT recording) AS recordings, "
            "any_value(error ORDER BY recording) AS example, "
            "any_value(source ORDER BY recording) AS of "
            "FROM rows WHERE error_code IS NOT NULL GROUP BY error_code ORDER BY 2 DESC, 1",
        )

    def list_certain(self, *, most: bool) -> Table:
        """Return the rows with the highest or the lowest confidence, to listen to."""
        order = "DESC" if most else "ASC"
        return self.ask(
            "most_certain" if most else "least_certain",
            "Most certain" if most else "Least certain",
            "SELECT source, start_s, end_s, coalesce(emotion, abstained) AS emotion, confidence "
            "FROM rows WHERE confidence IS NOT NULL AND abstained IS DISTINCT FROM 'too short' "
            f"ORDER BY confidence {order}, recording, start_s LIMIT {N_LISTED}",
        )


def estimate_share(
    x: float, xx: float, xn: float, n: float, nn: float, clusters: int
) -> tuple[float, float | None, float | None]:
    """Estimate a share and its 95% interval over clusters.

    Args:
        x: Sum over the clusters of the weight that counts.
        xx: Sum of its squares.
        xn: Sum of its products with the whole weight of the cluster.
        n: Sum of the whole weights.
        nn: Sum of their squares.
        clusters: Number of clusters.

    Returns:
        The share and the ends of its interval, in [0, 1]; no interval for fewer than
        ``MIN_CLUSTERS`` clusters.

    Examples:
        >>> share, low, high = estimate_share(20, 200, 200, 40, 400, 4)  # 10 of 10, 10, 0, 0
        >>> share, round(low, 2), round(high, 2)
        (0.5, 0.0, 1.0)
    """
    share = x / n
    if clusters < MIN_CLUSTERS:
        return share, None, None
    squares = max(0.0, xx - 2 * share * xn + share * share * nn)
    error = math.sqrt(clusters / (clusters - 1) * squares) / n
    margin = find_t(clusters - 1) * error
    return share, max(0.0, share - margin), min(1.0, share + margin)


def find_t(freedom: int) -> float:
    """Return the 97.5% quantile of Student's t (Abramowitz and Stegun, 1964, 26.7.5).

    Args:
        freedom: Degrees of freedom, at least 2.

    Examples:
        >>> round(find_t(10), 2), round(find_t(1_000), 3)
        (2.23, 1.962)
    """
    z, v = _Z, float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / v**power for power, term in enumerate(terms, start=1))
