"""Clients that load the service as cheaply as they can, and the service that they load."""

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import connect

RATE_HZ = 16_000
FRAME_S = 0.1
HOP_S = 0.5


class RunningService:
    """``emovox serve`` with one process on one core; its port is free before and after.

    Args:
        core: Number of the core.
    """

    def __init__(self, core: int) -> None:
        self._core = core

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "emovox", "serve", "--port", "0", "--workers", "1"]
        self._process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {self._core}),  # noqa: PLW1509
        )
        line = self._process.stderr.readline() if self._process.stderr else ""
        match = re.search(r"http://127\.0\.0\.1:(\d+),", line)
        if match is None:
            raise SystemExit(f"the service did not start: {line}")
        self.port = int(match[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def measure_cpu_s(self) -> float:
        """Return the processor time that the processes have used, in seconds."""
        ticks = 0
        for pid in self._list_pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def measure_mb(self) -> float:
        """Return the resident memory of the process that serves, in MB."""
        sizes = []
        for pid in self._list_pids():
            status = Path(f"/proc/{pid}/status").read_text()
            sizes.append(int(status.split("VmRSS:")[1].split()[0]) / 1_024)
        return max(sizes)

    def _list_pids(self) -> list[int]:
        """Return the parent, the process that serves, and Python's resource tracker."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


class Client:
    """A connection that is kept.

    Args:
        port: Port of the service.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    @property
    def is_closed(self) -> bool:
        """Whether the service has closed the connection."""
        return self._reader.at_eof()

    async def post(self, path: str, body: bytes, kind: str = "audio/ogg") -> tuple[int, bytes]:
        """Send a request; return status and body."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(answer[9:12]), await self._reader.readexactly(length)


async def run_open_loop(
    port: int, bodies: list[bytes], rate_hz: float, n: int
) -> npt.NDArray[np.float64]:
    """Send requests at random times, whether others have been answered or not.

    Args:
        port: Port of the service.
        bodies: Recordings, taken in turn.
        rate_hz: Mean number of requests per second.
        n: Number of requests.

    Returns:
        Time of each request in seconds, ``(n,)``.
    """
    gaps_s = np.random.default_rng(0).exponential(1 / rate_hz, n)
    idle: list[Client] = []

    async def send(number: int) -> float:
        # The service has closed those that were idle for long.
        while idle and idle[-1].is_closed:
            idle.pop()
        client = idle.pop() if idle else await Client(port).__aenter__()
        started_s = time.perf_counter()
        status, _ = await client.post("/v1/predict", bodies[number % len(bodies)])
        if status != 200:
            raise SystemExit(f"status {status} at half the load")
        idle.append(client)
        return time.perf_counter() - started_s

    tasks = []
    due_s = time.perf_counter()
    for number, gap_s in enumerate(gaps_s):
        due_s += gap_s
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(send(number)))
    times_s = await asyncio.gather(*tasks)
    for client in idle:
        await client.__aexit__()
    return np.array(times_s)


async def run_stream(
    port: int, samples: npt.NDArray[np.float32], delay_s: float, duration_s: float
) -> npt.NDArray[np.float64]:
    """Stream samples in real time; return the delay of each update in seconds."""
    await asyncio.sleep(delay_s)
    frames = (samples * 32_767).astype("<i2")
    n_frame = round(FRAME_S * RATE_HZ)
    sent_s: list[float] = []
    delays_s: list[float] = []
    async with connect(f"ws://127.0.0.1:{port}/v1/stream", max_queue=None) as stream:
        await stream.send(json.dumps({"rate_hz": RATE_HZ}))
        await stream.recv()

        async def receive() -> None:
            async for text in stream:
                message = json.loads(text)
                if message["type"] == "update":
                    # The frame whose arrival made the update due.
                    at = round(message["time_s"] / FRAME_S) - 1
                    delays_s.append(time.perf_counter() - sent_s[at])

        receiver = asyncio.create_task(receive())
        started_s = time.perf_counter()
        for number in range(round(duration_s / FRAME_S)):
            await asyncio.sleep(max(0.0, started_s + number * FRAME_S - time.perf_counter()))
            start = (number * n_frame) % (len(frames) - n_frame)
            sent_s.append(time.perf_counter())
            await stream.send(frames[start : start + n_frame].tobytes())
        await stream.send(json.dumps({"type": "end"}))
        await receiver
    return np.array(delays_s)


async def soak(port: int, bodies: list[bytes], duration_s: float) -> Counter[int]:
    """Send good and bad requests for a while; return how many ended in each status.

    A status of 0 is a connection that was closed without a response.
    """
    ends_s = time.perf_counter() + duration_s
    statuses: Counter[int] = Counter()

    async def work(number: int) -> None:
        generator = np.random.default_rng(number)
        while time.perf_counter() < ends_s:
            body = bodies[int(generator.integers(len(bodies)))]
            try:
                statuses[await send_any(port, body, generator)] += 1
            except (OSError, asyncio.IncompleteReadError):
                statuses[0] += 1

    await asyncio.gather(*map(work, range(24)))
    return statuses


async def send_any(port: int, body: bytes, generator: np.random.Generator) -> int:
    """Send a good request, or a bad one of some kind; return its status."""
    kind = int(generator.integers(9))
    async with Client(port) as client:
        if kind < 3:
            path = ("/v1/predict", "/v1/timeline", "/v1/predict?vad=false")[kind]
            status, _ = await client.post(path, body)
        elif kind == 3:  # damaged
            damaged = bytearray(body)
            for at in generator.integers(len(body), size=8):
                damaged[at] = int(generator.integers(256))
            status, _ = await client.post("/v1/predict", bytes(damaged))
        elif kind == 4:
            status, _ = await client.post("/v1/predict", generator.bytes(10_000))
        elif kind == 5:
            status, _ = await client.post("/v1/predict?channel=none", body)
        elif kind == 6:
            status, _ = await client.post("/v1/predict", body, "multipart/form-data; boundary=x")
        elif kind == 7:  # gone during the upload
            client._writer.write(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
                                 b"Content-Length: 900000\r\n\r\n" + body)  # fmt: skip
            await client._writer.drain()
            status = 0
        else:  # gone while it is computed
            client._writer.write(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
                                 b"Content-Length: %d\r\n\r\n%s" % (len(body), body))  # fmt: skip
            await client._writer.drain()
            await asyncio.sleep(0.01)
            status = 0
    return status


async def connect_in_turn(port: int, n: int) -> None:
    """Open WebSockets one after the other, each left in another state."""
    for number in range(n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            .encode()
        )  # fmt: skip
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"connection {number}: {answer.decode()}")
        if number % 3 == 1:  # a first message, in a frame of a client: masked
            start = json.dumps({"rate_hz": RATE_HZ}).encode()
            writer.write(bytes([0x81, 0x80 | len(start), 0, 0, 0, 0]) + start)
            await reader.readexactly(2)
        elif number % 3 == 2:  # a frame that is not one
            writer.write(os.urandom(64))
        writer.close()
        # The service has as many streams as it may, unless it forgets those that have gone.
        await writer.wait_closed()
