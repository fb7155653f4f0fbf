"""``emovox export``: a run's model for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import DataOption, RunArgument


class ExportFormat(StrEnum):
    """What can be written."""

    KERAS = "keras"
    ONNX = "onnx"


def export(
    run: RunArgument,
    output: Annotated[
        ExportFormat, typer.Option("--format", case_sensitive=False, help="What to write.")
    ],
    fold: Annotated[
        str | None,
        typer.Option("--fold", metavar="NAME", help="Which fold's model. Default: the first."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where. Default: the fold's folder."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Write a trained model anew from its weights, once it agrees with PyTorch on real clips."""
    from emovox.experiments.export import export_run

    for path in export_run(run, output.value, fold=fold, out=out, data=data):
        typer.echo(path)
