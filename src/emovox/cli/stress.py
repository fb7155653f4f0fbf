"""``emovox stress``: how a model bears noise, telephones, rooms and other disturbances."""

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.options import DataOption, TableFormat

if TYPE_CHECKING:
    from emovox.evaluation.stress_scores import StressRow
    from emovox.stress.stress_test import StressReport

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
    targets: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...|MODEL",
            help="Run folders, several of one recipe with different seeds, or a model.onnx.",
        ),
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
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.csv", help="Write what is printed as CSV too."),
    ] = None,
    output: Annotated[TableFormat, typer.Option("--format", help="How to print.")] = (
        TableFormat.TABLE
    ),
) -> None:
    """Disturb recordings as the real world does, and see whether the model stays with its answer.

    Each fold's model of a run hears its own test clips; the result is kept in the run folder and
    shown in its report. Of several runs, which differ in their seed alone, the mean is printed. A
    model file hears the clips of --corpus, which it may have been trained on: the output says so.
    """
    from emovox.cli.progress import ProgressBars
    from emovox.files import write_text
    from emovox.perturbations.catalogue import find_tests
    from emovox.runs.stress import format_stress
    from emovox.stress.perturbed_clips import StressSettings
    from emovox.stress.stress_test import keep_result, stress_model, stress_runs

    chosen = find_tests(tests.split(",") if tests else ())
    settings = StressSettings(chosen, n_clips=clips, jobs=jobs, seed=seed)
    is_model = targets[0].is_file() and len(targets) == 1
    if is_model != (corpus is not None):
        raise typer.BadParameter(
            "a model file needs the clips that it shall hear: --corpus nemo"
            if is_model
            else "a run hears its own test clips; --corpus is for one model file",
            param_hint="--corpus",
        )
    with ProgressBars(targets[0].name) as watcher:
        if corpus is not None:
            report = stress_model(targets[0], corpus, data, settings, watcher)
        else:
            reports = stress_runs(targets, data, settings, watcher)
            report = reports.mean
    if corpus is None:
        for folder, own in zip(targets, reports.runs, strict=True):
            if not keep_result(folder, own):
                typer.echo(
                    f"emovox: {folder / 'stress.csv'} rests on more clips or tests and is left as "
                    "it is",
                    err=True,
                )
    if out is not None:
        write_text(out, format_stress(report.rows))
    print_report(report, output)


def print_report(report: "StressReport", output: TableFormat) -> None:
    """Print the result as a table, JSON or CSV."""
    from emovox.evaluation.summary import count
    from emovox.runs.stress import format_stress

    if output is TableFormat.CSV:
        typer.echo(format_stress(report.rows), nl=False)
        return
    if output is TableFormat.JSON:
        content = {
            "name": report.name,
            "basis": report.basis,
            "seeds": report.rows[0].trainings,
            "tests": [row.to_dict() for row in report.rows],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    first = report.rows[0]
    sampled = ", evenly over speakers" if first.clips < first.of_clips else ""
    typer.echo(f"{report.name}: {report.basis}")
    typer.echo(
        f"{first.clips:,} of {first.of_clips:,} clips{sampled}, {first.speakers} speakers, "
        f"{count(first.trainings, 'seed')}; UAR undisturbed {100 * first.plain_uar:.1f}; "
        f"95% {first.interval_name}; disturbed by seed {first.seed}"
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
        typer.echo(f"\n{sum(r.passed is True for r in asked)} of {len(asked)} tests passed")
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
