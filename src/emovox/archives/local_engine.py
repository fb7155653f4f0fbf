"""The local engine: worker processes with one thread each, in which recordings may crash.

A worker that dies is replaced and its task given out again. A recording that kills workers again
and again is left out of its task, which then reports it as a failure.
"""

import logging
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import wait
from threading import Event

from emovox.archives.progress import ArchiveWatcher
from emovox.archives.work import Processor, Task, TaskResult
from emovox.errors import RunError
from emovox.experiments.jobs import Worker, start_worker, stop_workers
from emovox.progress import Watcher

_log = logging.getLogger(__name__)

MAX_DEATHS = 3
"""Workers that may die with the same recording, or as they start, one after the other."""


@dataclass(slots=True)
class Slot:
    """A worker, the task that it processes, and how many of its recordings are done."""

    worker: Worker
    task: Task | None = None
    n_done: int = 0


@dataclass
class LocalEngine:
    """Processes tasks in worker processes on this machine.

    Attributes:
        jobs: Number of processes.
        processor: What each of them does.
        watcher: Receives the end of each recording.
        stopping: When set, no new task is begun, and those in progress are finished.
    """

    jobs: int
    processor: Processor
    watcher: ArchiveWatcher
    stopping: Event
    slots: list[Slot] = field(default_factory=list)
    deaths: Counter[tuple[str, int]] = field(default_factory=Counter)
    failed_starts: int = 0

    def run(self, tasks: Iterator[Task]) -> Iterator[TaskResult]:
        """Yield the results of tasks as they finish.

        Args:
            tasks: Consumed as workers become idle.

        Raises:
            RunError: Workers cannot be started.
            Exception: What a worker raised, except for a recording's own failure.
        """
        waiting: deque[Task] = deque()
        while True:
            while len(self.slots) < self.jobs and self._refill(waiting, tasks):
                self.slots.append(Slot(start_worker(self.processor)))
                self._feed(self.slots[-1], waiting, tasks)
            if not any(slot.worker.busy for slot in self.slots):
                return
            pipes = [slot.worker.pipe for slot in self.slots]
            ready = wait(pipes)
            for slot in [slot for slot in self.slots if slot.worker.pipe in ready]:
                result = self._receive(slot, waiting)
                self._feed(slot, waiting, tasks)
                if result is not None:
                    yield result

    def _refill(self, waiting: deque[Task], tasks: Iterator[Task]) -> bool:
        """Return whether a task is waiting, after taking the next one if there is none."""
        if not waiting and not self.stopping.is_set():
            waiting.extend(task for task in [next(tasks, None)] if task is not None)
        return bool(waiting) and not self.stopping.is_set()

    def _feed(self, slot: Slot, waiting: deque[Task], tasks: Iterator[Task]) -> None:
        """Give an idle worker the next task."""
        if slot.worker.busy or slot not in self.slots or slot.task is not None:
            return
        if self._refill(waiting, tasks):
            slot.task, slot.n_done, slot.worker.busy = waiting.popleft(), 0, True
            with suppress(BrokenPipeError):  # the next read reports its death
                slot.worker.pipe.send(partial(process_task, task=slot.task))

    def _receive(self, slot: Slot, waiting: deque[Task]) -> TaskResult | None:
        """Handle the next message of a worker; return the result of its task, if that is it."""
        try:
            kind, content = slot.worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._replace(slot, waiting)
            return None
        if kind == "progress":
            slot.n_done += 1
            self.watcher.end_recording()
            return None
        self.failed_starts = 0
        slot.worker.busy = False
        if kind == "failed":
            raise content
        if kind != "done":
            return None
        slot.task = None
        result: TaskResult = content
        return result

    def _replace(self, slot: Slot, waiting: deque[Task]) -> None:
        """Put the task of a dead worker back, without a recording that killed several."""
        self.slots.remove(slot)
        slot.worker.process.join()
        task = slot.task
        status = slot.worker.process.exitcode
        if task is None:
            self.failed_starts += 1
            if self.failed_starts >= MAX_DEATHS:
                raise RunError(
                    f"worker processes end as they start (exit status {status}); free memory, or "
                    "use fewer --jobs",
                    code="run.killed",
                )
            return
        at = slot.n_done
        _log.warning(
            "a worker was killed (exit status %s) at recording %d of unit %s, which is given to "
            "another", status, at + 1, task.name,
        )  # fmt: skip
        self.deaths[task.name, at] += 1
        if self.deaths[task.name, at] >= MAX_DEATHS:
            task = replace(task, crashed=task.crashed | {at})
        self.watcher.undo_recordings(slot.n_done)
        waiting.appendleft(task)

    def close(self) -> None:
        """Stop the workers."""
        stop_workers([slot.worker for slot in self.slots])
        self.slots.clear()


def process_task(processor: Processor, watcher: Watcher, *, task: Task) -> TaskResult:
    """Process a task in a worker; its watcher sends each recording's end to the parent."""
    return processor.process(task, watcher.end_clip)
