"""What every request passes first: host, origin, key, rate; and what every response carries."""

import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emovox.service.keys import find_key
from emovox.service.lanes import ClientGone
from emovox.service.metrics import Metrics
from emovox.service.problems import ServiceError
from emovox.service.responses import BODY_READ, ProblemResponse
from emovox.service.settings import ServiceSettings

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",  # elements of the player draw into a shadow tree
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class RateLimit:
    """Requests of each client, as a bucket that refills continuously.

    Args:
        per_minute: Requests in a minute, and at once; 0: any number.
    """

    MAX_CLIENTS = 10_000

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str, now_s: float) -> None:
        """Count a request; raise ServiceError if the client has to wait."""
        if not self._per_minute:
            return
        if len(self._buckets) >= self.MAX_CLIENTS:
            self._forget(now_s)
        left, then_s = self._buckets.get(client, (float(self._per_minute), now_s))
        left = min(self._per_minute, left + (now_s - then_s) * self._per_minute / 60)
        if left < 1:
            raise ServiceError(
                f"more than {self._per_minute} requests in a minute; send fewer",
                code="service.rate_limited",
                retry_after_s=max(1, round((1 - left) * 60 / self._per_minute)),
            )
        self._buckets[client] = (left - 1, now_s)

    def _forget(self, now_s: float) -> None:
        """Forget clients whose bucket is full again; if there are none, all."""
        kept = {client: b for client, b in self._buckets.items() if now_s - b[1] < 60}
        self._buckets = kept if len(kept) < self.MAX_CLIENTS else {}


class Guard:
    """ASGI middleware around the application.

    Args:
        app: The application.
        settings: Keys, names, origins and limits.
        metrics: Counts the requests.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._rates = RateLimit(settings.limits.requests_per_minute)
        self._hosts = {*LOOPBACK_NAMES, *settings.hosts}
        # Any name may lead to a public address; loopback's are known, and others are an attack by
        # a page whose name resolves to this machine ("DNS rebinding").
        self._checks_host = settings.is_loopback or bool(settings.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or WebSocket connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        started_s = time.monotonic()
        status = 101 if scope["type"] == "websocket" else 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"].endswith("response.start"):
                status = message["status"]
                self._add_headers(scope["path"], MutableHeaders(scope=message))
            await send(message)

        async def receive_noting_end() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                scope[BODY_READ] = True
            return message

        try:
            self._admit(scope, Headers(scope=scope))
            await self._app(scope, receive_noting_end, send_guarded)
        except ServiceError as error:
            await refuse(error, scope, receive_noting_end, send_guarded)
        except ClientGone:
            self._metrics.add("emovox_dropped_requests_total", 1)
            return
        self._metrics.count_request(scope["path"], status, time.monotonic() - started_s)

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Raise ServiceError for a request from where it must not come."""
        self._check_host(headers.getlist("host"))
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            self._check_origin(headers)
        client = scope["client"][0] if scope.get("client") else "unknown"
        if self._needs_key(scope):
            name = self.find_user(_read_key(headers))
            # A browser cannot add a header to a WebSocket: its first message has the key.
            if name is None and not (scope["type"] == "websocket" and not _read_key(headers)):
                raise make_key_error()
            client = name or client
            scope["user_name"] = name
        if scope["path"].startswith("/v1/"):
            self._rates.take(client, time.monotonic())

    def find_user(self, key: str) -> str | None:
        """Return the name of a key's user, or none."""
        found = find_key(self._settings.keys, key)
        return found.name if found else None

    def _needs_key(self, scope: Scope) -> bool:
        path, method = scope["path"], scope.get("method")
        return (
            bool(self._settings.keys)
            and (path.startswith("/v1/") or path == "/metrics")
            and method != "OPTIONS"  # browsers ask for permission without the key
        )

    def _check_host(self, hosts: Iterable[str]) -> None:
        """Refuse names that are not ours."""
        if not self._checks_host:
            return
        for host in hosts:
            name = host.rpartition(":")[0] if _has_port(host) else host
            if name.lower() not in self._hosts:
                raise ServiceError(
                    "the request is for another host; expected localhost or a name given with "
                    "--allow-host",
                    code="service.wrong_host",
                )

    def _check_origin(self, headers: Headers) -> None:
        """Refuse scripts of pages elsewhere."""
        origin = headers.get("origin")
        if origin in self._settings.origins:
            return
        if origin is None:
            if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
                return
        elif _same_authority(origin, headers.get("host", "")):
            return
        raise ServiceError(
            "the request comes from a page of another origin; expected this service's own page, or "
            "an origin given with --allow-origin",
            code="service.forbidden_origin",
        )

    def _add_headers(self, path: str, headers: MutableHeaders) -> None:
        for name, value in SECURITY_HEADERS.items():
            headers[name] = value
        if not self._settings.origins:
            headers["cross-origin-resource-policy"] = "same-origin"
        is_page = not path.startswith(("/v1/", "/metrics", "/healthz", "/readyz"))
        headers.setdefault("cache-control", "no-cache" if is_page else "no-store")


def make_key_error() -> ServiceError:
    """Return the error for a missing or wrong API key."""
    return ServiceError(
        "the API key is missing or wrong; send 'Authorization: Bearer KEY'",
        code="service.unauthorized",
        headers={"www-authenticate": "Bearer"},
    )


async def refuse(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request or a WebSocket's opening with an error."""
    response = ProblemResponse(error)
    if scope["type"] == "websocket":
        message = await receive()
        if message["type"] == "websocket.connect":
            await send(
                {
                    "type": "websocket.http.response.start",
                    "status": response.status_code,
                    "headers": response.raw_headers,
                }
            )
            await send({"type": "websocket.http.response.body", "body": response.body})
        return
    await response(scope, receive, send)


def _read_key(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _has_port(host: str) -> bool:
    name, _, port = host.rpartition(":")
    return port.isdecimal() and (":" not in name or name.endswith("]"))


def _same_authority(origin: str, host: str) -> bool:
    """Return whether an origin is the one that a request is for; a proxy may have ended TLS."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        return False
    default = {"http": 80, "https": 443}[parts.scheme]
    name = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    full = f"{name}:{port or default}"
    return host.lower() in (parts.netloc.lower(), full.lower()) or (
        port == default and host.lower() == name.lower()
    )
