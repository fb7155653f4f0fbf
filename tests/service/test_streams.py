"""Live streams over a WebSocket, with a recogniser whose updates are known."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.service.conftest import RunningService, Serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from emovox.errors import EmovoxError
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.recognition.stream import StreamingRecognizer
from emovox.service import streams
from emovox.service.keys import make_key
from emovox.service.schemas import list_values
from emovox.service.streams import StreamStart, decode_samples

RATE_HZ = 8_000
START = {"rate_hz": RATE_HZ, "format": "f32le"}
END = json.dumps({"type": "end"})


@dataclass(frozen=True)
class Update:
    """What a stream says in between."""

    time_s: float

    def to_dict(self) -> dict[str, Any]:
        return {"time_s": self.time_s}


class Levels:
    """Closes a segment for each second, and updates with each push."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._held = np.zeros(0, np.float32)
        self._n_closed = 0
        self.n_pushes = 0

    def push(self, samples: npt.NDArray[np.float32]) -> list[Any]:
        self.n_pushes += 1
        self._held = np.append(self._held, samples)
        found: list[Any] = []
        while len(self._held) >= self._rate_hz:
            found.append(self._close(self._held[: self._rate_hz]))
            self._held = self._held[self._rate_hz :]
        return [*found, Update(self._n_closed + len(self._held) / self._rate_hz)]

    def finish(self) -> list[Any]:
        return [self._close(self._held)] if len(self._held) else []

    def _close(self, samples: npt.NDArray[np.float32]) -> Prediction:
        level = float(np.abs(samples).mean())
        start_s, self._n_closed = self._n_closed, self._n_closed + 1
        emotion = "loud" if level >= 0.5 else "quiet"
        end_s = start_s + len(samples) / self._rate_hz
        return Prediction(None, start_s, end_s, emotion, level, {"quiet": 1 - level, "loud": level})


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[Levels]:
    """Let streams be recognised by their level; return the recognisers."""
    found: list[Levels] = []
    if "real_stream" in request.fixturenames:
        return found

    def open_levels(_recognizer: object, rate_hz: int, **_options: object) -> Levels:
        found.append(Levels(rate_hz))
        return found[-1]

    monkeypatch.setattr(streams, "open_stream", open_levels)
    return found


@pytest.fixture
def real_stream() -> None:
    """Keep the real recogniser of streams."""


@contextmanager
def open_stream(
    service: RunningService, start: Any = START, **options: Any
) -> Iterator[ClientConnection]:
    with connect(service.websocket, open_timeout=60, close_timeout=60, **options) as stream:
        stream.send(start if isinstance(start, str) else json.dumps(start))
        yield stream


