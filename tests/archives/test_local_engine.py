import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from tests.archives.conftest import N_CLIPS, Rows, write_clips

from emovox import Recognizer
from emovox.archives.close import close_archive
from emovox.archives.folder import ArchiveFolder
from emovox.archives.local_engine import LocalEngine
from emovox.archives.plan import Plan
from emovox.archives.progress import ArchiveWatcher
from emovox.archives.run import archive, finish_on_interrupt, iterate_tasks
from emovox.archives.settings import ArchiveSettings, make_spec
from emovox.archives.work import Processor, Task, TaskResult
from emovox.errors import ArchiveError, EmovoxError

LIMIT_S = 300


def test_rows_are_the_predictions_and_failures_of_each_recording(
    undisturbed: Path, loudness_model: Path, read_rows: Callable[[Path], Rows]
) -> None:
    rows = read_rows(undisturbed)
    names = [f"clip_{n}.wav" for n in range(1, N_CLIPS + 1)] + ["damaged.wav"]
    assert [Path(row["source"]).name for row in rows] == names
    assert [row["recording"] for row in rows] == list(range(N_CLIPS + 1))
    recognizer = Recognizer.load(loudness_model, vad=False)
    for row in rows[::13]:
        prediction = recognizer.predict(row["source"])
        assert (row["emotion"], row["end_s"]) == (prediction.emotion, 0.7)
        assert row["score_loud"] == np.float32((prediction.scores or {})["loud"])
        assert row["error_code"] is None
    failed = rows[-1]
    assert (failed["emotion"], failed["score_loud"], failed["end_s"]) == (None, None, None)
    assert failed["error_code"].startswith("audio.")
    assert len({row["sha256"] for row in rows}) == N_CLIPS + 1
    manifest = json.loads((undisturbed / "_manifest.json").read_text())
    assert (manifest["recordings"], manifest["rows"]) == (N_CLIPS + 1, N_CLIPS + 1)
    assert sum(manifest["failures"].values()) == 1


def test_two_and_four_workers_give_the_bytes_of_one(
    undisturbed: Path,
    clips: Path,
    settings: ArchiveSettings,
    tmp_path: Path,
    read_bytes: Callable[[Path], list[bytes]],
) -> None:
    for jobs in (2, 4):
        archive(clips, tmp_path / str(jobs), settings, jobs=jobs)
        assert read_bytes(tmp_path / str(jobs)) == read_bytes(undisturbed)


def test_killed_three_times_and_continued_the_rows_are_the_same(
    undisturbed: Path,
    clips: Path,
    settings: ArchiveSettings,
    tmp_path: Path,
    read_bytes: Callable[[Path], list[bytes]],
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "emovox", "archive", clips, "--out", out, "--jobs", "1"]
    command += ["--model", settings.model, "--no-vad"]
    n_before = 0
    for _ in range(3):
        process = subprocess.Popen(list(map(str, command)), start_new_session=True)
        deadline = time.monotonic() + LIMIT_S
        while len(find_parts(out)) < n_before + 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        # The parent alone: its worker ends by itself.
        process.kill()
        process.wait()
        n_before = len(find_parts(out))
        assert not (out / "_manifest.json").exists()
        if n_before > N_CLIPS - 4:
            break
    kept = {path: path.stat().st_mtime_ns for path in find_parts(out)}
    (out / "parts" / ".half-written.parquet").write_bytes(b"PAR1")
    calls = []

    class Counting(ArchiveWatcher):
        def start(self, n_recordings: int, n_done: int) -> None:
            calls.append((n_recordings, n_done))

    archive(clips, out, settings, jobs=1, watcher=Counting())
    assert calls == [(N_CLIPS + 1, len(kept))]
    assert read_bytes(out) == read_bytes(undisturbed)


def find_parts(out: Path) -> list[Path]:
    """Return the finished parts of an archive."""
    return [*out.glob("parts/[0-9]*.parquet")]


class KilledProcessor(Processor):
    """Dies by a signal, like a decoder that crashes, at recordings whose names say so."""

    def __reduce__(self) -> tuple[Any, ...]:
        return KilledProcessor, (self.spec,)

    def process(self, task: Task, end_recording: Callable[[], None] = lambda: None) -> TaskResult:
        for position, item in enumerate(task.recordings):
            name = Path(item["source"]).name
            flag = Path(item["source"]).with_suffix(".killed")
            if name == "clip_7.wav" and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "clip_9.wav" and position not in task.crashed:
                for _ in range(position):
                    end_recording()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().process(task, end_recording)


