"""``emovox stress``: test robustness to noise, telephone lines, rooms and other perturbations."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import DataOption, JobsOption, TableFormat
from emovox.cli.terminal import echo, echo_json
from emovox.cores import count_cores


def stress(
    targets: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...|MODEL",
            help="One run folder, several of one recipe with different seeds, or a model.onnx.",
        ),
    ],
    tests: Annotated[
        str | None,
        typer.Option(
            "--tests",
            metavar="NAME,...",
            help="Groups (small, background, curve, interference, length, phone, codec, room, "
            "level, silence, speed) or single tests to run. Default: all.",
        ),
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            "--clips", metavar="N", min=1, help="Test only N clips, spread evenly over speakers."
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            "--draws",
            metavar="N",
            min=1,
            help="Average over N draws of each random perturbation; takes N times as long.",
        ),
    ] = 1,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            metavar="NAME|PATH",
            help="Recordings to test a model file on: a known corpus, a list or a folder.",
        ),
    ] = None,
    data: DataOption = None,
    jobs: JobsOption = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of the random perturbations.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.csv", help="Also write the results as CSV."),
    ] = None,
    output: Annotated[
        TableFormat, typer.Option("--format", case_sensitive=False, help="Output format.")
    ] = (TableFormat.TABLE),
) -> None:
    """Perturb recordings in realistic ways and count how many predictions change.

    For a run, the model of each fold is tested on its own test clips; results are saved in the run
    folder and shown in its report. For several runs that differ only in seed, the mean is printed.
    A model file is tested on the clips of --corpus; the output says if it was trained on them.
    """
    from emovox.cli.progress import ProgressBars
    from emovox.files import write_text
    from emovox.perturbations.catalogue import find_tests
    from emovox.runs.stress import format_stress
    from emovox.stress.perturbed_clips import StressSettings
    from emovox.stress.stress_test import stress_model, stress_runs

    if corpus is not None and len(targets) > 1:
        raise typer.BadParameter("found several targets; expected one model file with --corpus")
    chosen = find_tests(tests.split(",") if tests else ())
    settings = StressSettings(
        chosen, n_clips=clips, draws=draws, jobs=jobs or count_cores(), seed=seed
    )
    with ProgressBars(targets[0].name) as watcher:
        if corpus is not None:
            report = stress_model(targets[0], corpus, data, settings, watcher)
        else:
            reports = stress_runs(targets, data, settings, watcher)
            report = reports.mean
    for path in () if corpus is not None else reports.left:
        echo(f"emovox: {path} has results of more clips, tests or draws, which are kept", err=True)
    table = format_stress(report.rows)
    if out is not None:
        write_text(out, table)
    if output is TableFormat.CSV:
        for line in table.splitlines():
            echo(line)
    elif output is TableFormat.JSON:
        content = {
            "name": report.name,
            "basis": report.basis,
            "seeds": report.rows[0].trainings,
            "shares_generators": report.shares_generators,
            "tests": [row.to_dict() for row in report.rows],
        }
        echo_json(content)
    else:
        for line in report.describe():
            echo(line)
