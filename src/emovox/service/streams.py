"""The WebSocket ``/v1/stream``: live audio in, updates, segments and a summary out.

first message: JSON      {"rate_hz": 48000, "format": "s16le"}      <- {"type": "ready", ...}
then: binary frames      samples                                    <- {"type": "update", ...}
                                                                    <- {"type": "segment", ...}
last message: JSON       {"type": "end"}                            <- {"type": "summary", ...}
"""

import asyncio
import json
import time
from collections import defaultdict
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from emovox.errors import EmovoxError
from emovox.recognition.results import Prediction
from emovox.recognition.stream import StreamingRecognizer
from emovox.service.answers import open_stream
from emovox.service.engine import Engine
from emovox.service.guard import make_key_error
from emovox.service.keys import find_key
from emovox.service.lanes import Ticket
from emovox.service.problems import ServiceError, describe_problem, find_status
from emovox.service.schemas import list_values
from emovox.service.uploads import decode_voice

MIN_PUSH_S = 0.1
"""Shorter messages are joined: browsers send one every few milliseconds."""

_DTYPES: dict[str, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}
_CLOSE_CODES = {401: 1008, 429: 1013, 503: 1013, 500: 1011}
"""Close codes (RFC 6455) by HTTP status; others are 1008, policy violation."""


class StreamStart(BaseModel):
    """The first message of a stream."""

    model_config = ConfigDict(extra="forbid")

    rate_hz: int = Field(ge=8_000, le=192_000)
    format: Literal["s16le", "f32le"] = "s16le"
    channels: int = Field(1, ge=1)
    min_confidence: float | None = Field(None, ge=0, le=1)
    voice: str | None = None
    key: str | None = None


async def serve_stream(websocket: WebSocket, engine: Engine) -> None:
    """Handle one stream, from its opening to its end."""
    if engine.n_streams >= engine.limits.streams:
        raise ServiceError(
            f"{engine.n_streams} streams are open, as many as may; try again later",
            code="service.overloaded",
            retry_after_s=10,
        )
    engine.n_streams += 1
    engine.update_gauges()
    try:
        await websocket.accept()
        try:
            await _Stream(websocket, engine).run()
        except EmovoxError as error:
            await websocket.send_json({**describe_problem(error), "type": "error"})
            await websocket.close(_CLOSE_CODES.get(find_status(error), 1008), error.code)
    except WebSocketDisconnect:
        pass  # nobody is left to tell
    finally:
        engine.n_streams -= 1
        engine.update_gauges()


