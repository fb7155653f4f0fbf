"""Process an archive: plan it, run what is not done yet, and close it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any

from emovox.archives.close import close_archive
from emovox.archives.engines import Engine, start_engine
from emovox.archives.folder import ArchiveFolder
from emovox.archives.plan import Plan, write_plan
from emovox.archives.progress import ArchiveSummary, ArchiveWatcher
from emovox.archives.retry import list_failed, merge_retried
from emovox.archives.settings import ArchiveSettings, make_spec
from emovox.archives.sources import list_recordings
from emovox.archives.voices import read_voices
from emovox.archives.work import Processor, Task
from emovox.cores import count_cores
from emovox.errors import EmovoxError
from emovox.recognition.model_file import open_model_bytes


def archive(
    source: str | Path,
    out: str | Path,
    settings: ArchiveSettings | None = None,
    *,
    engine: str = "local",
    jobs: int | None = None,
    address: str | None = None,
    retry_failed: bool = False,
    watcher: ArchiveWatcher | None = None,
) -> ArchiveSummary:
    """Process an archive of recordings, and write the results as Parquet.

    Started again after an interruption, it skips what is done. The rows are the same for any
    engine, number of processes and interruptions.

    Args:
        source: A folder, a glob, a tar, a zip, a manifest (``.csv``, ``.tsv`` or ``.parquet``), an
            audformat database, or an address of one of these such as ``s3://bucket/folder``.
        out: Folder of the results.
        settings: What is computed, and how; ``None``: a prediction per recording.
        engine: ``"local"``: processes on this machine; ``"ray"``: Ray Data.
        jobs: Number of processes of one thread each; ``None``: one for each core.
        address: Address of a running Ray cluster; ``None`` starts Ray on this machine.
        retry_failed: Process the recordings again that failed, after all others.
        watcher: Receives progress updates.

    Returns:
        What the archive holds.

    Raises:
        ArchiveError: The source cannot be listed, or the folder is in use or was begun with other
            settings.
        ModelFileError: The model file cannot be used.
        EmovoxError: A package is missing, or an argument is out of range.
        KeyboardInterrupt: After Ctrl-C, when the units in progress have been written.

    Examples:
        >>> archive("clip.opus", "results", jobs=1).rows
        1
    """
    settings = settings or ArchiveSettings()
    watcher = watcher or ArchiveWatcher()
    jobs = count_cores() if jobs is None else jobs
    if jobs < 1:
        raise EmovoxError(f"jobs is {jobs}; expected at least 1")
    folder = ArchiveFolder(Path(out))
    with folder.lock(), finish_on_interrupt() as stopping:
        plan, processor = prepare(folder, str(source), settings, watcher)

        def start() -> Engine:
            return start_engine(engine, jobs, address, processor, watcher, stopping)

        manifest = folder.read_manifest()
        if manifest is None:
            run_units(folder, plan, start, watcher, stopping)
            watcher.start_closing()
            manifest = close_archive(folder, folder.list_parts(len(plan)), plan.n_recordings)
        folder.clean(manifest)  # again: the process may have been killed before
        if retry_failed and manifest["failures"]:
            again = ArchiveFolder(folder.path, int(manifest["generation"]) + 1)
            failed = list_failed(again, manifest, plan)
            run_units(again, failed, start, watcher, stopping)
            watcher.start_closing()
            manifest = merge_retried(again, manifest, failed, plan.n_recordings)
    return ArchiveSummary(
        folder.path,
        int(manifest["recordings"]),
        int(manifest["rows"]),
        dict(manifest["failures"]),
        tuple(file["name"] for file in manifest["files"]),
    )


def prepare(
    folder: ArchiveFolder, source: str, settings: ArchiveSettings, watcher: ArchiveWatcher
) -> tuple[Plan, Processor]:
    """Check the settings, and list the source unless that was done before."""
    is_planned = (folder.plan / "plan.json").exists()
    if is_planned:
        plan = Plan(folder.plan)
        spec = make_spec(settings, plan.extra_columns)
        info = open_model_bytes(spec.model, Path(spec.model_name)).info
    else:
        watcher.start_listing()
        listing = list_recordings(source)
        spec = make_spec(settings, listing.extra_columns)
        info = open_model_bytes(spec.model, Path(spec.model_name)).info
    folder.check_settings({"source": source, **spec.describe(info)})
    if not is_planned:
        plan = write_plan(folder.plan, listing, source)
    return plan, Processor(spec)


def run_units(
    folder: ArchiveFolder,
    plan: Plan,
    start: Callable[[], Engine],
    watcher: ArchiveWatcher,
    stopping: Event,
) -> None:
    """Process all units that are not done, long recordings first, their pieces last.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; what was begun is written.
    """
    done, cut = folder.find_done(len(plan))
    counts = plan.starts[1:] - plan.starts[:-1]
    watcher.start(plan.n_recordings, int(counts[done].sum()))
    if done.all():
        return
    engine = start()
    try:
        for tasks in (iterate_tasks(plan, done, cut), iterate_pieces(folder, plan)):
            for result in engine.run(tasks):
                folder.write_result(result)
                watcher.end_unit(result.n_recordings, result.audio_s, result.errors)
            if stopping.is_set():
                raise KeyboardInterrupt
    finally:
        engine.close()


def iterate_tasks(plan: Plan, done: Any, cut: dict[int, set[int]]) -> Iterator[Task]:
    """Yield the tasks that are not done: long recordings, then the other units."""
    long = (n for n in range(len(plan)) if plan.are_long[n])
    short = (n for n in range(len(plan)) if not plan.are_long[n])
    for number in chain(long, short):
        if not done[number] and number not in cut:
            unit = plan.unit(number)
            rows = plan.read(unit)
            yield Task(number, rows, unit.is_long, voices=read_voices(rows))


def iterate_pieces(folder: ArchiveFolder, plan: Plan) -> Iterator[Task]:
    """Yield the pieces of long recordings that are not done."""
    _, cut = folder.find_done(len(plan))
    for number in sorted(cut):
        unit = plan.unit(number)
        rows = plan.read(unit)
        whole = Task(number, rows, is_long=True, voices=read_voices(rows))
        for piece in folder.read_pieces(number):
            if piece.number not in cut[number]:
                yield replace(whole, piece=piece)


@contextmanager
def finish_on_interrupt() -> Iterator[Event]:
    """Let the first Ctrl-C in the block set an event, and the second interrupt it."""
    stopping = Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: Any) -> None:
        stopping.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)
