"""Options that several commands share, each with one name and one help text."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How predictions are printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class ScoreFormat(StrEnum):
    """How scores are printed."""

    TABLE = "table"
    JSON = "json"


class TableFormat(StrEnum):
    """How a table of results is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Where the corpora lie. Default: EMOVOX_DATA, else the folder that 'emovox data "
        "fetch' fills.",
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
ScoreFormatOption = Annotated[
    ScoreFormat, typer.Option("--format", case_sensitive=False, help="How to print.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, help="CPU threads for training. Default: all cores."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting of the recipe, e.g. training.optimizer=adam. May be repeated.",
    ),
]
CorpusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        metavar="NAME|PATH",
        help="What to train on: a known corpus, a list or a folder. May be repeated: the protocol "
        "splits the first, the others only train. Default: the recipe's.",
    ),
]
SplitsOption = Annotated[
    int | None,
    typer.Option("--splits", min=1, metavar="N", help="Only the first N folds: a quick look."),
]