class _Stream:
    """One stream."""

    def __init__(self, websocket: WebSocket, engine: Engine) -> None:
        self._websocket = websocket
        self._engine = engine
        self._limits = engine.limits
        self._seconds: dict[str, float] = defaultdict(float)
        self._n_segments = 0
        self._n_samples = 0

    async def run(self) -> None:
        """Read the first message, then audio until its end."""
        start = await self._read_start()
        voice = None if start.voice is None else decode_voice(start.voice)
        recognizer = await self._compute(
            lambda: open_stream(
                self._engine.recognizer,
                start.rate_hz,
                min_confidence=start.min_confidence,
                voice=voice,
            )
        )
        labels = list(self._engine.recognizer.info.labels)
        await self._websocket.send_json({"type": "ready", "labels": labels})
        started_s = time.monotonic()
        held: list[bytes] = []
        frame_bytes = _DTYPES[start.format].itemsize * start.channels
        while (message := await self._receive()) is not None:
            if len(message) % frame_bytes:
                raise ServiceError(
                    f"found a frame of {len(message)} bytes, expected a multiple of {frame_bytes}: "
                    "whole samples of all channels"
                )
            held.append(message)
            n_held = sum(map(len, held)) // frame_bytes
            if n_held < MIN_PUSH_S * start.rate_hz:
                continue
            await self._push(recognizer, held, start)
            held = []
            await self._wait_for_real_time(started_s, start.rate_hz)
        if held:
            await self._push(recognizer, held, start)
        await self._send_events(await self._compute(recognizer.finish))
        await self._websocket.send_json(
            {
                "type": "summary",
                "duration_s": round(self._n_samples / start.rate_hz, 6),
                "segments": self._n_segments,
                "seconds": {name: round(value, 6) for name, value in self._seconds.items()},
            }
        )
        await self._websocket.close()

    async def _read_start(self) -> StreamStart:
        """Read the first message, and check the key that it may have."""
        text = await self._read_message()
        try:
            start = StreamStart.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "the first message"
            raise ServiceError(
                f'{name}: {first["msg"]}; expected JSON such as {{"rate_hz": 16000, "format": '
                '"s16le"}'
            ) from None
        keys = self._engine.settings.keys
        # A browser cannot send the key as a header.
        if keys and self._websocket.scope.get("user_name") is None:
            if find_key(keys, start.key or "") is None:
                raise make_key_error()
        if start.channels > self._limits.channels:
            raise ServiceError(
                f"channels: {start.channels}; expected at most {self._limits.channels}"
            )
        return start

    async def _receive(self) -> bytes | None:
        """Return the samples of the next message, or none at the end."""
        message = await self._read_message()
        if isinstance(message, bytes):
            return message
        try:
            is_end = json.loads(message) == {"type": "end"}
        except (ValueError, RecursionError):
            is_end = False
        if not is_end:
            raise ServiceError('found another text message; expected samples or {"type": "end"}')
        return None

    async def _read_message(self) -> str | bytes:
        """Return the next message; a client must not be silent for long."""
        try:
            async with asyncio.timeout(self._limits.idle_s):
                message = await self._websocket.receive()
        except TimeoutError:
            raise ServiceError(
                f"no message for {self._limits.idle_s:g} s; expected samples, of silence too",
                code="service.slow",
            ) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        content = message.get("bytes")
        return content if content is not None else message.get("text") or ""

    async def _push(
        self, recognizer: StreamingRecognizer, held: list[bytes], start: StreamStart
    ) -> None:
        """Compute with samples that have arrived, and send what comes of it."""
        joined = b"".join(held)
        n_samples = len(joined) // (_DTYPES[start.format].itemsize * start.channels)
        self._n_samples += n_samples
        if self._n_samples > self._limits.stream_s * start.rate_hz:
            raise ServiceError(
                f"the stream lasts more than {self._limits.stream_s:g} s; open another",
                code="service.too_large",
            )
        events = await self._compute(lambda: recognizer.push(decode_samples(joined, start)))
        self._engine.metrics.add("emovox_audio_seconds_total", n_samples / start.rate_hz)
        await self._send_events(events)

    async def _compute(self, work: Any) -> Any:
        """Run work in the lane of live streams."""
        return await self._engine.live.run(Ticket(self._limits.deadline_s), work)

    async def _send_events(self, events: list[Any]) -> None:
        """Send updates and closed segments."""
        for event in events:
            if isinstance(event, Prediction):
                self._n_segments += 1
                name = event.emotion or event.abstained or "no speech"
                self._seconds[name] += event.end_s - event.start_s
                await self._websocket.send_json({"type": "segment", **list_values(event)})
            else:
                await self._websocket.send_json({"type": "update", **event.to_dict()})

    async def _wait_for_real_time(self, started_s: float, rate_hz: int) -> None:
        """Read no more while a client is too far ahead of real time."""
        ahead_s = self._n_samples / rate_hz - (time.monotonic() - started_s)
        if ahead_s > self._limits.ahead_s:
            await wait_for(ahead_s - self._limits.ahead_s)


async def wait_for(delay_s: float) -> None:
    """Wait without reading: the client's frames wait in its own buffers."""
    await asyncio.sleep(delay_s)


def decode_samples(content: bytes, start: StreamStart) -> npt.NDArray[Any]:
    """Return the samples of frames, ``(samples, channels)``."""
    values = np.frombuffer(content, _DTYPES[start.format])
    return values.reshape(-1, start.channels)  # (samples, channels)
