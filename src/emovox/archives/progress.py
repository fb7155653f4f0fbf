"""Progress of an archive: what watches it, and what it comes to."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


class ArchiveWatcher:
    """Receives the progress of an archive; the command line draws a bar from it."""

    def start_listing(self) -> None:
        """Called before the source is listed."""

    def start(self, n_recordings: int, n_done: int) -> None:
        """Called before the work, with the recordings of all units and of those that are done."""

    def end_recording(self) -> None:
        """Called after each recording."""

    def undo_recordings(self, n: int) -> None:
        """Called when recordings have to be processed again, because a worker was killed."""

    def end_unit(self, n_recordings: int, audio_s: float, errors: Counter[str]) -> None:
        """Called after each unit, with its recordings, seconds of audio and failures."""

    def start_closing(self) -> None:
        """Called before the parts are joined."""


@dataclass(frozen=True, slots=True)
class ArchiveSummary:
    """A finished archive.

    Attributes:
        folder: Where it is.
        recordings: Number of recordings.
        rows: Number of rows.
        failures: How many recordings failed, by code.
        files: Names of the Parquet files, in order.
    """

    folder: Path
    recordings: int
    rows: int
    failures: dict[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()
