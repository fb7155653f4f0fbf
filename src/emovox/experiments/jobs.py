"""Run independent pieces of work in several processes, each with one thread.

    jobs, in order -> idle worker process -> progress and result through its pipe -> parent

Each worker has a pipe of its own. The parent closes it to stop the worker, which notices at its
next progress update, between two files; a worker that takes longer is terminated. If the parent
dies, its end of the pipe closes as well, so that no worker outlives it.
"""

import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self

from emovox.errors import RunError
from emovox.progress import Watcher

GRACE_S = 2.0
"""Time for a worker to stop by itself; a running epoch may take longer, and is then lost."""

# Read by the libraries of numpy and PyTorch when they are imported.
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM", "NUMEXPR")
}


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Attributes:
        title: What is shown beside its progress.
        function: Called with the context of the workers and a watcher; it and its result are
            pickled, so it is a function of a module, or a ``partial`` of one.
    """

    title: str
    function: Callable[[Any, Watcher], Any]


@dataclass(slots=True)
class Worker:
    """A process that runs one job after another.

    Attributes:
        process: The process.
        pipe: The parent's end of its pipe.
        busy: Whether it is starting or running a job.
        index: Index of its last job.
        title: Title of its last job.
        watcher: Receives the progress of its job; ``None``: nobody waits for the result.
    """

    process: BaseProcess
    pipe: "Connection[Any, Any]"
    busy: bool = True
    index: int = -1
    title: str = "starting"
    watcher: Watcher | None = None


class Workers:
    """Worker processes that are started when needed and stopped at the end of the block.

    Args:
        jobs: Largest number of processes. With 1, or a single job, this process does the work.
        context: First argument of every job, pickled once for each worker.

    Examples:
        >>> with Workers(1, context=None) as workers:
        ...     print(dict(workers.run([Job("a", lambda context, watcher: 7)], Watcher())))
        {0: 7}
    """

    def __init__(self, jobs: int, context: Any) -> None:
        self.jobs = jobs
        self.context = context
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stop_workers(self.workers)
        self.workers.clear()

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[int, Any]]:
        """Run jobs, in order as workers become idle.

        An error of a job is raised as soon as it occurs. After that, or if the iterator is left
        early, running jobs are ignored, and stopped at the end of the block.

        Args:
            jobs: The jobs.
            watcher: Receives progress updates; ``start_job`` gives one for each job.

        Yields:
            The index of a finished job and its result, as they finish.

        Raises:
            RunError: A worker was killed, or could not be started.
            Exception: What a job raised.
        """
        watcher.start_jobs(len(jobs))
        if min(self.jobs, len(jobs)) < 2:
            for index, job in enumerate(jobs):
                of_job = watcher.start_job(job.title)
                result = job.function(self.context, of_job)
                of_job.end_job()
                yield index, result
            return
        while len(self.workers) < min(self.jobs, len(jobs)):
            self.workers.append(start_worker(self.context))
        waiting = iter(enumerate(jobs))
        for worker in self.workers:
            self.feed(worker, waiting, watcher)
        try:
            n_left = len(jobs)
            while n_left:
                for worker in self.wait():
                    kind, content = self.receive(worker)
                    own, index = worker.watcher, worker.index
                    if kind == "progress":
                        if own is not None:
                            getattr(own, content[0])(*content[1:])
                        continue
                    worker.busy, worker.watcher = False, None
                    if own is not None and kind == "failed":
                        raise content
                    self.feed(worker, waiting, watcher)
                    if own is not None:
                        own.end_job()
                        n_left -= 1
                        yield index, content
        finally:
            for worker in self.workers:
                worker.watcher = None

    def run_in_order(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[Any]:
        """Run jobs as ``run`` does, and yield their results in the order of the jobs."""
        results: dict[int, Any] = {}
        n_yielded = 0
        for index, result in self.run(jobs, watcher):
            results[index] = result
            while n_yielded in results:
                yield results.pop(n_yielded)
                n_yielded += 1

    def feed(self, worker: Worker, waiting: Iterator[tuple[int, Job]], watcher: Watcher) -> None:
        """Give an idle worker the next job, if any is left."""
        if worker.busy:
            return
        for index, job in waiting:
            worker.busy, worker.index, worker.title = True, index, job.title
            worker.watcher = watcher.start_job(job.title)
            with suppress(BrokenPipeError):  # it was killed, which the next read from it reports
                worker.pipe.send(job.function)
            return

    def wait(self) -> list[Worker]:
        """Return the workers that have sent a message or died; wait for one."""
        ready = wait([worker.pipe for worker in self.workers])
        return [worker for worker in self.workers if worker.pipe in ready]

    def receive(self, worker: Worker) -> tuple[str, Any]:
        """Return a worker's next message; refuse the silence of a dead one."""
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            status = worker.process.exitcode or 0
            reason = f"ended with exit status {status}"
            if status < 0:
                reason = (
                    f"was killed by signal {-status}, often because memory ran out; run again "
                    f"with fewer --jobs than {self.jobs}"
                )
            raise RunError(
                f"a worker process ({worker.title}) {reason}; what was finished is kept",
                code="run.killed",
            ) from None
        return kind, content


def start_worker(context: Any) -> Worker:
    """Start a worker process."""
    spawning = get_context("spawn")  # PyTorch's threads do not survive a fork
    pipe, other_end = spawning.Pipe()
    process = spawning.Process(target=serve, args=(other_end, context), daemon=True)
    with inherit_settings():
        process.start()
    other_end.close()
    return Worker(process, pipe)


def stop_workers(workers: Sequence[Worker]) -> None:
    """Stop workers: by closing their pipes, and those that take longer by a signal."""
    for worker in workers:
        worker.pipe.close()
    deadline = time.monotonic() + GRACE_S
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
    for worker in workers:
        worker.process.terminate()
        worker.process.join()


@contextmanager
def inherit_settings() -> Iterator[None]:
    """Let processes that start in the block compute on one thread and leave Ctrl-C to the parent.

    A worker that is still importing cannot set this by itself.
    """
    environment = {name: os.environ.get(name) for name in ONE_THREAD}
    # Only the main thread may set a handler, and only it receives Ctrl-C.
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in environment.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        if is_main:
            signal.signal(signal.SIGINT, handler)


def serve(pipe: "Connection[Any, Any]", context: Any) -> None:
    """Run jobs from a pipe until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    watcher = PipeWatcher(pipe)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(("ready", None))
        while True:
            function = pipe.recv()
            try:
                message = ("done", function(context, watcher))
            except Exception as error:
                message = ("failed", make_portable(error))
            pipe.send(message)


def end_with_parent() -> None:
    """End this process soon after its parent, even within a long epoch."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        time.sleep(GRACE_S)
        os._exit(1)


def make_portable(error: Exception) -> Exception:
    """Return an error that can be sent to the parent, with this process's traceback as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class PipeWatcher(Watcher):
    """Sends every progress update to the parent."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        for name in UPDATES:
            setattr(self, name, partial(self.forward, name))
        self.pipe = pipe

    def forward(self, name: str, *content: Any) -> None:
        """Send the name of an update and its arguments."""
        self.pipe.send(("progress", (name, *content)))


UPDATES = ("start_fold", "start_clips", "end_clip", "start_training", "end_epoch", "end_training")
"""Methods of a watcher that a job calls."""
