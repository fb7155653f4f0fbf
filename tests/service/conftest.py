"""A service in a thread of the tests, with a model whose predictions are known."""

import http.client
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from uvicorn import Server

from emovox.recognition.recognizer import Recognizer
from emovox.service.metrics import CELLS, Metrics
from emovox.service.serve import open_socket
from emovox.service.settings import Limits, ServiceSettings
from emovox.service.worker import make_server


@dataclass(frozen=True)
class Reply:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningService:
    """A service that runs in this process."""

    port: int
    server: Server
    metrics: Metrics

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        """Send a recording."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, {"Content-Type": "application/octet-stream"} | named)

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/stream"


Serve = Callable[..., Any]


@pytest.fixture(scope="session")
def recognizer(loudness_model: Path) -> Recognizer:
    """Return a recogniser that tells loud from quiet recordings, at 8 kHz, without a detector."""
    return Recognizer.load(loudness_model, vad=False)


@contextmanager
def run_service(recognizer: Recognizer, settings: ServiceSettings) -> Iterator[RunningService]:
    """Run a service in a thread; end it in order."""
    listener = open_socket(replace(settings, port=0))
    metrics = Metrics([0.0] * len(CELLS))
    server = make_server(settings, recognizer, metrics)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield RunningService(listener.getsockname()[1], server, metrics)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def serve(recognizer: Recognizer) -> Serve:
    """Return a context manager that runs a service with some limits and settings changed."""

    def start(limits: dict[str, Any] | None = None, **changes: Any) -> Any:
        settings = ServiceSettings(port=0, limits=Limits(**(limits or {})), **changes)
        return run_service(recognizer, settings)

    return start


@pytest.fixture(scope="module")
def service(recognizer: Recognizer) -> Iterator[RunningService]:
    """Run a service with the default settings."""
    with run_service(recognizer, ServiceSettings(port=0)) as running:
        yield running


def make_wav(level: float = 0.75, duration_s: float = 1.0, channels: int = 1) -> bytes:
    """Return a WAV file, 8 kHz 16 bit, of a square wave: loud from a level of 0.5."""
    wave = np.where(np.arange(round(8_000 * duration_s)) // 8 % 2, level, -level)
    file = io.BytesIO()
    samples = np.repeat(wave[:, np.newaxis], channels, axis=1)  # (samples, channels)
    sf.write(file, samples, 8_000, format="WAV", subtype="PCM_16")
    return file.getvalue()
