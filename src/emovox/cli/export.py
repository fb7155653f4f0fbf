"""``emovox export``: convert the model of a run for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import DataOption, RunArgument
from emovox.cli.terminal import echo


class ExportFormat(StrEnum):
    """Export formats."""

    KERAS = "keras"
    ONNX = "onnx"


def export(
    run: RunArgument,
    output: Annotated[
        ExportFormat, typer.Option("--format", case_sensitive=False, help="Format to export.")
    ],
    fold: Annotated[
        str | None,
        typer.Option(
            "--fold", metavar="NAME", help="Fold whose model is exported. Default: the first."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Output folder. Default: the folder of the fold."
        ),
    ] = None,
    data: DataOption = None,
) -> None:
    """Export a trained model, after checking that it agrees with PyTorch on real clips."""
    from emovox.experiments.export import export_run

    for path in export_run(run, output.value, fold=fold, out=out, data=data):
        echo(path)
