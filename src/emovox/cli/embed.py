"""``emovox embed``: write the encoder's embeddings of recordings."""

import csv
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emovox.cli.interrupts import raise_lost_interrupt
from emovox.cli.options import (
    MaxDurationOption,
    ModelOption,
    TrackOption,
    VadOption,
)
from emovox.cli.predict import STDIN, find_sources
from emovox.cli.terminal import echo, path_to_text
from emovox.files import replace_file
from emovox.recognition.results import FileFailure

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from emovox.recognition.recognizer import Recognizer

SUFFIXES = (".npz", ".csv", ".parquet")


def embed(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE|FOLDER...", help="Recordings and folders."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="The .npz, .csv or .parquet file to write."),
    ],
    model: ModelOption = None,
    vad: VadOption = True,
    max_duration_s: MaxDurationOption = 300,
    track: TrackOption = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Files processed in parallel.")
    ] = 1,
) -> None:
    """Write the encoder's embedding of each recording, for other models and statistics.

    A file that cannot be used, or has no speech, is reported on stderr and left out; the exit
    status is then 1.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"--out is {out}; expected a file ending in {', '.join(SUFFIXES)}")
    if STDIN in sources:
        raise typer.BadParameter("embeddings are named by files; standard input has no name")
    import numpy as np

    from emovox.recognition.recognizer import Recognizer

    recognizer = Recognizer.load(model, vad=vad, max_duration_s=max_duration_s)
    files: list[str] = []
    rows: list[npt.NDArray[np.float32]] = []
    n_failed = 0
    for source, found in embed_sources(recognizer, find_sources(sources), jobs, track):
        raise_lost_interrupt()
        if isinstance(found, FileFailure):
            n_failed += 1
            echo(f"emovox: {found.error}", err=True)
        else:
            files.append(str(source))
            rows.append(found)
    if rows:
        write_embeddings(out, files, np.stack(rows), recognizer.model.sha256)
        echo(f"{out}: {len(rows):,} x {rows[0].size:,}")
    if n_failed:
        raise typer.Exit(1)


def embed_sources(
    recognizer: "Recognizer", sources: Iterable[Any], jobs: int, track: int | None
) -> Iterator[tuple[Any, "npt.NDArray[np.float32] | FileFailure"]]:
    """Yield each source with its embedding, or what is wrong with it."""
    from emovox.recognition.failures import describe_failure

    def embed_one(source: Any) -> tuple[Any, "npt.NDArray[np.float32] | FileFailure"]:
        if isinstance(source, FileFailure):
            return source.file, source
        try:
            return source, recognizer.embed(source, track=track)
        except Exception as error:  # one recording must not stop the others
            return source, describe_failure(source, error)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(embed_one, sources)


def write_embeddings(
    out: Path, files: list[str], embeddings: "npt.NDArray[np.float32]", model: str
) -> None:
    """Write embeddings ``(files, features)`` in the format of the file's name."""
    import numpy as np

    with replace_file(out) as part:
        if out.suffix.lower() == ".npz":
            with part.open("wb") as file:
                np.savez_compressed(
                    file, embeddings=embeddings, files=np.array(files), model=np.array(model)
                )
            return
        columns = ["file", *(f"f{at}" for at in range(embeddings.shape[1]))]
        if out.suffix.lower() == ".csv":
            with part.open("w", encoding="utf-8", newline="") as text:
                writer = csv.writer(text, lineterminator="\n")
                writer.writerow(columns)
                for name, row in zip(files, embeddings, strict=True):
                    writer.writerow([path_to_text(name, "utf-8"), *(f"{x:.9g}" for x in row)])
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = pa.array([path_to_text(name, "utf-8") for name in files])
        table = pa.table([names, *(pa.array(column) for column in embeddings.T)], names=columns)
        pq.write_table(table, part)
