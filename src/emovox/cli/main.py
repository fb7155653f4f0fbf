"""``emovox``: the commands, and how every one of them fails."""

import sys
from typing import Annotated

import typer

from emovox import __version__
from emovox.cli import (
    compare,
    data,
    evaluate,
    export,
    predict,
    report,
    reproduce,
    sweep,
    train,
)
from emovox.errors import EmovoxError

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="Speech emotion recognition that people can trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("predict")(predict.predict)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("sweep")(sweep.sweep)
app.command("reproduce")(reproduce.reproduce)
app.command("report")(report.report)
app.command("export")(export.export)
app.add_typer(data.app, name="data")


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"emovox {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Speech emotion recognition that people can trust."""


def main() -> None:
    """Run the command line; a failure is one line on stderr and exit status 1."""
    try:
        app()
    except EmovoxError as error:
        typer.echo(f"emovox: {error}", err=True)
        sys.exit(EXIT_FAILURE)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "emovox":
            raise
        typer.echo(
            f"emovox: this command needs {error.name}, which is not installed; "
            "pip install 'emovox[train]'",
            err=True,
        )
        sys.exit(EXIT_FAILURE)
    except KeyboardInterrupt:
        typer.echo("emovox: interrupted; what was finished is kept", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has gone; nobody is left to tell.
        sys.stderr.close()
        sys.exit(EXIT_FAILURE)
