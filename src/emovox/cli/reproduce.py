"""``emovox reproduce``: repeat the reference experiment, with intervals and several seeds."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.options import DataOption, JobsOption, SplitsOption
from emovox.cli.paragraphs import echo_wrapped
from emovox.cli.terminal import echo
from emovox.cores import count_cores

if TYPE_CHECKING:
    from emovox.evaluation.intervals import Interval
    from emovox.experiments.reproduce import ProtocolResult

COLUMN = 25
"""Width of the column of a recipe."""


def reproduce(
    everything: Annotated[
        bool, typer.Option("--all", help="Add the speaker-independent protocol (emobox-6).")
    ] = False,
    splits: SplitsOption = None,
    data: DataOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder for the run folders.")
    ] = Path("runs"),
    jobs: JobsOption = None,
) -> None:
    """Train and test the reference's two models and ours, and explain the results.

    Without RAVDESS, a checkout's compressed copies are used; with --all, or without a checkout,
    RAVDESS is downloaded (208 MB). If interrupted, run the same command again to resume.
    """
    from emovox.cli.progress import ProgressBars
    from emovox.cli.recordings import choose_recordings
    from emovox.experiments.reproduce import (
        PROTOCOLS,
        SPEAKER_INDEPENDENT,
        explain_result,
        reproduce_reference,
    )
    from emovox.runs.metrics import describe_machine

    data, missing = choose_recordings(data, everything=everything)
    start = time.monotonic()
    protocols = (*PROTOCOLS, SPEAKER_INDEPENDENT) if everything and not missing else PROTOCOLS
    with ProgressBars("reproduce") as watcher:
        results = reproduce_reference(
            out,
            data,
            protocols=protocols,
            n_splits=splits,
            jobs=jobs or count_cores(),
            watcher=watcher,
        )
        for result in results:
            print_result(result)
            for paragraph in explain_result(result).splitlines():
                echo_wrapped(paragraph)
            for recipe in result.recipes:
                for run in recipe.runs:
                    echo(f"report: {run.folder / 'report.html'}")
            minutes = (time.monotonic() - start) / 60
            echo(f"{result.protocol} finished after {minutes:.1f} min", err=True)
    echo()
    echo_wrapped(
        f"Processor: {describe_machine()['processor']}. On a different processor, the same "
        "seed gives a different CNN: seed 0 of optimized has scored WA 69.4, 63.9 and 58.3 on the "
        "single split of reference. Compare means over seeds or splits, not single seeds."
    )
    # Results are of the last protocol now, and of our recipe last.
    folder = result.recipes[-1].runs[0].folder
    echo_wrapped(
        f"Next: open {folder / 'report.html'}, our model's report; 'emovox predict recording.wav' "
        "predicts a recording of yours, 'emovox train --corpus my.csv' trains on your own labels"
        + ("." if everything else ", and 'emovox reproduce --all' tests on unseen speakers.")
    )
    if missing:
        echo_wrapped(
            f"Not run: {SPEAKER_INDEPENDENT}, on unseen speakers, which needs all of RAVDESS: "
            f"{missing}. Then run the same command again."
        )
        raise typer.Exit(1)


def print_result(result: "ProtocolResult") -> None:
    """Print the tables of a protocol, with the published scores for the reference split."""
    from emovox.evaluation.metrics import SCORE_NAMES
    from emovox.evaluation.summary import describe_basis
    from emovox.experiments.reproduce import PUBLISHED

    n_seeds = len(result.recipes[0].runs)
    echo()
    echo_wrapped(describe_basis(result.recipes[0].summary, result.label, n_seeds))
    table = [["", *(recipe.name for recipe in result.recipes)]]
    for i, name in enumerate(SCORE_NAMES):
        scores = [recipe.summary.scores[i] for recipe in result.recipes]
        table.append([name, *(format_cell(score.value, score.interval) for score in scores)])
    print_table(table)
    if n_seeds > 1:
        ranges = [
            f"{100 * min(values):.1f} to {100 * max(values):.1f}"
            for values in (recipe.wa_of_seeds for recipe in result.recipes)
        ]
        echo(f"WA of single seeds, from the lowest to the highest of {n_seeds}:")
        print_table([["", *ranges]])
    echo("Differences, in points:")
    comparisons = (result.comparison, result.gain)
    table = [["", *(" - ".join(comparison.names) for comparison in comparisons)]]
    for i, name in enumerate(SCORE_NAMES):
        differences = [comparison.differences[i] for comparison in comparisons]
        table.append([name, *(format_cell(d.value, d.interval, sign="+") for d in differences)])
    print_table(table)
    if result.protocol == "reference":
        for name, published in PUBLISHED.items():
            echo_wrapped(
                f"The reference reported WA {100 * published.first:.2f} for {name}, and "
                f"{100 * published.own_analysis:.2f} in its own error analysis of the same model."
            )


def print_table(rows: list[list[str]]) -> None:
    """Print a table with a narrow first column."""
    for first, *cells in rows:
        echo(f"{first:<4}{''.join(cell.ljust(COLUMN) for cell in cells)}".rstrip())


def format_cell(value: float, interval: "Interval", *, sign: str = "") -> str:
    """Format a score and its interval, in percent."""
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * value:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"
