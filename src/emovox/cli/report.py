"""``emovox report``: rebuild the report of a run or of a model evaluation."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import DataOption
from emovox.cli.terminal import echo


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="A run folder, or the output folder of 'emovox evaluate'."
        ),
    ],
    data: DataOption = None,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps", help="Include maps that explain predictions; takes about 30 s longer."
        ),
    ] = False,
) -> None:
    """Rebuild report.html, with players for the worst mistakes if the recordings are available."""
    from emovox.errors import CorpusError
    from emovox.report.page import write_report
    from emovox.report.sources import load_report_clips

    clips = None
    try:
        clips = load_report_clips(folder, data)
    except CorpusError as error:
        if data is not None:
            raise
        echo(f"emovox: without recordings: {error}", err=True)
    echo(write_report(folder, clips, maps=maps))
