"""Measure the service against a bare onnxruntime loop in the same run.

    make bench-serve                    about six minutes; prints the figures of docs/service.md
    python benchmarks/serve.py --short  one minute, without the soak

One process of the service and the bare loop take turns on one core; the clients run on the others,
or on the same core if there is only one. The bare loop decodes the same recordings with soundfile
and repeats the runs of onnxruntime that a prediction takes, speech detection included, with their
inputs made beforehand. Other load on the machine takes more from the service than from the loop, so
the share is also given per second of processor time that each has used.
"""

import asyncio
import io
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import emovox  # noqa: F401  # before onnxruntime: it switches the usage events off

# isort: split
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import soundfile
import typer

from emovox.audio.load import load_audio
from emovox.demo.clips import read_demo_clips
from emovox.recognition.recognizer import Recognizer
from service_clients import (
    Client,
    RunningService,
    connect_in_turn,
    run_open_loop,
    run_stream,
    soak,
)

CLIENTS = 16
ROUND_S = 5.0
MIN_SHARE, MAX_P99, MAX_GROWTH = 0.70, 5.0, 0.10
"""The bars: share of the bare loop's throughput, p99 by the single request's median, memory."""
MAX_DELAY_S = 0.5
"""An update that comes later than the next one is due is late."""


class BareLoop:
    """Decodes recordings with soundfile, and repeats the runs of onnxruntime for each.

    Args:
        bodies: The recordings, encoded.
        core: Number of the core that it runs on.
    """

    def __init__(self, bodies: list[bytes], core: int) -> None:
        self._bodies = bodies
        self._core = core
        recognizer = Recognizer.load()
        self._model = recognizer.model.session
        self._runs: list[list[tuple[Any, Any]]] = []
        run = ort.InferenceSession.run
        for body in bodies:
            runs: list[tuple[Any, Any]] = []

            def note(session: Any, *arguments: Any, runs: Any = runs) -> Any:
                runs.append((session, arguments))
                return run(session, *arguments)

            ort.InferenceSession.run = note
            recognizer.predict(body)
            self._runs.append(runs)
        ort.InferenceSession.run = run

    def measure(self, duration_s: float, *, model_only: bool = False) -> tuple[float, float]:
        """Return recordings per second, and per second of the processor."""
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self._core})
        n, started_s, started_cpu_s = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - started_s < duration_s:
            for body, runs in zip(self._bodies, self._runs, strict=True):
                if not model_only:
                    soundfile.read(io.BytesIO(body), dtype="float32")
                for session, arguments in runs:
                    if session is self._model or not model_only:
                        session.run(*arguments)
                n += 1
        rates = n / (time.perf_counter() - started_s), n / (time.process_time() - started_cpu_s)
        os.sched_setaffinity(0, allowed)
        return rates


async def measure_throughput(
    port: int, bodies: list[bytes], duration_s: float
) -> tuple[float, int]:
    """Return how many recordings a second the service takes from 16 clients, and how many."""
    ends_s = time.perf_counter() + duration_s

    async def work(number: int) -> int:
        n = 0
        async with Client(port) as client:
            while time.perf_counter() < ends_s:
                status, _ = await client.post("/v1/predict", bodies[(number + n) % len(bodies)])
                if status != 200:
                    raise SystemExit(f"status {status} under load")
                n += 1
        return n

    started_s = time.perf_counter()
    counts = await asyncio.gather(*map(work, range(CLIENTS)))
    return sum(counts) / (time.perf_counter() - started_s), sum(counts)


@dataclass(frozen=True)
class Round:
    """One turn of the bare loop and the service.

    Attributes:
        bare_hz: Recordings per second of the loop.
        rate_hz: Recordings per second of the service.
        cpu_ms: Processor time of the service for a recording, in milliseconds.
        cpu_share: The loop's processor time for a recording, over the service's.
        model_share: The same of a loop of the model alone.
    """

    bare_hz: float
    rate_hz: float
    cpu_ms: float
    cpu_share: float
    model_share: float

    @property
    def share(self) -> float:
        """Throughput of the service over that of the loop."""
        return self.rate_hz / self.bare_hz


async def measure_round(loop: BareLoop, service: RunningService, bodies: list[bytes]) -> Round:
    """Let the bare loop and the service take one turn each."""
    bare_hz, bare_cpu_hz = loop.measure(ROUND_S)
    _, model_cpu_hz = loop.measure(ROUND_S / 2, model_only=True)
    before_s = service.measure_cpu_s()
    rate_hz, n = await measure_throughput(service.port, bodies, ROUND_S)
    cpu_s = (service.measure_cpu_s() - before_s) / n
    return Round(bare_hz, rate_hz, 1e3 * cpu_s, 1 / bare_cpu_hz / cpu_s, 1 / model_cpu_hz / cpu_s)


async def measure_single(port: int, bodies: list[bytes]) -> float:
    """Return the median time of a request that is alone, in seconds."""
    times_s = []
    async with Client(port) as client:
        for body in bodies * 3:
            started_s = time.perf_counter()
            await client.post("/v1/predict", body)
            times_s.append(time.perf_counter() - started_s)
    return statistics.median(times_s)


def show(text: str, bar: str = "", *, passed: bool = True) -> bool:
    """Print a figure, and whether it passes its bar."""
    verdict = f"   [{bar}: {'pass' if passed else 'FAIL'}]" if bar else ""
    print(text + verdict, flush=True)
    return passed


