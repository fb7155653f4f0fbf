"""``emovox report``: build a run's page again."""

import typer

from emovox.cli.options import DataOption, RunArgument


def report(run: RunArgument, data: DataOption = None) -> None:
    """Build report.html of a run again, with players for its worst mistakes where the data is."""
    from emovox.corpora.cross import list_corpora
    from emovox.corpora.read import load_clips
    from emovox.errors import CorpusError
    from emovox.report.page import write_report
    from emovox.runs.folder import open_finished_run

    settings = open_finished_run(run).recipe.data
    clips = None
    try:
        corpora = list_corpora(settings.protocol, settings.corpora)
        clips = {clip.name: clip for clip in load_clips(data, corpora)}
    except CorpusError as error:
        if data is not None:
            raise
        typer.echo(f"emovox: without recordings: {error}", err=True)
    typer.echo(write_report(run, clips))
