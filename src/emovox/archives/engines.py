"""Who processes the tasks of an archive: the one seam between the work and the engines."""

from collections.abc import Iterator
from threading import Event
from typing import Protocol

from emovox.archives.local_engine import LocalEngine
from emovox.archives.progress import ArchiveWatcher
from emovox.archives.work import Processor, Task, TaskResult
from emovox.errors import EmovoxError

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Processes tasks, in any order and possibly more than once."""

    def run(self, tasks: Iterator[Task]) -> Iterator[TaskResult]:
        """Yield the results of tasks as they finish."""
        ...

    def close(self) -> None:
        """Stop what was started."""
        ...


def start_engine(
    name: str,
    jobs: int,
    address: str | None,
    processor: Processor,
    watcher: ArchiveWatcher,
    stopping: Event,
) -> Engine:
    """Start an engine.

    Args:
        name: ``local`` or ``ray``.
        jobs: Number of processes on this machine.
        address: Address of a running Ray cluster.
        processor: What the workers do.
        watcher: Receives the end of each recording.
        stopping: When set, no new task is begun.

    Raises:
        EmovoxError: There is no such engine, or its package is missing.
    """
    if name == "local":
        return LocalEngine(jobs, processor, watcher, stopping)
    if name == "ray":
        from emovox.archives.ray_engine import RayEngine

        return RayEngine(jobs, address, processor, stopping)
    raise EmovoxError(f"engine is {name!r}; expected {' or '.join(ENGINES)}")
