"""``emovox sweep``: train every combination of given settings under one protocol."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import (
    DataOption,
    JobsOption,
    ScoreFormat,
    ScoreFormatOption,
    SetOption,
    SimilarSpeakersOption,
    SplitsOption,
)
from emovox.cli.terminal import echo, echo_json
from emovox.cores import count_cores


def sweep(
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="KEY=VALUE,VALUE",
            help="Setting to vary, with its values. Repeatable. Default: RMSprop and Adam x none, "
            "L1, L2, dropout, L2+dropout.",
        ),
    ] = None,
    base: Annotated[
        str, typer.Option("--recipe", metavar="NAME|FILE", help="Recipe to vary.")
    ] = "vanilla",
    changes: SetOption = None,
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="NAME", help="Evaluation protocol.")
    ] = "reference-repeated",
    allow_similar_speakers: SimilarSpeakersOption = False,
    splits: SplitsOption = None,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Output folder. Default: runs/sweep-PROTOCOL."
        ),
    ] = None,
    output: ScoreFormatOption = ScoreFormat.TABLE,
    jobs: JobsOption = None,
) -> None:
    """Train every combination of the given values and print one table with intervals.

    Each combination is compared with the first, clip by clip. If interrupted, run the same command
    again to resume.
    """
    from emovox.cli.progress import ProgressBars
    from emovox.experiments.sweep import sweep_recipe

    with ProgressBars("sweep") as watcher:
        rows = sweep_recipe(
            base,
            out,
            grid=grid or (),
            changes=changes or (),
            protocol=protocol,
            n_splits=splits,
            data=data,
            allow_similar_speakers=allow_similar_speakers,
            jobs=jobs or count_cores(),
            watcher=watcher,
        )
    if output is ScoreFormat.JSON:
        echo_json([row.to_dict() for row in rows])
        return
    first = rows[0]
    echo(f"{first.evaluation.describe_basis()}; paired differences from {first.name}")
    echo(f"{'':<24} {'WA (95% interval)':<24} {'UA':>5}  {'F1':>5}  difference in WA")
    for row in rows:
        wa, ua, f1 = row.evaluation.summary.scores
        low, high = 100 * wa.interval.low, 100 * wa.interval.high
        interval = f"{100 * wa.value:.1f} ({low:.1f} to {high:.1f})"
        note = ""
        if row.against_first is not None:
            d, better = row.against_first.wa, row.against_first.better
            low, high = 100 * d.interval.low, 100 * d.interval.high
            shown = {None: "not shown to differ", row.against_first.names[0]: "better"}
            verdict = shown.get(better, "worse")
            note = f"{100 * d.value:+.1f} ({low:+.1f} to {high:+.1f}): {verdict}"
        scores = f"{100 * ua.value:5.1f}  {100 * f1.value:5.1f}"
        echo(f"{row.name:<24} {interval:<24} {scores}  {note}")