async def measure_all(core: int, *, short: bool, soak_s: float, connects: int) -> bool:
    """Print all figures; return whether all bars are passed."""
    bodies = [Path(clip.path).read_bytes() for clip in read_demo_clips()]
    passed = True
    with RunningService(core) as service:
        loop = BareLoop(bodies, core)
        rounds = [await measure_round(loop, service, bodies) for _ in range(3)]
        rate_hz = median(one.rate_hz for one in rounds)
        share = median(one.share for one in rounds)
        mean_s = statistics.mean(load_audio(c.path, 16_000).duration_s for c in read_demo_clips())
        show(f"bare onnxruntime loop, one core: {median(r.bare_hz for r in rounds):.1f} a second")
        passed &= show(
            f"service, {CLIENTS} clients, one process: {rate_hz:.1f} a second, {share:.0%} of "
            f"the bare loop (rounds: {', '.join(f'{one.share:.0%}' for one in rounds)})",
            f"at least {MIN_SHARE:.0%}",
            passed=share >= MIN_SHARE,
        )
        show(
            f"processor time: {median(r.cpu_ms for r in rounds):.1f} ms for a recording of "
            f"{mean_s:.1f} s; by it, {median(r.cpu_share for r in rounds):.0%} of the bare loop, "
            f"{median(r.model_share for r in rounds):.0%} of the model alone, without decoding and "
            "speech detection"
        )
        single_s = await measure_single(service.port, bodies)
        n = 100 if short else 400
        times_s = await run_open_loop(service.port, bodies, rate_hz / 2, n)
        p50_s, p99_s = np.percentile(times_s, [50, 99])
        show(f"a request alone: median {1000 * single_s:.1f} ms")
        passed &= show(
            f"Poisson arrivals at half the throughput, {n} requests: p50 {1000 * p50_s:.1f} ms, "
            f"p99 {1000 * p99_s:.1f} ms, {p99_s / single_s:.1f} times the request alone",
            f"under {MAX_P99:g}",
            passed=p99_s < MAX_P99 * single_s,
        )
        samples = np.concatenate([load_audio(c.path, 16_000).samples for c in read_demo_clips()])
        await measure_streams(service, samples, 5.0 if short else 12.0)
        if not short:
            passed &= await measure_soak(service, bodies, soak_s)
            passed &= await measure_connects(service, connects)
    return passed


async def measure_streams(
    service: RunningService, samples: npt.NDArray[np.float32], duration_s: float
) -> None:
    """Print the delay of updates for more and more real-time streams on one core."""
    kept = 0
    for n in (1, 2, 4, 6, 8, 12, 16):
        starts = np.random.default_rng(n).uniform(0, 0.5, n)
        before_s = service.measure_cpu_s()
        delays_s = np.concatenate(
            await asyncio.gather(
                *(run_stream(service.port, samples, s, duration_s) for s in starts)
            )
        )
        used = (service.measure_cpu_s() - before_s) / (n * duration_s)
        p50_s, p99_s = np.percentile(delays_s, [50, 99])
        show(f"{n:2} real-time streams: update delay p50 {1000 * p50_s:.0f} ms, "
             f"p99 {1000 * p99_s:.0f} ms; each takes {used:.1%} of a core")  # fmt: skip
        if p99_s > MAX_DELAY_S:
            break
        kept = n
    show(f"real-time streams per core with p99 under {1000 * MAX_DELAY_S:.0f} ms: {kept}")


async def measure_soak(service: RunningService, bodies: list[bytes], duration_s: float) -> bool:
    """Print what a mix of good and bad requests ended in, and the memory at its start and end."""
    await soak(service.port, bodies, duration_s / 4)
    before_mb = service.measure_mb()
    statuses = await soak(service.port, bodies, duration_s)
    growth = service.measure_mb() / before_mb - 1
    mix = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
    failed = [status for status in statuses if status >= 500 and status != 503]
    passed = show(f"soak, {duration_s:g} s, by status: {mix}", "no 5xx but 503", passed=not failed)
    return passed & show(
        f"memory of the process: {before_mb:.0f} MB, {growth:+.1%} at the end",
        f"within {MAX_GROWTH:.0%}",
        passed=growth < MAX_GROWTH,
    )


async def measure_connects(service: RunningService, n: int) -> bool:
    """Print the memory after many WebSockets in turn."""
    before_mb = service.measure_mb()
    await connect_in_turn(service.port, n)
    growth = service.measure_mb() / before_mb - 1
    return show(
        f"{n:,} WebSockets in turn: memory {growth:+.1%}",
        f"within {MAX_GROWTH:.0%}",
        passed=growth < MAX_GROWTH,
    )


def main(
    short: Annotated[bool, typer.Option("--short", help="Less of everything, no soak.")] = False,
    soak_s: Annotated[float, typer.Option(help="Duration of the soak in seconds.")] = 60,
    connects: Annotated[int, typer.Option(help="WebSockets to open in turn.")] = 10_000,
) -> None:
    """Measure the service, and say whether it passes its bars."""
    cores = sorted(os.sched_getaffinity(0))
    core, rest = cores[-1], set(cores[:-1]) or {cores[-1]}
    os.sched_setaffinity(0, rest)
    show(f"service and bare loop on core {core}, clients on {', '.join(map(str, sorted(rest)))}")
    if not asyncio.run(measure_all(core, short=short, soak_s=soak_s, connects=connects)):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
