"""One row of the benchmark table: both sides' values, their ratio, and the target."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row of the result.

    Attributes:
        name: What was measured.
        ours: Our values, one per run.
        theirs: The values of the peer or the bare loop; empty if missing.
        unit: Of both.
        ratio: Between the medians, the way round that ``wanted`` speaks of.
        wanted: What we aim for.
    """

    name: str
    ours: list[float]
    theirs: list[float]
    unit: str
    ratio: float | None
    wanted: str


def format_row(row: Row) -> str:
    """Return medians and ratio as one line."""

    def cell(values: list[float]) -> str:
        return f"{statistics.median(values):.4g} {row.unit}" if values else ""

    ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
    return f"{row.name:50} {cell(row.ours):>12} {cell(row.theirs):>12} {ratio:>7}  {row.wanted}"


def speedup(name: str, ours: list[float], theirs: list[float], wanted: str) -> Row:
    """Make a row whose ratio is how many times faster we are."""
    ratio = statistics.median(theirs) / statistics.median(ours)
    return Row(name, ours, theirs, "s", ratio, wanted)


def cost(name: str, ours: list[float], theirs: list[float], wanted: str, unit: str = "s") -> Row:
    """Make a row whose ratio is how many times as much we need."""
    return Row(
        name, ours, theirs, unit, statistics.median(ours) / statistics.median(theirs), wanted
    )


def format_header() -> str:
    """Return the table's first line."""
    return f"{'':50} {'ours':>12} {'theirs':>12} {'ratio':>7}  wanted"
