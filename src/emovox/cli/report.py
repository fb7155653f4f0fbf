"""``emovox report``: build the report of a run, or of a model file's evaluation, again."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import DataOption


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="A run folder, or what evaluating a model file left."
        ),
    ],
    data: DataOption = None,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps", help="Draw what predictions rest on as well; takes half a minute more."
        ),
    ] = False,
) -> None:
    """Build report.html again, with players for the worst mistakes where the recordings are."""
    from emovox.errors import CorpusError
    from emovox.report.page import write_report
    from emovox.report.sources import load_report_clips

    clips = None
    try:
        clips = load_report_clips(folder, data)
    except CorpusError as error:
        if data is not None:
            raise
        typer.echo(f"emovox: without recordings: {error}", err=True)
    typer.echo(write_report(folder, clips, maps=maps))
