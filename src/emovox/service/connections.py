"""Connections that cannot be held open by a client that sends, or reads, too slowly.

uvicorn has no time limit for the head of a request, nor for a client that does not read what it
is sent. These subclasses add both, and a limit of open connections.
"""

import asyncio
import json
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from emovox.service.problems import MEDIA_TYPE, ServiceError, describe_problem, find_status
from emovox.service.settings import Limits

MAX_HEAD_BYTES = 64 * 2**10
MAX_FRAGMENTS = 64
"""Frames of one WebSocket message. Their number is not limited by the message's size, since a
frame may be empty."""


class _Timers:
    """Named timers of a connection."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self, name: str, delay_s: float, action: Any) -> None:
        """Start a timer unless it is running."""
        if name not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_later(delay_s, self._fire, name, action)

    def stop(self, *names: str) -> None:
        """Stop timers; without names, all."""
        for name in names or tuple(self._timers):
            if timer := self._timers.pop(name, None):
                timer.cancel()

    def _fire(self, name: str, action: Any) -> None:
        del self._timers[name]
        action()


class _Patrolled:
    """Aborts a connection that has been closed, but whose client does not read what is left."""

    limits: ClassVar[Limits] = Limits()
    transport: asyncio.Transport

    def _start_timers(self) -> None:
        self._timers = _Timers()
        self._timers.start("patrol", self.limits.send_s, self._patrol)

    def _patrol(self) -> None:
        if self.transport.is_closing():
            self._timers.start("closing", self.limits.send_s, self.transport.abort)
        else:
            self._timers.start("patrol", self.limits.send_s, self._patrol)


class HttpConnection(_Patrolled, H11Protocol):
    """An HTTP connection with limits of time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection beyond the limit; give others time to send a request."""
        super().connection_made(transport)
        self._start_timers()
        if len(self.connections) > self.limits.connections:
            self._refuse(
                ServiceError(
                    "as many connections are open as may; try again later",
                    code="service.overloaded",
                    retry_after_s=5,
                )
            )
            return
        self._timers.start("head", self.limits.head_s, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._timers.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read data; the head of a request has to be complete in time."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._timers.start("head", self.limits.head_s, self.transport.abort)
        else:
            self._timers.stop("head")

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand the connection over: its timers are the WebSocket's business."""
        self._timers.stop()
        super().handle_websocket_upgrade(event)

    def pause_writing(self) -> None:
        """Give a slow client time to read."""
        super().pause_writing()
        self._timers.start("writing", self.limits.send_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client has read."""
        super().resume_writing()
        self._timers.stop("writing")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer what is not HTTP."""
        self._refuse(
            ServiceError(
                "the request is not valid HTTP/1.1; use an HTTP client",
                code="service.bad_request",
            )
        )

    def _refuse(self, error: ServiceError) -> None:
        """Write an error, whatever state the connection is in, and close it."""
        body = json.dumps(describe_problem(error)).encode()
        headers = {
            "content-type": MEDIA_TYPE,
            "content-length": str(len(body)),
            "connection": "close",
            **error.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        phrase = describe_problem(error)["title"]
        head = f"HTTP/1.1 {find_status(error)} {phrase}\r\n{lines}\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


class WebSocketConnection(_Patrolled, WebSocketsSansIOProtocol):
    """A WebSocket connection whose client has to read in time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        super().connection_made(transport)
        self._start_timers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._timers.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give a slow client time to read."""
        super().pause_writing()
        self._timers.start("writing", self.limits.send_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client has read."""
        super().resume_writing()
        self._timers.stop("writing")

    def handle_cont(self, event: Frame) -> None:
        """Read a part of a message; they have to be few."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(1008, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)


def make_protocols(limits: Limits) -> tuple[type[HttpConnection], type[WebSocketConnection]]:
    """Return the classes of connections with given limits, for uvicorn's configuration."""

    class LimitedHttp(HttpConnection):
        """HTTP with the service's limits."""

    class LimitedWebSocket(WebSocketConnection):
        """WebSocket with the service's limits."""

    LimitedHttp.limits = LimitedWebSocket.limits = limits
    return LimitedHttp, LimitedWebSocket
