"""Damaged uploads and streams: the service answers each, and the next request as if nothing was."""

import http.client
import json
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_files import Recordings
from uvicorn import Server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from emovox.errors import EmovoxError
from emovox.service.metrics import CELLS, Metrics
from emovox.service.serve import open_socket
from emovox.service.settings import ServiceSettings
from emovox.service.worker import make_server

TIMEOUT_S = 300


class Uploads:
    """Damaged recordings as bodies, forms, damaged forms, streams and requests of the service."""

    allowed = EmovoxError
    memory_mb = 900

    def __init__(self, folder: Path) -> None:
        self._recordings = Recordings(folder)
        settings = ServiceSettings(port=0)
        listener = open_socket(settings)
        self._port = listener.getsockname()[1]
        self._server: Server = make_server(
            settings, self._recordings.recognizer, Metrics([0.0] * len(CELLS))
        )
        threading.Thread(target=self._server.run, args=([listener],), daemon=True).start()
        self._good = self._recordings.recordings[0]
        self._expected = self._post("/v1/predict", self._good, "audio/wav")
        if self._expected[0] != 200:
            raise AssertionError(f"status {self._expected[0]} for a recording that is whole")

    def make(self, generator: np.random.Generator) -> bytes:
        """Damage one of the recordings."""
        return self._recordings.make(generator)

    def check(self, content: bytes) -> str:
        """Send it in one of five ways; then the next request has to be answered correctly."""
        ways = (self._send_body, self._send_form, self._send_damaged_form, self._send_stream,
                self._send_request)  # fmt: skip
        outcome = ways[zlib.crc32(content) % len(ways)](content)
        if self._post("/v1/predict", self._good, "audio/wav") != self._expected:
            raise AssertionError("the next request was not answered correctly")
        return outcome

    def _send_body(self, content: bytes) -> str:
        path = "/v1/timeline" if len(content) % 2 else "/v1/predict"
        return self._describe(*self._post(path, content, "application/octet-stream"))

    def _send_form(self, content: bytes) -> str:
        head = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        body = head + content + b"\r\n--b--\r\n"
        reply = self._post("/v1/predict", body, "multipart/form-data; boundary=b")
        return self._describe(*reply)

    def _send_damaged_form(self, content: bytes) -> str:
        """Send the recording where a form is expected; its first bytes name the boundary."""
        boundary = content[:4].hex() or "b"
        body = b"--" + boundary.encode() + b"\r\n" + content
        reply = self._post("/v1/predict", body, f"multipart/form-data; boundary={boundary}")
        return self._describe(*reply)

    def _send_stream(self, content: bytes) -> str:
        """Send it as samples, and as a first message."""
        try:
            with connect(f"ws://127.0.0.1:{self._port}/v1/stream") as stream:
                if len(content) % 5:
                    start = {"rate_hz": 16_000, "format": "f32le" if len(content) % 2 else "s16le"}
                    stream.send(json.dumps(start))
                stream.send(content[: 2**18])
                stream.send(json.dumps({"type": "end"}))
                messages = [json.loads(text) for text in stream]
        except ConnectionClosed:
            return "closed stream"
        last = messages[-1] if messages else {}
        if last.get("type") not in ("error", "summary"):
            raise AssertionError(f"the stream ended with {last}")
        return self._describe(last.get("status", 200), last)

    def _send_request(self, content: bytes) -> str:
        """Send it as the request itself."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        connection.connect()
        connection.sock.sendall(content[:4_096] + b"\r\n\r\n")
        received = connection.sock.recv(65_536)
        connection.close()
        return f"HTTP {received[9:12].decode('latin-1')}"

    def _post(self, path: str, content: bytes, kind: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path, content, {"Content-Type": kind})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    @staticmethod
    def _describe(status: int, reply: dict[str, Any]) -> str:
        """Return the code of a problem, or that there was none."""
        if status >= 500:
            raise AssertionError(f"status {status}: {reply}")
        return str(reply.get("code", "answer"))
