"""Work off the event loop: bounded queues with a thread each, deadlines, and dropped work.

Short requests, long ones and live streams have a lane each, so that none waits behind an hour of
recording; the operating system shares the core among their threads.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from emovox.service.problems import ServiceError

Result = TypeVar("Result")


class ClientGone(Exception):  # noqa: N818  # no error: nobody is left to tell
    """The client has closed its connection."""


class Ticket:
    """Says to work in a thread whether its result is still wanted.

    Args:
        deadline_s: Seconds from now after which it is not.
    """

    def __init__(self, deadline_s: float) -> None:
        self._ends = time.monotonic() + deadline_s
        self._dropped = False

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline."""
        return self._ends - time.monotonic()

    def drop(self) -> None:
        """Ask the work to stop: the client is gone."""
        self._dropped = True

    def check(self) -> None:
        """Raise if the client is gone or the deadline has passed; called between windows."""
        if self._dropped:
            raise ClientGone
        if self.remaining_s <= 0:
            raise ServiceError(
                "the deadline has passed, expected less audio or a less busy server; try again "
                "later, or send a shorter recording",
                code="service.deadline",
                retry_after_s=10,
            )


class Lane:
    """A bounded queue, and the thread that works on it.

    Args:
        name: Name of the thread.
        max_waiting: Number of jobs that may wait.
    """

    def __init__(self, name: str, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"emovox-{name}")
        # One job runs, and one is handed over, so that the thread does not wait for the loop.
        self._turns = asyncio.Semaphore(2)
        self._mean_s = 0.1
        self.waiting = 0

    def is_full(self) -> bool:
        """Return whether another job would be refused."""
        return self.waiting >= self._max_waiting

    async def run(
        self, ticket: Ticket, work: Callable[[], Result], gone: Awaitable[object] | None = None
    ) -> Result:
        """Run work in the thread when it is its turn.

        Args:
            ticket: Its deadline; the work should check it.
            work: Called in the thread.
            gone: Completes when the client is gone.

        Returns:
            What the work returns.

        Raises:
            ServiceError: The queue is full, or the deadline has passed.
            ClientGone: The client went first.
        """
        self.refuse_if_full()
        self.waiting += 1
        try:
            # The work holds a turn until its thread has ended it, even if nobody waits for it.
            task = asyncio.ensure_future(self._take_turn(ticket, work))
            return await _race(task, ticket, gone)
        finally:
            self.waiting -= 1

    def refuse_if_full(self) -> None:
        """Raise ServiceError if the queue is full."""
        if self.is_full():
            raise ServiceError(
                f"{self.waiting} requests wait already, as many as may; try again later",
                code="service.overloaded",
                retry_after_s=math.ceil(self._mean_s * self.waiting),
            )

    async def _take_turn(self, ticket: Ticket, work: Callable[[], Result]) -> Result:
        """Wait for a turn, and run the work unless it is not wanted any more."""
        await self._turns.acquire()
        loop = asyncio.get_running_loop()

        def run() -> Result:
            ticket.check()
            return work()

        started_s = time.monotonic()
        try:
            future: Future[Result] = self._executor.submit(run)
        except BaseException:
            self._turns.release()
            raise

        def end(_: object) -> None:
            self._turns.release()
            self._mean_s += 0.1 * (time.monotonic() - started_s - self._mean_s)

        def tell_loop(done: object) -> None:
            with suppress(RuntimeError):  # the loop has closed: the process is about to end
                loop.call_soon_threadsafe(end, done)

        future.add_done_callback(tell_loop)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the thread once its job has ended."""
        self._executor.shutdown(wait=False, cancel_futures=True)


async def _race(
    task: "asyncio.Task[Result]", ticket: Ticket, gone: Awaitable[object] | None
) -> Result:
    """Return the result of a task, unless the client goes or the deadline passes first."""
    watched: set[asyncio.Future[object]] = {task}  # type: ignore[arg-type]
    watcher = None if gone is None else asyncio.ensure_future(gone)
    try:
        await asyncio.wait(
            {*watched, *([watcher] if watcher else [])},
            timeout=max(0.0, ticket.remaining_s),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if task.done():
            return task.result()
        if watcher is not None and watcher.done():
            ticket.drop()
            raise ClientGone
        ticket.check()
        return await task  # the deadline was only just not reached
    finally:
        if not task.done():
            ticket.drop()
            task.cancel()
        if watcher is not None:
            watcher.cancel()
