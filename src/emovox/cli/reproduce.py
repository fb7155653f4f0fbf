"""``emovox reproduce``: the reference experiment, whole and honest."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.options import DataOption, SplitsOption, ThreadsOption

if TYPE_CHECKING:
    from emovox.experiments.reproduce import ProtocolResult

WIDTH = 21
"""Of the column of names."""


def reproduce(
    everything: Annotated[
        bool, typer.Option("--all", help="Add the speaker-independent protocol (emobox-6).")
    ] = False,
    splits: SplitsOption = None,
    data: DataOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the run folders are made.")
    ] = Path("runs"),
    threads: ThreadsOption = None,
) -> None:
    """Train the reference's two models and ours, test them honestly, and say what follows.

    RAVDESS is downloaded where it is not found. An interrupted reproduction goes on where it
    stopped when it is started again.
    """
    from emovox.cli.data import ensure_ravdess
    from emovox.cli.progress import ProgressBars
    from emovox.experiments.reproduce import (
        PROTOCOLS,
        SPEAKER_INDEPENDENT,
        explain_result,
        reproduce_reference,
    )
    from emovox.experiments.train_and_test import set_threads

    data = ensure_ravdess(data)
    start = time.monotonic()
    set_threads(threads)
    protocols = (*PROTOCOLS, SPEAKER_INDEPENDENT) if everything else PROTOCOLS
    results = reproduce_reference(
        out, data, protocols=protocols, n_splits=splits, watch=ProgressBars
    )
    for result in results:
        print_result(result)
        typer.echo(explain_result(result))
        for run in result.runs:
            typer.echo(f"report: {run.folder / 'report.html'}")
        minutes = (time.monotonic() - start) / 60
        typer.echo(f"{result.protocol} finished after {minutes:.1f} min", err=True)


def print_result(result: "ProtocolResult") -> None:
    """Print a protocol's table, the published numbers beside ours for the reference split."""
    from emovox.experiments.reproduce import PUBLISHED, RECIPES

    evaluations = [run.evaluation for run in result.runs if run.evaluation is not None]
    typer.echo(f"\n{evaluations[0].describe_basis()}")
    typer.echo(" " * WIDTH + "WA                    UA                    F1")
    for name, evaluation in zip(RECIPES, evaluations, strict=True):
        cells = [
            format_cell(100 * s.value, 100 * s.interval.low, 100 * s.interval.high)
            for s in evaluation.summary.scores
        ]
        typer.echo(name.ljust(WIDTH) + "  ".join(cells))
    for name, comparison in (("optimized", result.comparison), ("encoder", result.gain)):
        cells = [
            format_cell(100 * d.value, 100 * d.interval.low, 100 * d.interval.high, sign="+")
            for d in comparison.differences
        ]
        typer.echo(f"{name} - vanilla".ljust(WIDTH) + "  ".join(cells))
    if result.protocol == "reference":
        for name, published in PUBLISHED.items():
            typer.echo(
                f"The reference printed WA {100 * published.first:.2f} for {name}, and "
                f"{100 * published.own_analysis:.2f} in its own error analysis of the same model."
            )


def format_cell(value: float, low: float, high: float, *, sign: str = "") -> str:
    """Format a score with its interval in a table's column."""
    return f"{value:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})".ljust(20)