def receive(stream: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(stream.recv(timeout=60))
    return message


def receive_all(stream: ClientConnection) -> list[dict[str, Any]]:
    """Return all messages until the end."""
    messages = []
    try:
        while True:
            messages.append(receive(stream))
    except ConnectionClosed:
        return messages


def make_frame(level: float, duration_s: float = 0.5) -> bytes:
    return np.full(round(RATE_HZ * duration_s), level, "<f4").tobytes()


def test_a_stream_is_followed_to_its_summary(service: RunningService) -> None:
    with open_stream(service) as stream:
        assert receive(stream) == {"type": "ready", "labels": ["quiet", "loud"]}
        stream.send(make_frame(0.75))
        assert receive(stream) == {"type": "update", "time_s": 0.5}
        stream.send(make_frame(0.75))
        segment = receive(stream)
        assert (segment["type"], segment["start_s"], segment["end_s"]) == ("segment", 0, 1)
        assert (segment["emotion"], segment["confidence"]) == ("loud", 0.75)
        assert "file" not in segment
        assert receive(stream)["time_s"] == 1
        stream.send(make_frame(0.25))
        stream.send(END)
        *_, last, summary = receive_all(stream)
        assert (last["type"], last["emotion"], last["end_s"]) == ("segment", "quiet", 1.5)
        assert summary == {
            "type": "summary",
            "duration_s": 1.5,
            "segments": 2,
            "seconds": {"loud": 1.0, "quiet": 0.5},
        }
        assert stream.close_code == 1000


def test_short_frames_are_joined(service: RunningService, opened: list[Levels]) -> None:
    frame = make_frame(0.75, 0.005)
    with open_stream(service) as stream:
        for _ in range(100):
            stream.send(frame)
        stream.send(END)
        assert receive_all(stream)[-1]["duration_s"] == 0.5
    assert opened[0].n_pushes == 5


def test_frames_become_samples_of_channels() -> None:
    start = StreamStart(rate_hz=RATE_HZ, format="s16le", channels=2)
    samples = np.array([[32_767, -32_768], [16_384, 0], [1, 2]], "<i2")
    np.testing.assert_array_equal(decode_samples(samples.tobytes(), start), samples)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.usefixtures("real_stream")
def test_samples_that_are_not_sound_end_the_stream(value: float, service: RunningService) -> None:
    with open_stream(service) as stream:
        stream.send(np.full(RATE_HZ, value, "<f4").tobytes())
        error = receive_all(stream)[-1]
    assert (error["type"], error["status"]) == ("error", 422)
    assert error["code"] == ("audio.bad_scale" if value == 1e30 else "audio.not_finite")


@pytest.mark.usefixtures("real_stream")
def test_a_stream_gives_the_results_of_the_recogniser(
    service: RunningService, recognizer: Recognizer
) -> None:
    wave = np.where(np.arange(3 * RATE_HZ) // 8 % 2, 24_576, -24_576).astype("<i2")
    wave[RATE_HZ : 2 * RATE_HZ] = 0
    expected = StreamingRecognizer(recognizer, RATE_HZ)
    results = [*expected.push(wave), *expected.finish()]
    with open_stream(service, {"rate_hz": RATE_HZ}) as stream:
        for start in range(0, len(wave), 1_000):
            stream.send(wave[start : start + 1_000].tobytes())
        stream.send(END)
        _, *messages, summary = receive_all(stream)
    for message, result in zip(messages, results, strict=True):
        kind = "segment" if isinstance(result, Prediction) else "update"
        values = list_values(result) if isinstance(result, Prediction) else result.to_dict()
        assert message == {"type": kind, **values}
    assert {message["type"] for message in messages} == {"segment", "update"}
    assert sum(summary["seconds"].values()) == summary["duration_s"] == 3


@pytest.mark.parametrize(
    "start",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        {},
        {"rate_hz": 100},
        {"rate_hz": 16_000, "format": "mp3"},
        {"rate_hz": 16_000, "other": 1},
        {"rate_hz": 16_000, "channels": 9},
        {"rate_hz": 16_000, "voice": "!"},
    ],
    ids=lambda start: repr(start)[:30],
)
def test_a_first_message_that_does_not_fit_ends_the_stream(
    start: Any, service: RunningService
) -> None:
    with open_stream(service, start) as stream:
        (error,) = receive_all(stream)
        assert (error["type"], error["status"]) == ("error", 422)
        assert stream.close_code == 1008


@pytest.mark.parametrize("message", ["stop", '{"type": "stop"}', b"\0\0\0"])
def test_a_message_that_does_not_fit_ends_the_stream(
    message: str | bytes, service: RunningService
) -> None:
    with open_stream(service) as stream:
        stream.send(message)
        error = receive_all(stream)[-1]
        assert (error["type"], error["code"]) == ("error", "service.invalid")
    with open_stream(service) as stream:
        assert receive(stream)["type"] == "ready"


def test_a_frame_is_limited(service: RunningService) -> None:
    with open_stream(service) as stream:
        stream.send(bytes(2**18))
        assert receive(stream)["type"] == "ready"
        assert receive(stream)["type"] == "segment"
    with open_stream(service) as stream:
        stream.send(bytes(2**18 + 4))
        receive_all(stream)
        assert stream.close_code == 1009


def test_fragments_are_limited(service: RunningService) -> None:
    with open_stream(service) as stream:
        with pytest.raises(ConnectionClosed):
            stream.send(b"" for _ in range(100_000))
        # The reset of the connection may overtake the reason, 1008.
        assert stream.close_code in (1006, 1008)
    with open_stream(service) as stream:
        assert receive(stream)["type"] == "ready"


def test_streams_are_limited(serve: Serve) -> None:
    with serve({"streams": 1}) as service:
        with open_stream(service) as stream:
            assert receive(stream)["type"] == "ready"
            with pytest.raises(InvalidStatus) as refused:
                connect(service.websocket)
            response = refused.value.response
            assert (response.status_code, response.headers["retry-after"]) == (503, "10")
            assert json.loads(response.body or b"")["code"] == "service.overloaded"
        with open_stream(service) as stream:
            assert receive(stream)["type"] == "ready"


def test_a_silent_client_is_dropped(serve: Serve) -> None:
    with serve({"idle_s": 0.2}) as service:
        with open_stream(service) as stream:
            error = receive_all(stream)[-1]
        assert error["code"] == "service.slow"
        assert service.metrics.total("emovox_open_streams") == 0


def test_a_stream_is_not_endless(serve: Serve) -> None:
    with serve({"stream_s": 1.0}) as service, open_stream(service) as stream:
        for _ in range(3):
            stream.send(make_frame(0.75))
        assert receive_all(stream)[-1]["code"] == "service.too_large"


def test_a_client_ahead_of_real_time_has_to_wait(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def note(delay_s: float) -> None:
        waits.append(delay_s)

    monkeypatch.setattr("emovox.service.streams.wait_for", note)
    monkeypatch.setattr("emovox.service.streams.time", SimpleNamespace(monotonic=lambda: 0.0))
    with serve({"ahead_s": 1.0}) as service, open_stream(service) as stream:
        for _ in range(6):
            stream.send(make_frame(0.75))
        stream.send(END)
        receive_all(stream)
    assert waits == [0.5, 1.0, 1.5, 2.0]


def test_a_client_that_closes_is_forgotten(service: RunningService) -> None:
    with open_stream(service) as stream:
        stream.send(make_frame(0.75))
        assert receive(stream)["type"] == "ready"
    with open_stream(service) as stream:
        assert receive(stream)["type"] == "ready"


def test_a_browser_sends_its_key_in_the_first_message(serve: Serve) -> None:
    key, stored = make_key("ann")
    with serve(keys=(stored,)) as service:
        for wrong in (None, "", key + "x"):
            with open_stream(service, {**START, "key": wrong}) as stream:
                (error,) = receive_all(stream)
                assert (error["code"], stream.close_code) == ("service.unauthorized", 1008)
        with open_stream(service, {**START, "key": key}) as stream:
            assert receive(stream)["type"] == "ready"
        header = {"Authorization": f"Bearer {key}"}
        with open_stream(service, additional_headers=header) as stream:
            assert receive(stream)["type"] == "ready"
        with pytest.raises(InvalidStatus):
            connect(service.websocket, additional_headers={"Authorization": "Bearer wrong"})


def test_an_error_of_the_recogniser_ends_its_stream_only(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise EmovoxError("no such voice", code="voice.invalid")

    with open_stream(service) as other:
        assert receive(other)["type"] == "ready"
        monkeypatch.setattr(streams, "open_stream", fail)
        with open_stream(service) as stream:
            assert receive(stream)["code"] == "voice.invalid"
        other.send(make_frame(0.75))
        assert receive(other)["type"] == "update"


def test_many_streams_at_once_keep_apart(service: RunningService) -> None:
    levels = [0.1 * number for number in range(1, 10)]
    found: dict[float, float] = {}

    def run(level: float) -> None:
        with open_stream(service) as stream:
            for _ in range(4):
                stream.send(make_frame(level))
            stream.send(END)
            (first, *_) = [m for m in receive_all(stream) if m["type"] == "segment"]
            found[level] = first["scores"]["loud"]

    threads = [threading.Thread(target=run, args=(level,)) for level in levels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == pytest.approx({level: level for level in levels}, abs=1e-6)


def test_many_connects_in_turn_leave_nothing(service: RunningService) -> None:
    for number in range(50):
        with connect(service.websocket) as stream:
            if number % 2:
                stream.send(json.dumps(START))
    with open_stream(service) as stream:
        assert receive(stream)["type"] == "ready"
        assert service.metrics.total("emovox_open_streams") == 1
