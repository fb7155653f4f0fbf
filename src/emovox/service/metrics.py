"""Counters of all processes in one block of shared memory, in Prometheus' text format.

Each process writes its own row, so there is nothing to lock; whichever process is asked adds up the
rows. A process that takes over the row of one that was killed continues its counters.
"""

from bisect import bisect_left
from collections.abc import MutableSequence

ROUTES = (
    "/v1/predict",
    "/v1/timeline",
    "/v1/enroll",
    "/v1/models",
    "/v1/stream",
    "/metrics",
    "other",
)
STATUSES = (101, 200, 304, 400, 401, 403, 404, 405, 408, 413, 415, 421, 422, 429, 500, 503)
BUCKETS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

_GAUGES = {
    "emovox_waiting_requests": "Requests that wait for the model.",
    "emovox_open_streams": "Open live streams.",
    "emovox_pending_bytes": "Bytes of the bodies that are held.",
}
_COUNTERS = {
    "emovox_audio_seconds_total": "Seconds of recordings and streams processed.",
    "emovox_dropped_requests_total": "Requests dropped because the client was gone.",
    "emovox_worker_starts_total": "Processes started; more than workers: some were replaced.",
}
_REQUESTS, _SECONDS = "emovox_requests_total", "emovox_request_seconds"


def _list_cells() -> list[str]:
    """Return the names of all cells of a row."""
    cells = [*_GAUGES, *_COUNTERS]
    for route in ROUTES:
        cells += [f'{_REQUESTS}{{route="{route}",status="{status}"}}' for status in STATUSES]
        cells += [f'{_SECONDS}_bucket{{route="{route}",le="{edge}"}}' for edge in BUCKETS_S]
        cells += [f'{_SECONDS}_bucket{{route="{route}",le="+Inf"}}']
        cells += [f'{_SECONDS}_sum{{route="{route}"}}']
    return cells


CELLS = tuple(_list_cells())
_INDEX = {cell: number for number, cell in enumerate(CELLS)}


class Metrics:
    """The counters of one process, and those of the others to read.

    Args:
        memory: Float64 values, ``len(CELLS)`` for each process, shared by all of them.
        row: Number of the process, from 0.
    """

    def __init__(self, memory: MutableSequence[float], row: int = 0) -> None:
        self._memory = memory
        self._start = row * len(CELLS)
        for gauge in _GAUGES:  # a killed process has left its own
            self.set(gauge, 0)
        self.add("emovox_worker_starts_total", 1)

    def set(self, cell: str, value: float) -> None:
        """Set a gauge of this process."""
        self._memory[self._start + _INDEX[cell]] = value

    def add(self, cell: str, amount: float) -> None:
        """Add to a value of this process; only its event loop may do so."""
        self._memory[self._start + _INDEX[cell]] += amount

    def count_request(self, route: str, status: int, duration_s: float) -> None:
        """Count a request that has been answered."""
        route = route if route in ROUTES else "other"
        status = status if status in STATUSES else status // 100 * 100
        self.add(f'{_REQUESTS}{{route="{route}",status="{status}"}}', 1)
        at = bisect_left(BUCKETS_S, duration_s)
        edge = BUCKETS_S[at] if at < len(BUCKETS_S) else "+Inf"
        self.add(f'{_SECONDS}_bucket{{route="{route}",le="{edge}"}}', 1)
        self.add(f'{_SECONDS}_sum{{route="{route}"}}', duration_s)

    def total(self, cell: str) -> float:
        """Return a value, summed over all processes."""
        return sum(self._memory[_INDEX[cell] :: len(CELLS)])

    def expose(self) -> str:
        """Return all values in Prometheus' text format, summed over all processes.

        Source: https://prometheus.io/docs/instrumenting/exposition_formats/
        """
        lines: list[str] = []
        for name, text in (*_GAUGES.items(), *_COUNTERS.items()):
            kind = "gauge" if name in _GAUGES else "counter"
            lines += self._head(name, kind, text) + [f"{name} {self.total(name):.17g}"]
        lines += self._head(_REQUESTS, "counter", "Requests answered, by route and HTTP status.")
        for route in ROUTES:
            for status in STATUSES:
                cell = f'{_REQUESTS}{{route="{route}",status="{status}"}}'
                lines += [f"{cell} {total:.17g}"] if (total := self.total(cell)) else []
        lines += self._head(_SECONDS, "histogram", "Time from a request to its response.")
        for route in ROUTES:
            n = 0.0
            for edge in (*BUCKETS_S, "+Inf"):
                cell = f'{_SECONDS}_bucket{{route="{route}",le="{edge}"}}'
                n += self.total(cell)  # buckets are cumulative
                lines += [f"{cell} {n:.17g}"]
            cell = f'{_SECONDS}_sum{{route="{route}"}}'
            lines += [f"{cell} {self.total(cell):.17g}"]
            lines += [f'{_SECONDS}_count{{route="{route}"}} {n:.17g}']
        return "\n".join(lines) + "\n"

    @staticmethod
    def _head(name: str, kind: str, text: str) -> list[str]:
        return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
