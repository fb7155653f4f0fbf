"""Settings of the service, all with safe defaults, checked before anything listens."""

from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path

from emovox.audio.limits import MAX_CHANNELS
from emovox.errors import EmovoxError
from emovox.service.keys import ApiKey

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process of the service accepts at most; anything beyond is refused.

    Attributes:
        body_bytes: Size of a request's body.
        pending_bytes: Size of all bodies held at the same time.
        predict_s: Duration of a recording for ``/v1/predict`` and ``/v1/enroll``, in seconds.
        timeline_s: Duration of a recording for ``/v1/timeline``, in seconds.
        channels: Channels of a recording.
        waiting: Requests that wait for the model; more are answered with 503.
        connections: Open connections; more are closed at once.
        streams: Live streams.
        stream_s: Duration of a live stream, in seconds.
        ahead_s: Audio that a stream may send beyond real time, in seconds.
        requests_per_minute: Requests of one client; 0: any number.
        deadline_s: Time from the end of the upload to the response, in seconds.
        head_s: Time to send the head of a request, in seconds.
        idle_s: Time without a byte of a body or a message of a stream, in seconds.
        upload_s: Time to send a body, in seconds.
        send_s: Time in which a client must read a part of the response, in seconds.
        shutdown_s: Time to finish what is in flight after SIGTERM, in seconds.
    """

    body_bytes: int = 64 * MIB
    pending_bytes: int = 256 * MIB
    predict_s: float = 300.0
    timeline_s: float = 3_600.0
    channels: int = 8
    waiting: int = 32
    connections: int = 512
    streams: int = 16
    stream_s: float = 14_400.0
    ahead_s: float = 10.0
    requests_per_minute: int = 0
    deadline_s: float = 120.0
    head_s: float = 10.0
    idle_s: float = 30.0
    upload_s: float = 300.0
    send_s: float = 30.0
    shutdown_s: float = 30.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value < 0 or (value == 0 and entry.name != "requests_per_minute"):
                raise EmovoxError(f"the limit {entry.name} is {value}; expected more than 0")
        if self.channels > MAX_CHANNELS:
            raise EmovoxError(
                f"the limit of channels is {self.channels}; expected at most {MAX_CHANNELS}"
            )


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Everything that ``emovox serve`` can be told.

    Attributes:
        host: Address to listen on: an IP address, or ``localhost``.
        port: Port to listen on; 0: any free one.
        workers: Number of processes.
        model: A ``model.onnx``; ``None``: the bundled model.
        keys: API keys, hashed; with any, every request to ``/v1`` and ``/metrics`` needs one.
        insecure: Listen on an address other than loopback without keys.
        hosts: Names by which clients may call the service, besides loopback's.
        origins: Origins of pages elsewhere whose scripts may call the service.
        trusted_proxies: Addresses whose ``X-Forwarded-For`` names the client.
        limits: Limits of each process.

    Raises:
        EmovoxError: A value is out of range, or an address other than loopback has no keys.
    """

    host: str = "127.0.0.1"
    port: int = 8_000
    workers: int = 1
    model: Path | None = None
    keys: tuple[ApiKey, ...] = ()
    insecure: bool = False
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise EmovoxError(f"the port is {self.port}; expected 0 to 65535")
        if self.workers < 1:
            raise EmovoxError(f"workers is {self.workers}; expected at least 1")
        for origin in self.origins:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest or "*" in rest:
                raise EmovoxError(
                    f"the origin is {origin!r}; expected a scheme and a name, such as "
                    "https://example.org"
                )
        if not (self.is_loopback or self.keys or self.insecure):
            raise EmovoxError(
                f"the address {self.host} can be reached from other machines, expected API keys "
                "for it: make one with 'emovox serve --new-key NAME' and pass it with --keys, or "
                "let everybody in with --insecure",
                code="service.unprotected",
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            raise EmovoxError(
                f"the address is {self.host!r}; expected an IP address, such as 127.0.0.1 or "
                "0.0.0.0, or localhost"
            ) from None
