"""Overflow, slow clients, and clients that go away: the process lives, and the next is served."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from tests.service.conftest import Reply, RunningService, Serve, make_wav

from emovox.recognition.recognizer import Recognizer

LIMIT_S = 60
"""Far more than anything here takes."""


class Held:
    """Model runs that wait until they are let go."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.go = threading.Event()
        self.n_runs = 0

    def wait_for_start(self) -> None:
        assert self.started.acquire(timeout=LIMIT_S)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Hold every run of the model."""
    held, score = Held(), Recognizer.score_waveform

    def wait(self: Recognizer, *arguments: Any, **options: Any) -> Any:
        held.n_runs += 1
        held.started.release()
        assert held.go.wait(LIMIT_S)
        return score(self, *arguments, **options)

    monkeypatch.setattr(Recognizer, "score_waveform", wait)
    yield held
    held.go.set()


@contextmanager
def open_connection(service: RunningService) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT_S) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def wait_until(condition: Any) -> None:
    ends_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def test_requests_beyond_the_queue_are_told_when_to_return(serve: Serve, held: Held) -> None:
    with serve({"waiting": 3}) as service, ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(service.post, "/v1/predict", make_wav()) for _ in range(3)]
        held.wait_for_start()
        wait_until(lambda: service.ask("GET", "/readyz").status == 503)
        reply = service.post("/v1/predict", make_wav())
        assert (reply.status, reply.json["code"]) == (503, "service.overloaded")
        assert int(reply.headers["retry-after"]) >= 1
        held.go.set()
        assert [future.result(LIMIT_S).status for future in waiting] == [200] * 3
        assert service.ask("GET", "/readyz").status == 200
        assert service.post("/v1/predict", make_wav()).json["emotion"] == "loud"


def test_bodies_beyond_the_memory_are_told_to_return(serve: Serve, held: Held) -> None:
    recording = make_wav(duration_s=30)
    with (
        serve({"pending_bytes": len(recording) * 3 // 2}) as service,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(service.post, "/v1/predict", recording)
        held.wait_for_start()
        reply = service.post("/v1/predict", recording)
        assert (reply.status, reply.json["code"]) == (503, "service.overloaded")
        held.go.set()
        assert first.result(LIMIT_S).status == 200
        assert service.post("/v1/predict", recording).status == 200


def test_a_request_past_its_deadline_is_ended(serve: Serve, held: Held) -> None:
    with serve({"deadline_s": 0.2}) as service:
        reply = service.post("/v1/predict", make_wav())
        assert (reply.status, reply.json["code"]) == (503, "service.deadline")
        assert "retry-after" in reply.headers
        held.go.set()
        # The next waits in the lane until the run that was held has ended.
        wait_until(lambda: service.post("/v1/predict", make_wav()).status == 200)


def test_work_of_a_client_that_is_gone_is_dropped(serve: Serve, held: Held) -> None:
    """A recording of 12 windows: the one that runs is finished, and no other one is started."""
    recording = make_wav(duration_s=120)
    with serve() as service:
        with open_connection(service) as connection:
            head = (
                f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(recording)}"
            )
            connection.sendall(head.encode() + b"\r\n\r\n" + recording)
            held.wait_for_start()
        dropped = "emovox_dropped_requests_total"
        wait_until(lambda: service.metrics.total(dropped) == 1)
        held.go.set()
        assert service.post("/v1/predict", make_wav()).json["emotion"] == "loud"
        assert held.n_runs == 2
        wait_until(lambda: service.metrics.total("emovox_pending_bytes") == 0)


def test_a_client_that_goes_during_its_upload_is_forgotten(serve: Serve) -> None:
    with serve() as service:
        with open_connection(service) as connection:
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"
                + bytes(300_000)
            )
        wait_until(lambda: service.metrics.total("emovox_dropped_requests_total") == 1)
        assert service.post("/v1/predict", make_wav()).status == 200


def test_a_body_is_refused_by_its_promised_length_and_as_it_arrives(serve: Serve) -> None:
    with serve({"body_bytes": 100_000}) as service:
        assert service.post("/v1/predict", make_wav(duration_s=5)).status == 200
        long = make_wav(duration_s=10)
        for body in (long, iter([long[:80_000], long[80_000:]])):  # an iterator is sent in chunks
            reply = service.post("/v1/predict", body)
            assert (reply.status, reply.json["code"]) == (413, "service.too_large")
        with open_connection(service) as connection:  # of which nothing is sent
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                b"Content-Length: 9999999999\r\n\r\n"
            )
            assert b" 413 " in connection.recv(4_096)


def test_a_body_that_arrives_too_slowly_is_refused(serve: Serve) -> None:
    with serve({"idle_s": 0.2}) as service, open_connection(service) as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nRIFF"
        )
        reply = read_to_end(connection)
        assert b" 408 " in reply
        assert b"service.slow" in reply


def test_a_body_that_takes_too_long_is_refused(serve: Serve) -> None:
    with (
        serve({"idle_s": 30.0, "upload_s": 0.3}) as service,
        open_connection(service) as connection,
    ):
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nRIFF"
        )
        assert b"service.slow" in read_to_end(connection)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: loc",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /heal",
    ],
    ids=["nothing", "part of a head", "a request, and part of another"],
)
def test_a_head_that_does_not_arrive_in_time_ends_the_connection(sent: bytes, serve: Serve) -> None:
    with serve({"head_s": 0.2}) as service, open_connection(service) as connection:
        connection.sendall(sent)
        reply = read_to_end(connection)
        assert reply.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")
        assert service.ask("GET", "/healthz").status == 200


def test_a_client_that_does_not_read_is_cut_off(serve: Serve) -> None:
    with serve({"send_s": 0.2}) as service, open_connection(service) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

        def is_cut_off() -> bool:
            try:
                connection.sendall(request * 20)
            except OSError:
                return True
            return False

        connection.settimeout(5)
        wait_until(is_cut_off)
        wait_until(lambda: not service.server.server_state.connections)
        assert service.ask("GET", "/healthz").status == 200


def test_connections_beyond_the_limit_are_told_to_return(serve: Serve) -> None:
    with serve({"connections": 2}) as service:
        with open_connection(service), open_connection(service):
            wait_until(lambda: len(service.server.server_state.connections) == 2)
            reply = service.ask("GET", "/healthz")
            assert (reply.status, reply.json["code"]) == (503, "service.overloaded")
            assert reply.headers["retry-after"] == "5"
        wait_until(lambda: not service.server.server_state.connections)
        assert service.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000,
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["TLS", "no host", "negative length", "endless header", "bad chunk"],
)
def test_what_is_not_http_is_refused(sent: bytes, service: RunningService) -> None:
    with open_connection(service) as connection:
        connection.sendall(sent)
        assert read_to_end(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 503 "))
    assert service.ask("GET", "/healthz").status == 200


def test_shutdown_finishes_what_is_in_flight(serve: Serve, held: Held) -> None:
    replies: list[Reply] = []
    with serve() as service:
        thread = threading.Thread(
            target=lambda: replies.append(service.post("/v1/predict", make_wav()))
        )
        thread.start()
        held.wait_for_start()
        service.server.should_exit = True
        wait_until(lambda: not service.server.servers[0].is_serving())
        held.go.set()
        thread.join(LIMIT_S)
    assert replies[0].json["emotion"] == "loud"


def test_a_request_does_not_wait_for_a_long_timeline(serve: Serve, held: Held) -> None:
    with serve() as service, ThreadPoolExecutor(2) as pool:
        long = pool.submit(service.post, "/v1/timeline", make_wav(duration_s=20))
        held.wait_for_start()
        short = pool.submit(service.post, "/v1/predict", make_wav())
        held.wait_for_start()  # while the timeline's window is still held
        assert not long.done()
        held.go.set()
        assert short.result(LIMIT_S).json["emotion"] == "loud"
        assert long.result(LIMIT_S).json["segments"][-1]["end_s"] == 20


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MemoryError("of 1 TB"), 503, "service.overloaded"),
        (RuntimeError("/home/ann/secret.wav"), 500, "service.failed"),
    ],
)
def test_an_error_that_nobody_expected_ends_one_request(
    error: Exception, status: int, code: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with serve() as service:
        with monkeypatch.context() as patched:
            patched.setattr(Recognizer, "score_waveform", fail)
            reply = service.post("/v1/predict", make_wav())
        assert (reply.status, reply.json["code"]) == (status, code)
        assert str(error) not in reply.json["detail"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert service.post("/v1/predict", make_wav()).status == 200
