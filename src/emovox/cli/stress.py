"""``emovox stress``: how a model bears noise, telephones, rooms and other disturbances."""

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.options import DataOption, TableFormat

if TYPE_CHECKING:
    from emovox.evaluation.stress import StressRow
    from emovox.stress import StressReport

TITLES = {
    "small": "small changes",
    "background": "background at 20 dB",
    "curve": "background, louder",
    "phone": "telephone",
    "codec": "codecs",
    "room": "rooms",
    "level": "large gains",
    "silence": "silence",
    "speed": "speed",
}


def stress(
    target: Annotated[
        Path, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a model.onnx.")
    ],
    tests: Annotated[
        str | None,
        typer.Option(
            "--tests",
            metavar="NAME,...",
            help=f"Only these groups ({', '.join(TITLES)}) or single tests. Default: all.",
        ),
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            "--clips", metavar="N", min=1, help="Only N clips, evenly over speakers: a quick look."
        ),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            metavar="NAME|PATH",
            help="Whose clips a model file hears: a known corpus, a list or a folder.",
        ),
    ] = None,
    data: DataOption = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Clips at the same time.")
    ] = 1,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Of the random draws.")
    ] = 0,
    output: Annotated[TableFormat, typer.Option("--format", help="How to print.")] = (
        TableFormat.TABLE
    ),
) -> None:
    """Disturb recordings as the real world does, and see whether the model stays with its answer.

    Each fold's model of a run hears its own test clips; the result is kept in the run folder and
    shown in its report. A model file hears the clips of --corpus, which it may have been trained
    on: the output says so.
    """
    from emovox.cli.progress import ProgressBars
    from emovox.perturbations.catalogue import find_tests
    from emovox.stress import StressSettings, keep_result, stress_model, stress_run

    chosen = find_tests(tests.split(",") if tests else ())
    settings = StressSettings(chosen, n_clips=clips, jobs=jobs, seed=seed)
    is_model = target.is_file()
    if is_model != (corpus is not None):
        raise typer.BadParameter(
            "a model file needs the clips that it shall hear: --corpus nemo"
            if is_model
            else "a run hears its own test clips; --corpus is for a model file",
            param_hint="--corpus",
        )
    with ProgressBars(target.name) as watcher:
        if corpus is not None:
            report = stress_model(target, corpus, data, settings, watcher)
        else:
            report = stress_run(target, data, settings, watcher)
    if corpus is None and not keep_result(target, report):
        typer.echo(
            f"emovox: {target / 'stress.csv'} rests on more clips or tests and is left as it is",
            err=True,
        )
    print_report(report, output)


def print_report(report: "StressReport", output: TableFormat) -> None:
    """Print the result as a table, JSON or CSV."""
    from emovox.evaluation.stress import format_stress

    if output is TableFormat.CSV:
        typer.echo(format_stress(report.rows), nl=False)
        return
    if output is TableFormat.JSON:
        content = {
            "name": report.name,
            "basis": report.basis,
            "tests": [row.to_dict() for row in report.rows],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    first = report.rows[0]
    sampled = ", evenly over speakers" if first.clips < first.of_clips else ""
    typer.echo(f"{report.name}: {report.basis}")
    typer.echo(
        f"{first.clips:,} of {first.of_clips:,} clips{sampled}, {first.speakers} speakers; "
        f"UAR undisturbed {100 * first.plain_uar:.1f}; 95% intervals over speakers; "
        f"seed {first.seed}"
    )
    typer.echo(
        f"\n{'':<24} {'unchanged':<20}  {'UAR change, points':<22}  {'asked for':<23}  "
        "result  public models*"
    )
    for group, rows in groupby(report.rows, key=lambda row: row.group):
        typer.echo(TITLES[group])
        for row in rows:
            typer.echo(format_row(row))
    asked = [row for row in report.rows if row.passed is not None]
    if asked:
        typer.echo(f"\n{sum(r.passed is True for r in asked)} of {len(asked)} thresholds held")
    typer.echo(
        "* the best of the public models that audEERING's ser-tests lists (94 to 317 M parameters, "
        "trained on MSP-Podcast):\n  unchanged on CREMA-D / EMOVO, 4 classes; another task than "
        "this one, so a guide and no ranking"
    )


def format_row(row: "StressRow") -> str:
    """Return a test's line in the table."""
    unchanged = f"{row.unchanged:.3f} ({row.unchanged_low:.2f} to {row.unchanged_high:.2f})"
    change = (
        f"{100 * row.uar_change:+.1f} ({100 * row.uar_change_low:+.1f} to "
        f"{100 * row.uar_change_high:+.1f})"
    )
    asked = []
    if row.min_unchanged is not None:
        asked.append(f">= {row.min_unchanged:.2f}")
    if row.max_uar_loss is not None:
        asked.append(f"UAR loss <= {100 * row.max_uar_loss:.0f}")
    result = {True: "pass", False: "FAIL", None: ""}[row.passed]
    line = (
        f"  {row.test:<22} {unchanged:<20}  {change:<22}  {', '.join(asked):<23}  {result:<6}  "
        f"{row.public_models}"
    )
    return line.rstrip()
