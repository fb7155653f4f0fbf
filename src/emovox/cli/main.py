"""``emovox``: the command-line application and its error handling."""

import io
import logging
import os
import sys
from typing import Annotated, Any

import typer

from emovox import __version__
from emovox.cli import (
    adapt,
    archive,
    compare,
    data,
    demo,
    embed,
    enroll,
    evaluate,
    explain,
    export,
    info,
    listen,
    page,
    predict,
    report,
    reproduce,
    serve,
    stress,
    sweep,
    timeline,
    train,
    tune,
)
from emovox.cli.interrupts import catch_lost_interrupts, raise_lost_interrupt
from emovox.cli.terminal import echo
from emovox.corpora.locate import find_cache
from emovox.errors import EmovoxError

ClickException: Any = typer.BadParameter.__mro__[2]
"""Base class of usage errors: newer versions of typer bring their own click."""
EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130
EXTRAS = {
    "evaluate": "pydantic scipy sklearn matplotlib jinja2 markupsafe onnx tomli_w yaml",
    "train": "torch onnxscript safetensors filelock",
    "tune": "optuna sqlalchemy psycopg",
    "hf": "transformers huggingface_hub",
    "keras": "keras h5py",
    "frame": "pandas",
    "parquet": "pyarrow",
    "mic": "sounddevice",
    "serve": "fastapi starlette uvicorn h11 websockets python_multipart",
    "archive": "pyarrow fsspec duckdb",
    "cluster": "ray",
}
"""Packages that each extra installs, besides those of the extras it includes."""
COMMAND_EXTRAS = {
    **dict.fromkeys(("archive", "archive-report"), "archive"),
    "tune": "tune",
    "serve": "serve",
    **dict.fromkeys("train sweep reproduce export".split(), "train"),
}
"""Extra that a command needs, whichever package is missing; it includes `evaluate`."""
RESUMING = {
    "train": ": continue with --resume",
    **dict.fromkeys(
        ("archive", "reproduce", "sweep", "tune"), ": run the same command again to continue"
    ),
}
"""How to continue a command after Ctrl-C."""

app = typer.Typer(
    help="Speech emotion recognition that people can trust.",
    no_args_is_help=True,
    # Plain text: rich's boxes truncate options and break paragraphs at 80 columns.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("predict", short_help="Predict the emotion of recordings.")(predict.predict)
app.command("timeline", short_help="Follow the emotion through long recordings.")(timeline.timeline)
app.command("listen", short_help="Follow the emotion live, from a microphone.")(listen.listen)
app.command("archive", short_help="Process any number of recordings, resumably.")(archive.archive)
app.command("archive-report", short_help="Make one page from a finished archive.")(
    archive.archive_report
)
app.command("page", short_help="Write the web page that predicts in the browser.")(page.page)
app.command("demo", short_help="Predict bundled recordings, with a page to listen.")(demo.demo)
app.command("enroll", short_help="Learn a voice, to predict relative to it.")(enroll.enroll)
app.command("embed", short_help="Write embeddings of recordings, for other models.")(embed.embed)
app.command("explain", short_help="Show which regions of a recording drove the prediction.")(
    explain.explain
)
app.command("train", short_help="Train and test a recipe.")(train.train)
app.command("evaluate", short_help="Score a run again, or a model file on a corpus.")(
    evaluate.evaluate
)
app.command("adapt", short_help="Adapt a model to a few labelled clips of your own.")(adapt.adapt)
app.command("compare", short_help="Compare two runs on the same test clips.")(compare.compare)
app.command("stress", short_help="Test a model on perturbed recordings.")(stress.stress)
app.command("tune", short_help="Search for better settings of a recipe.")(tune.tune)
app.command("sweep", short_help="Train every combination of given settings.")(sweep.sweep)
app.command("reproduce", short_help="Reproduce the reference experiment, with our model.")(
    reproduce.reproduce
)
app.command("report", short_help="Rebuild the report.html of a run.")(report.report)
app.command("info", short_help="Show what a model is made of, its licence and scores.")(info.info)
app.command("serve", short_help="Serve predictions and live streams over HTTP.")(serve.serve)
app.command("export", short_help="Export the model of a run for other programs.")(export.export)
app.add_typer(data.app, name="data")


def show_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        echo(f"emovox {__version__}")
        raise typer.Exit


@app.callback()
def start(
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Log to stderr; goes before the command name."),
    ] = False,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Speech emotion recognition that people can trust."""
    logger = logging.getLogger("emovox")
    logger.handlers = [EchoHandler()]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    # Matplotlib's list of fonts; a program that uses emovox as a library keeps its own place.
    os.environ.setdefault("MPLCONFIGDIR", str(find_cache() / "matplotlib"))


class EchoHandler(logging.Handler):
    """Prints log messages on stderr, above any progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        for line in f"emovox: {self.format(record)}".split("\n"):
            echo(line, err=True)


def main() -> None:
    """Run the command line; failures print one line on stderr and exit with status 1."""
    catch_lost_interrupts()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may be invalid text, or have characters that the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        run()
    except KeyboardInterrupt:
        how = RESUMING.get(find_command(), "")
        echo(f"emovox: interrupted; what was finished is kept{how}", err=True)
        sys.exit(EXIT_INTERRUPTED)


def run() -> None:
    """Run the command line; report any failure except an interrupt, which is raised."""
    try:
        status = app(prog_name="emovox", standalone_mode=False)
        if status == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(status or 0)
    except ClickException as error:
        # Its text names arguments, which may be file names.
        shown = io.StringIO()
        error.show(shown)
        for line in shown.getvalue().rstrip("\n").split("\n"):
            echo(line, err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe: nothing more to report.
        sys.stderr.close()
        sys.exit(EXIT_FAILURE)
    except (EmovoxError, OSError) as error:
        # An interrupt lost in a decoder looks like a damaged recording.
        raise_lost_interrupt()
        echo(f"emovox: {error}", err=True)
        sys.exit(EXIT_FAILURE)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "emovox":
            raise
        echo(f"emovox: {explain_missing(error.name or '')}", err=True)
        sys.exit(EXIT_FAILURE)
    except Exception as error:  # a bug, or out of memory: still one line
        raise_lost_interrupt()
        logging.getLogger("emovox").info("unexpected", exc_info=True)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        echo(
            f"emovox: unexpected {reason}; run 'emovox --verbose ...' for details, and report it",
            err=True,
        )
        sys.exit(EXIT_FAILURE)


def explain_missing(module: str) -> str:
    """Return a message naming the extra that installs a missing module."""
    name = module.partition(".")[0]
    extra = next((extra for extra, names in EXTRAS.items() if name in names.split()), None)
    if extra is None:
        return f"this command needs {name}, which is not installed; pip install {name}"
    if extra in ("evaluate", "train", "parquet"):
        extra = COMMAND_EXTRAS.get(find_command(), extra)
    return f"this command needs {name}, which is not installed; pip install 'emovox[{extra}]'"


def find_command() -> str:
    """Return the name of the command on the command line; empty if there is none."""
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "")
