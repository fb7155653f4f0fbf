"""Responses with problem details, which reach clients that are still sending."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from emovox.errors import EmovoxError
from emovox.service.problems import MEDIA_TYPE, describe_problem, find_status

BODY_READ = "emovox.body_read"
"""Entry of an ASGI scope: the request's body has been read to its end."""

DRAIN_BYTES = 16 * 2**20
DRAIN_S = 2.0
"""How much of a refused body is still read, and for how long. If the connection were closed with
bytes unread, its reset could overtake the response."""


class ProblemResponse(JSONResponse):
    """Problem details of an error.

    Args:
        error: The error; its ``headers``, if it has any, are sent too.
    """

    media_type = MEDIA_TYPE

    def __init__(self, error: EmovoxError) -> None:
        headers = getattr(error, "headers", None)
        super().__init__(describe_problem(error), find_status(error), headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; end the connection if the body has not been read to its end."""
        is_http = scope["type"] == "http"
        if not is_http or scope.get(BODY_READ) or "expect" in Headers(scope=scope):
            await super().__call__(scope, receive, send)
            return
        # Without a body, this says that it has ended, and the connection can be used again.
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await receive()
        if scope.get(BODY_READ):
            await super().__call__(scope, receive, send)
            return
        self.headers["connection"] = "close"
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await _drain(scope, receive)
        await send({"type": "http.response.body", "body": b""})


async def _drain(scope: Scope, receive: Receive) -> None:
    """Read a body, up to a limit, and forget it."""
    n_bytes = 0
    while not scope.get(BODY_READ) and n_bytes < DRAIN_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        n_bytes += len(message.get("body", b""))
