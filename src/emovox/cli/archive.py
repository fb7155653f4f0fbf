"""``emovox archive`` and ``archive-report``: any number of recordings, and what they hold."""

import sys
import time
from collections import Counter
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from emovox.archives.progress import ArchiveWatcher
from emovox.cli.options import (
    EachChannelOption,
    JobsOption,
    MinConfidenceOption,
    ModelOption,
    TrackOption,
    VadOption,
)
from emovox.cli.terminal import echo
from emovox.wording import count

UPDATE_S = 30.0
"""How often a line is printed where no bar is drawn."""


class WhatOption(StrEnum):
    """What is computed for each recording."""

    PREDICT = "predict"
    TIMELINE = "timeline"
    EMBED = "embed"


class EngineOption(StrEnum):
    """Who processes the recordings."""

    LOCAL = "local"
    RAY = "ray"


def archive(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a quoted glob, a tar, a zip, a manifest (.csv, .tsv, .parquet), an "
            "audformat database, or an address such as s3://bucket/folder.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the results (Parquet).")
    ],
    what: Annotated[
        WhatOption,
        typer.Option(
            "--what",
            case_sensitive=False,
            help="A prediction per recording, one per segment, or an embedding per recording.",
        ),
    ] = WhatOption.PREDICT,
    engine: Annotated[
        EngineOption,
        typer.Option(
            "--engine", case_sensitive=False, help="Processes on this machine, or Ray Data."
        ),
    ] = EngineOption.LOCAL,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="ADDRESS",
            help="A running Ray cluster: host:port, or auto. Default: start Ray on this machine.",
        ),
    ] = None,
    jobs: JobsOption = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Process the recordings again that failed."),
    ] = False,
    model: ModelOption = None,
    min_confidence: MinConfidenceOption = None,
    vad: VadOption = True,
    channel: EachChannelOption = "mix",
    track: TrackOption = None,
    max_duration_s: Annotated[
        float | None,
        typer.Option(
            "--max-duration",
            metavar="SECONDS",
            min=0.1,
            help="Maximum duration of a recording. Default: 300, or a day for timelines.",
        ),
    ] = None,
) -> None:
    """Process any number of recordings, and write the results as Parquet.

    Run the same command again after an interruption: it continues, and ends with the same rows.
    """
    from emovox.archives.run import archive as run_archive
    from emovox.archives.settings import ArchiveSettings

    if address is not None and engine is not EngineOption.RAY:
        raise typer.BadParameter("--address needs --engine ray")
    settings = ArchiveSettings(
        what=what.value,
        model=model,
        min_confidence=min_confidence,
        vad=vad,
        channel=channel,
        track=track,
        max_duration_s=max_duration_s,
    )
    with ArchiveBar() as bar:
        summary = run_archive(
            source,
            out,
            settings,
            engine=engine.value,
            jobs=jobs,
            address=address,
            retry_failed=retry_failed,
            watcher=bar,
        )
    files = count(len(summary.files), "file")
    recordings = count(summary.recordings, "recording")
    echo(f"{recordings}, {count(summary.rows, 'row')} in {files}: {out}")
    if summary.failures:
        codes = ", ".join(f"{code} {n:,}" for code, n in summary.failures.items())
        echo(f"failed: {codes}; --retry-failed tries these again", err=True)


class ArchiveBar(ArchiveWatcher):
    """Draws a bar with rate, hours of audio, failures and time left; lines where it cannot."""

    def __init__(self) -> None:
        columns = (
            TextColumn("archive"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        self.is_drawn = sys.stderr.isatty()
        self.progress = Progress(
            *columns, console=Console(stderr=True), transient=True, disable=not self.is_drawn
        )
        self.task = self.progress.add_task("", total=None, note="listing")
        self.began_s = self.printed_s = time.monotonic()
        self.n_recordings = self.n_done = self.n_processed = 0
        self.audio_s = 0.0
        self.errors: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def start(self, n_recordings: int, n_done: int) -> None:
        """Show how many recordings there are, and how many are done."""
        self.n_recordings, self.n_done = n_recordings, n_done
        self.began_s = time.monotonic()
        self.progress.update(self.task, total=n_recordings, completed=n_done, note="")
        if n_done:
            echo(f"continues: {n_done:,} of {n_recordings:,} recordings are done", err=True)

    def end_recording(self) -> None:
        """Advance the bar."""
        self.n_processed += 1
        self.progress.advance(self.task)

    def undo_recordings(self, n: int) -> None:
        """Move the bar back."""
        self.n_processed -= n
        self.progress.advance(self.task, -n)

    def end_unit(self, n_recordings: int, audio_s: float, errors: Counter[str]) -> None:
        """Show the rate, the hours of audio and the failures so far."""
        self.n_done += n_recordings
        self.audio_s += audio_s
        self.errors.update(errors)
        self.progress.update(self.task, completed=self.n_done, note=self.describe())
        now_s = time.monotonic()
        if not self.is_drawn and now_s - self.printed_s > UPDATE_S:
            self.printed_s = now_s
            echo(f"{self.n_done:,} of {self.n_recordings:,}: {self.describe()}", err=True)

    def describe(self) -> str:
        """Return rate, hours and failures as text."""
        elapsed_s = max(1e-6, time.monotonic() - self.began_s)
        n_failed = self.errors.total()
        return (
            f"{self.audio_s / 3_600:,.2f} h of audio, {self.audio_s / elapsed_s:,.0f} times real "
            f"time, {n_failed:,} failed"
        )

    def start_closing(self) -> None:
        """Show that the parts are being joined."""
        self.progress.update(self.task, note="joining the parts")


def archive_report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A finished archive.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page. Default: DIR/report.html."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Compare the values of a column of the manifest, or of speaker. Repeatable.",
        ),
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(
            "--time",
            metavar="COLUMN",
            help="Column of the manifest with the date of each recording (2026-11-30...).",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FOLDER", help="Also write the tables as CSV."),
    ] = None,
) -> None:
    """Make one page from a finished archive: emotions, failures, and what to listen to."""
    from emovox.archives.report import write_archive_report

    page = write_archive_report(
        folder, out, by=tuple(by or ()), time_column=time_column, csv_folder=csv
    )
    echo(page)
