"""Start the processes of the service, replace those that die, and end them in order."""

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from emovox.errors import EmovoxError
from emovox.service.metrics import CELLS
from emovox.service.settings import ServiceSettings

_log = logging.getLogger(__name__)

MIN_LIFE_S = 5.0
"""A process that dies sooner is replaced only after this long: it will probably die again."""
BACKLOG = 1_024


class Supervisor:
    """The parent of the service's processes.

    Args:
        settings: All settings.

    Raises:
        EmovoxError: The address cannot be used.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        # Fresh interpreters: a session of ONNX Runtime does not survive a fork.
        self._context = multiprocessing.get_context("spawn")
        self._socket = open_socket(settings)
        self._memory = self._context.RawArray("d", settings.workers * len(CELLS))
        self._workers: dict[int, _Worker] = {}
        self._is_stopping = False

    @property
    def url(self) -> str:
        """Address of the service."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self, tell_ready: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT.

        Args:
            tell_ready: Called with the address once all processes take requests.

        Raises:
            EmovoxError: A process cannot start, for example because the model file is damaged.
        """
        wakeup, bell = socket.socketpair()
        previous = {
            number: signal.signal(number, lambda *_: self._stop(bell))
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            for row in range(self._settings.workers):
                self._start(row)
            if self._wait_until_ready(wakeup):
                tell_ready(self.url)
                self._replace_the_dead(wakeup)
        finally:
            self._end_all()
            for number, handler in previous.items():
                signal.signal(number, handler)
            for end in (wakeup, bell, self._socket):
                end.close()

    def _stop(self, bell: socket.socket) -> None:
        """Note that the service is to end, and wake the loop up."""
        self._is_stopping = True
        bell.send(b"\0")

    def _start(self, row: int) -> None:
        """Start a process."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_run_worker,
            args=(self._settings, self._socket, self._memory, row, sender),
            name=f"emovox-serve-{row}",
        )
        process.start()
        sender.close()
        self._workers[row] = _Worker(process, receiver)

    def _wait_until_ready(self, wakeup: socket.socket) -> bool:
        """Wait for all processes; return whether the service is to go on.

        Raises:
            EmovoxError: One of them failed.
        """
        waiting = {worker.reports: worker for worker in self._workers.values()}
        while waiting and not self._is_stopping:
            for ready in wait([*waiting, wakeup]):
                if isinstance(ready, Connection):
                    waiting.pop(ready).check_report()
        return not self._is_stopping

    def _replace_the_dead(self, wakeup: socket.socket) -> None:
        """Start a new process for each that has died, until the service is to end."""
        while not self._is_stopping:
            sentinels = {w.process.sentinel: row for row, w in self._workers.items()}
            for ended in wait([*sentinels, wakeup]):
                if not isinstance(ended, int) or self._is_stopping:
                    continue
                row = sentinels[ended]
                worker = self._workers[row]
                worker.process.join()
                _log.warning(
                    "worker %d ended with status %s; starting another",
                    row,
                    worker.process.exitcode,
                )
                worker.reports.close()
                if time.monotonic() - worker.started_s < MIN_LIFE_S:
                    wait([wakeup], MIN_LIFE_S)
                if not self._is_stopping:
                    self._start(row)

    def _end_all(self) -> None:
        """Let the processes finish what is in flight, and end those that take too long."""
        workers = [w.process for w in self._workers.values()]
        for process in workers:
            process.terminate()
        ends_s = time.monotonic() + self._settings.limits.shutdown_s + 5
        for process in workers:
            process.join(max(0.0, ends_s - time.monotonic()))
            if process.is_alive():
                _log.warning("%s did not end in time; killing it", process.name)
                process.kill()
                process.join()


class _Worker:
    """One process, and where it reports that it is ready, or why not."""

    def __init__(self, process: SpawnProcess, reports: Connection) -> None:
        self.process = process
        self.reports = reports
        self.started_s = time.monotonic()

    def check_report(self) -> None:
        """Raise EmovoxError unless the process is ready."""
        try:
            error = self.reports.recv_bytes().decode()
        except EOFError:
            self.process.join()
            raise EmovoxError(
                f"a process of the service ended with status {self.process.exitcode} before it was "
                "ready; expected it to start: run it again with 'emovox -v serve'",
                code="service.failed",
            ) from None
        if error:
            raise EmovoxError(error, code="service.failed")


def open_socket(settings: ServiceSettings) -> socket.socket:
    """Listen on the address of the service.

    Raises:
        EmovoxError: The address or port cannot be used.
    """
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise EmovoxError(
            f"cannot listen on {settings.host}, port {settings.port} ({error.strerror or error}); "
            "expected a free port of an address of this machine: choose another with --port",
            code="service.address",
        ) from error


def _run_worker(
    settings: ServiceSettings, listener: socket.socket, memory: Any, row: int, reports: Connection
) -> None:
    """Run in a new process: serve, and report once that it is ready, or why it cannot start."""
    from emovox.service.worker import run_worker

    # Ctrl-C reaches all processes of the terminal; the parent tells this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(format="emovox: %(message)s", level=logging.WARNING)

    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell_ready() -> None:
        reports.send_bytes(b"")
        reports.close()

    try:
        run_worker(settings, [listener], memory, row, tell_ready)
    except EmovoxError as error:
        if not reports.closed:
            reports.send_bytes(str(error).encode())
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    """Wait until the parent is gone, even if it was killed, and then end this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
