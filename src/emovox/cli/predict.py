"""``emovox predict``: the emotion of recordings."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.interrupts import raise_lost_interrupt
from emovox.cli.options import Format
from emovox.recognition.results import FileFailure, Prediction

if TYPE_CHECKING:
    from emovox.recognition.recognizer import Recognizer

STDIN = "-"
Results = Iterable[Prediction | FileFailure]


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE|FOLDER|-...", help="Recordings, folders, or - (stdin)."),
    ],
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FILE", help="A model.onnx. Default: the package's own."),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            metavar="SHARE",
            min=0,
            max=1,
            help="Below this confidence there is no emotion, but 'uncertain'; 0: never. "
            "Default: the model file's own threshold.",
        ),
    ] = None,
    vad: Annotated[
        bool,
        typer.Option(
            " /--no-vad",
            help="Do not ask first whether anybody speaks: noise and music get an emotion too.",
        ),
    ] = True,
    max_duration_s: Annotated[
        float,
        typer.Option("--max-duration", metavar="SECONDS", min=0.1, help="Longest recording taken."),
    ] = 300,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Files at the same time.")
    ] = 1,
) -> None:
    """Predict the emotion of recordings, with the score of every class.

    A file that cannot be used is reported on stderr, and as an object with "error" in JSON; the
    others go on, and the exit status is then 1.
    """
    from emovox.recognition.recognizer import Recognizer

    recognizer = Recognizer.load(
        model, vad=vad, min_confidence=min_confidence, max_duration_s=max_duration_s
    )
    results = predict_sources(recognizer, sources, jobs)
    writers = {
        Format.TABLE: write_table,
        Format.JSON: write_json,
        Format.JSONL: write_jsonl,
        Format.CSV: write_csv,
    }
    n_failures = 0

    def watch_failures() -> Iterator[Prediction | FileFailure]:
        nonlocal n_failures
        for result in results:
            raise_lost_interrupt()
            if isinstance(result, FileFailure):
                n_failures += 1
                typer.echo(f"emovox: {result.error}", err=True)
            yield result

    writers[output](watch_failures(), recognizer.info.labels)
    if n_failures:
        raise typer.Exit(1)


def predict_sources(
    recognizer: "Recognizer", sources: list[str], jobs: int
) -> Iterator[Prediction | FileFailure]:
    """Predict files, the audio files of folders, and standard input, in the order given."""
    from emovox.errors import AudioError

    for kind, group in groupby(sources, key=classify_source):
        if kind == "file":
            yield from recognizer.predict_files(group, jobs=jobs)
            continue
        for source in group:
            try:
                if kind == "stdin":
                    yield recognizer.predict(sys.stdin.buffer)
                else:
                    yield from recognizer.predict_folder(source, jobs=jobs)
            except AudioError as error:
                yield FileFailure(source, str(error))


def classify_source(source: str) -> str:
    """Tell standard input, a folder and a file apart."""
    if source == STDIN:
        return "stdin"
    return "folder" if os.path.isdir(source) else "file"


def write_table(results: Results, labels: tuple[str, ...]) -> None:
    """Print a line per recording as soon as it is known: emotion, confidence, all scores, file."""
    has_head = False
    for p in results:
        if isinstance(p, FileFailure):
            continue
        if not has_head:
            head = " ".join(f"{label:>9}" for label in labels)
            typer.echo(f"{'emotion':<10} {'confidence':>10}  {head}  file")
            has_head = True
        scores = " ".join(f"{p.scores[label]:>9.3f}" for label in labels)
        name = p.file or STDIN
        typer.echo(f"{p.emotion or p.abstained:<10} {p.confidence:>10.3f}  {scores}  {name}")


def write_json(results: Results, labels: tuple[str, ...]) -> None:  # noqa: ARG001
    """Print one JSON array."""
    typer.echo(json.dumps([result.to_dict() for result in results], indent=2))


def write_jsonl(results: Results, labels: tuple[str, ...]) -> None:  # noqa: ARG001
    """Print a JSON object per line, as soon as it is known."""
    for result in results:
        typer.echo(json.dumps(result.to_dict()))


def write_csv(results: Results, labels: tuple[str, ...]) -> None:
    """Print CSV with a column per emotion."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("file", "start", "end", "emotion", "confidence", "abstained", *labels))
    for p in results:
        if isinstance(p, FileFailure):
            continue
        row = p.to_dict()
        scores = row.pop("scores")
        writer.writerow([*row.values(), *(scores[label] for label in labels)])
        sys.stdout.flush()
