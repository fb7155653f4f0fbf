"""Read a recording from a request, raw or multipart, into memory: never onto a disk."""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from emovox.service.lanes import ClientGone
from emovox.service.problems import ServiceError
from emovox.service.settings import MIB, Limits

VOICE_HEADER = "x-emovox-voice"
MAX_VOICE_BYTES = 64 * 2**10
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Upload:
    """What a client has sent.

    Attributes:
        audio: The recording, encoded.
        voice: An enrolled voice, as ``/v1/enroll`` returned it, or ``None``.
    """

    audio: bytes
    voice: bytes | None


class PendingBytes:
    """How many bytes of bodies a process holds, which is bounded.

    Args:
        max_bytes: The most that it may hold.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator["HeldBytes"]:
        """Yield an account for one request, which is settled at its end."""
        account = HeldBytes(self)
        try:
            yield account
        finally:
            self.held -= account.n_bytes

    def add(self, n_bytes: int) -> None:
        """Count bytes that have arrived; raise ServiceError if they are too many."""
        if self.held + n_bytes > self._max_bytes:
            raise ServiceError(
                "the server holds as many recordings as it may; try again later",
                code="service.overloaded",
                retry_after_s=5,
            )
        self.held += n_bytes


class HeldBytes:
    """The bytes that one request holds."""

    def __init__(self, pending: PendingBytes) -> None:
        self._pending = pending
        self.n_bytes = 0

    def add(self, n_bytes: int) -> None:
        """Count bytes that have arrived."""
        self._pending.add(n_bytes)
        self.n_bytes += n_bytes


async def read_upload(request: Request, limits: Limits, held: HeldBytes) -> Upload:
    """Read the body of a request.

    Args:
        request: A request whose body is a recording, or multipart with a part ``file`` and perhaps
            a part ``voice``.
        limits: Limits of size and time.
        held: Counts the bytes.

    Returns:
        The recording, and the voice of the part or the header.

    Raises:
        ServiceError: The body is too large, too slow, empty or malformed.
        ClientGone: The client closed the connection.
    """
    check_length(request, limits)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    chunks = iterate_body(request, limits, held)
    if kind == MULTIPART.encode():
        return await read_multipart(chunks, options.get(b"boundary", b""))
    audio = b"".join([chunk async for chunk in chunks])
    if not audio:
        raise ServiceError("the body is empty, expected a recording; send one")
    voice = request.headers.get(VOICE_HEADER)
    return Upload(audio, None if voice is None else decode_voice(voice))


def check_length(request: Request, limits: Limits) -> None:
    """Refuse a body by its promised length, before any of it is read."""
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdecimal() and int(length[:20]) > limits.body_bytes:
        _refuse_size(limits)


async def iterate_body(request: Request, limits: Limits, held: HeldBytes) -> AsyncIterator[bytes]:
    """Yield the chunks of a body within the limits of size and time."""
    stream = request.stream()
    n_bytes = 0
    try:
        async with asyncio.timeout(limits.upload_s):
            while True:
                async with asyncio.timeout(limits.idle_s):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                n_bytes += len(chunk)
                if n_bytes > limits.body_bytes:
                    _refuse_size(limits)
                held.add(len(chunk))
                yield chunk
    except TimeoutError:
        raise ServiceError(
            f"the body did not arrive in time, expected some of it every {limits.idle_s:g} s and "
            f"all within {limits.upload_s:g} s; use a faster connection or compress the recording",
            code="service.slow",
        ) from None
    except ClientDisconnect:
        raise ClientGone from None


async def read_multipart(chunks: AsyncIterator[bytes], boundary: bytes) -> Upload:
    """Read the parts of a multipart body, all into memory."""
    parts = _Parts()
    if not boundary:
        raise ServiceError(
            "the content type has no boundary, expected multipart/form-data; boundary=...; let "
            "the client library write it",
            code="service.bad_request",
        )
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.add_field,
                "on_header_value": parts.add_value,
                "on_header_end": parts.end_header,
                "on_headers_finished": parts.name,
                "on_part_data": parts.add_data,
                "on_end": parts.end,
            },
        )
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise ServiceError(
            "the multipart body is malformed; expected parts between boundaries, as browsers and "
            "client libraries write them",
            code="service.bad_request",
        ) from None
    if not parts.complete:
        raise ServiceError(
            "the multipart body is cut short, expected a closing boundary; send it again",
            code="service.bad_request",
        )
    audio, voice = parts.contents.get("file"), parts.contents.get("voice")
    if not audio:
        raise ServiceError("the part 'file' is missing or empty, expected a recording; send one")
    return Upload(bytes(audio), None if voice is None else decode_voice(voice.decode("latin-1")))


class _Parts:
    """Collects the parts that the parser finds."""

    def __init__(self) -> None:
        self.contents: dict[str, bytearray] = {}
        self.complete = False
        self._current = bytearray()
        self._field, self._value = b"", b""
        self._disposition = b""

    def begin(self) -> None:
        self._disposition = b""

    def add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def name(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in ("file", "voice"):
            raise ServiceError(
                "found a part of another name, expected 'file', and perhaps 'voice'; options go "
                "into the query"
            )
        if name in self.contents:
            raise ServiceError(f"found several parts {name!r}, expected one; send a request each")
        self._current = self.contents[name] = bytearray()

    def add_data(self, data: bytes, start: int, end: int) -> None:
        self._current += memoryview(data)[start:end]

    def end(self) -> None:
        self.complete = True


def decode_voice(text: str) -> bytes:
    """Decode an enrolled voice from Base64.

    Raises:
        ServiceError: It is not Base64, or too long for a voice.
    """
    try:
        voice = b64decode(text[: 2 * MAX_VOICE_BYTES], validate=True)
    except (binascii.Error, ValueError):
        voice = b""
    if not voice or len(voice) > MAX_VOICE_BYTES:
        raise ServiceError("the voice is malformed, expected the Base64 text that /v1/enroll gave")
    return voice


def _refuse_size(limits: Limits) -> None:
    """Raise the error for a body that is too large."""
    raise ServiceError(
        f"the body is too large, expected at most {limits.body_bytes / MIB:g} MiB; compress the "
        "recording (Opus, FLAC) or cut it into pieces",
        code="service.too_large",
    )
