"""``emovox reproduce``: the reference experiment, whole and honest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.options import DataOption, SplitsOption, ThreadsOption

if TYPE_CHECKING:
    from emovox.reproduce import ProtocolResult


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
    """Train the reference's two models, test them honestly, and say what follows.

    RAVDESS is downloaded where it is not found. An interrupted reproduction goes on where it
    stopped when it is started again.
    """
    from emovox.cli.data import ensure_ravdess
    from emovox.cli.progress import ProgressBars
    from emovox.experiment import set_threads
    from emovox.reproduce import PROTOCOLS, SPEAKER_INDEPENDENT, explain_result, reproduce_reference

    data = ensure_ravdess(data)
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


def print_result(result: "ProtocolResult") -> None:
    """Print a protocol's table, the published numbers beside ours for the reference split."""
    from emovox.reproduce import PUBLISHED, RECIPES

    n_folds = len(result.runs[0].evaluation.protocol.folds) if result.runs[0].evaluation else 0
    typer.echo(f"\n{result.label}, {n_folds} {'split' if n_folds == 1 else 'splits or folds'}")
    for name, run in zip(RECIPES, result.runs, strict=True):
        if run.evaluation is None:
            continue
        if result.protocol == "reference":
            published = PUBLISHED[name]
            typer.echo(
                f"  {name}: the reference printed WA {100 * published.first:.2f}, and "
                f"{100 * published.own_analysis:.2f} in its own error analysis of the same model"
            )
        for line in run.evaluation.describe():
            typer.echo(f"  {name}: {line}")
    typer.echo("  optimized minus vanilla, points (95% interval):")
    for d in result.comparison.differences:
        low, high = 100 * d.interval.low, 100 * d.interval.high
        typer.echo(f"    {d.name} {100 * d.value:+.1f} ({low:+.1f} to {high:+.1f})")