def test_a_killed_worker_loses_nothing_and_a_deadly_recording_only_itself(
    settings: ArchiveSettings, tmp_path: Path, read_rows: Callable[[Path], Rows]
) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    write_clips(clips, 12)
    # A plan, as a first start leaves it, with units of several recordings.
    folder = ArchiveFolder(out)
    from emovox.archives import plan as plans
    from emovox.archives.sources import list_recordings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "MIN_UNITS", 3)
        plan = plans.write_plan(folder.plan, list_recordings(str(clips)), str(clips))
    engine = LocalEngine(1, KilledProcessor(make_spec(settings, ())), ArchiveWatcher(), Event())
    try:
        for result in engine.run(iterate_tasks(plan, np.zeros(len(plan), bool), {})):
            folder.write_result(result)
    finally:
        engine.close()
    close_archive(folder, folder.list_parts(len(plan)), plan.n_recordings)
    rows = {Path(row["source"]).stem: row for row in read_rows(out)}
    assert len(rows) == 13
    assert rows["clip_9"]["error_code"] == "source.crashed"
    assert [name for name, row in rows.items() if row["error_code"]] == ["clip_9", "damaged"]
    assert rows["clip_7"]["score_loud"] == pytest.approx(0.07, abs=1e-6)


def test_failures_are_tried_again_only_when_asked(
    settings: ArchiveSettings, tmp_path: Path, read_rows: Callable[[Path], Rows]
) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    write_clips(clips, 3)
    first = archive(clips, out, settings, jobs=1)
    assert sum(first.failures.values()) == 1
    before = read_rows(out)
    (clips / "damaged.wav").write_bytes((clips / "clip_2.wav").read_bytes())
    assert archive(clips, out, settings, jobs=1).failures == first.failures
    assert archive(clips, out, settings, jobs=1, retry_failed=True).failures == {}
    after = read_rows(out)
    assert after[:3] == before[:3]
    assert after[3]["score_loud"] == after[1]["score_loud"]
    assert [path.name for path in sorted(out.glob("[!.]*"))] == [
        "_manifest.json",
        "plan",
        "rows-1-00000.parquet",
        "settings.json",
    ]


def test_other_settings_are_refused_and_named(
    undisturbed: Path, clips: Path, settings: ArchiveSettings
) -> None:
    other = replace(settings, min_confidence=0.75)
    with pytest.raises(ArchiveError, match=r"min_confidence: 0.0, now 0.75") as caught:
        archive(clips, undisturbed, other, jobs=1)
    assert caught.value.code == "archive.mixed"
    with pytest.raises(ArchiveError, match="model_sha256"):
        archive(clips, undisturbed, ArchiveSettings(vad=False), jobs=1)


def test_a_folder_with_other_files_is_refused(
    clips: Path, settings: ArchiveSettings, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ArchiveError, match=r"holds 'thesis.tex'"):
        archive(clips, tmp_path, settings, jobs=1)
    assert (tmp_path / "thesis.tex").exists()


def test_only_one_process_writes_to_a_folder(
    clips: Path, settings: ArchiveSettings, tmp_path: Path
) -> None:
    with ArchiveFolder(tmp_path).lock():
        with pytest.raises(ArchiveError, match="another process"):
            archive(clips, tmp_path, settings, jobs=1)


def test_a_full_disk_is_reported_and_the_archive_continued(
    undisturbed: Path,
    clips: Path,
    settings: ArchiveSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read_bytes: Callable[[Path], list[bytes]],
) -> None:
    written = []
    sync = os.fsync

    def fill(number: int) -> None:
        written.append(number)
        if len(written) > 12:
            raise OSError(28, "No space left on device")
        sync(number)

    with monkeypatch.context() as patch:
        patch.setattr("emovox.files.os.fsync", fill)
        with pytest.raises(EmovoxError, match="No space left on device"):
            archive(clips, tmp_path / "out", settings, jobs=1)
    archive(clips, tmp_path / "out", settings, jobs=1)
    assert read_bytes(tmp_path / "out") == read_bytes(undisturbed)


def test_ctrl_c_finishes_what_is_in_progress(
    clips: Path, settings: ArchiveSettings, tmp_path: Path
) -> None:
    class Interrupting(ArchiveWatcher):
        def end_unit(self, *_: Any) -> None:
            if not interrupts:
                interrupts.append(1)
                os.kill(os.getpid(), signal.SIGINT)

    interrupts: list[int] = []
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        archive(clips, out, settings, jobs=1, watcher=Interrupting())
    # The unit that had ended, and the one that the worker had been given meanwhile.
    assert len(find_parts(out)) == 2
    assert Plan(out / "plan").n_recordings == N_CLIPS + 1


def test_a_second_ctrl_c_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt), finish_on_interrupt() as stopping:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.is_set()
        os.kill(os.getpid(), signal.SIGINT)


def test_units_are_as_large_as_the_archive_allows() -> None:
    from emovox.archives.plan import LONG_BYTES, divide, set_limits

    assert set_limits(3_000, 3_000_000) == (47, 46_875)
    assert set_limits(10**8, 10**13) == (1_000, 2**25)
    sizes = np.full(5_000, 100, np.int64)
    sizes[[0, 2_500]] = LONG_BYTES + 1
    starts, are_long = divide(sizes, 1_000, 50_000)
    assert starts[are_long].tolist() == [0, 2_500]
    assert np.diff(starts, append=5_000).max() == 500


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    """Check that no worker process outlives a test."""
    import multiprocessing

    yield
    assert multiprocessing.active_children() == []
