"""Worker processes: results, progress and errors arrive, and no process is left over."""

import os
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from multiprocessing import active_children

import pytest
from tests.experiments.tiny_jobs import describe_process, die, fail, fail_oddly, go_on, multiply

from emovox.errors import AudioError, RunError
from emovox.experiments.jobs import ONE_THREAD, Job, Workers
from emovox.progress import Watcher


class Recorder(Watcher):
    """Counts updates by job."""

    def __init__(self, title: str = "all", seen: Counter[str] | None = None) -> None:
        self.title = title
        self.seen = Counter[str]() if seen is None else seen

    def start_jobs(self, n_jobs: int) -> None:
        self.seen[f"{self.title} of {n_jobs}"] += 1

    def start_job(self, title: str) -> Watcher:
        return Recorder(title, self.seen)

    def start_clips(self, action: str, n_clips: int) -> None:
        self.seen[f"{self.title}: {n_clips} {action}"] += 1

    def end_clip(self) -> None:
        self.seen[f"{self.title}: clip"] += 1

    def end_job(self) -> None:
        self.seen[f"{self.title}: end"] += 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_and_progress_of_every_job(jobs: int) -> None:
    work = [Job(f"job {n}", partial(multiply, n)) for n in range(5)]
    recorder = Recorder()
    with Workers(jobs, 7) as workers:
        assert dict(workers.run(work, recorder)) == {n: 7 * n for n in range(5)}
        expected = Counter({"all of 5": 1})
        for n in range(5):
            expected.update([f"job {n}: {n} numbers", f"job {n}: clip", f"job {n}: end"])
        assert recorder.seen == expected
        assert list(workers.run_in_order(work, Watcher())) == [7 * n for n in range(5)]
        # Results that nobody waits for any more do not come up among later ones.
        left = workers.run(work, Watcher())
        next(left)
        del left
        assert list(workers.run_in_order(work[2:], Watcher())) == [14, 21, 28]
    assert not active_children()


def test_workers_are_other_processes_of_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with Workers(2, 0) as workers:
        found = dict(workers.run([Job("", describe_process)] * 4, Watcher()))
    assert os.getpid() not in {pid for pid, _ in found.values()}
    assert len({pid for pid, _ in found.values()}) <= 2
    assert all(threads == ["1"] * len(ONE_THREAD) for _, threads in found.values())
    assert (os.environ["OMP_NUM_THREADS"], "MKL_NUM_THREADS" in os.environ) == ("8", False)


def test_a_single_job_needs_no_process() -> None:
    with Workers(2, 0) as workers:
        ((_, (pid, _)),) = workers.run([Job("", describe_process)], Watcher())
    assert pid == os.getpid()


def test_an_error_is_raised_as_it_is_and_ends_the_others() -> None:
    with pytest.raises(AudioError, match="is empty") as caught, Workers(2, 0) as workers:
        dict(workers.run([Job("endless", go_on), Job("bad", fail)], Watcher()))
    assert (caught.value.code, caught.value.source) == ("audio.empty", "a.wav")
    assert "in fail" in caught.value.__notes__[0]
    assert not active_children()
    with pytest.raises(RuntimeError, match="OddError: odd"), Workers(2, 0) as workers:
        dict(workers.run([Job("odd", fail_oddly)] * 2, Watcher()))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_worker_is_reported_and_ends_the_others() -> None:
    problem = r"worker process \(big\) was killed by signal 9, .* fewer --jobs than 2; what was"
    with pytest.raises(RunError, match=problem) as caught, Workers(2, 0) as workers:
        dict(workers.run([Job("endless", go_on), Job("big", die)], Watcher()))
    assert caught.value.code == "run.killed"
    assert not active_children()


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.experiments.tiny_jobs"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as parent:
        assert parent.stdout is not None
        try:
            assert [parent.stdout.readline() for _ in range(2)] == ["running\n"] * 2
            parent.send_signal(number)
            # Workers inherit stdout, so it ends when the last of them has ended.
            _, stderr = parent.communicate(timeout=60)
        finally:
            parent.kill()
    assert parent.returncode != 0
    assert stderr.count("Traceback") == (number == signal.SIGINT)
