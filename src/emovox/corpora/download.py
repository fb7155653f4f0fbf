"""Download a published file with resuming; pooch verifies it before it is renamed."""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pooch
import requests
import urllib3

from emovox.errors import DownloadError
from emovox.files import sync_file
from emovox.wording import make_printable

Report = Callable[[int, int], None]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CHUNK_BYTES = 1 << 18
_CONNECT_S = 10.0
_CONNECTIONS = 6
_ANSWER_S = 120.0
"""Longest time until the head of an answer is complete, connecting and redirects included."""
_SLOWEST_BYTES_PER_S = 1_000


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its publisher describes it.

    Attributes:
        url: Its address: ``https``, or ``http`` on this machine.
        size_bytes: Its exact size.
        checksum: Name of the hash and its hexadecimal value, such as ``"md5:bc69..."``.
    """

    url: str
    size_bytes: int
    checksum: str


def download_file(
    remote: RemoteFile,
    path: Path,
    *,
    timeout_s: float = 30.0,
    report: Report = lambda _done, _whole: None,
) -> Path:
    """Download a file, resuming an earlier attempt, and verify it before renaming it to ``path``.

    An interrupted download is kept in ``path`` + ``.part``; a file with the wrong checksum is
    removed.

    Args:
        remote: The file's address, size and checksum.
        path: Where to save it. An existing file with the right checksum is kept.
        timeout_s: Longest silence of the server, and interval of the speed check, in seconds.
        report: Called with the bytes received and the bytes expected.

    Returns:
        ``path``.

    Raises:
        DownloadError: The address is malformed, unsafe or cannot be reached, the server refuses,
            times out or is too slow, the checksum does not match, or the file cannot be written.
    """
    _check_address(remote.url)
    part = path.with_name(path.name + ".part")

    def fill_file(_url: str, file: str, _pooch: object) -> None:
        _fill_part(remote, part, timeout_s, report)
        sync_file(part)
        part.replace(file)

    pooch.get_logger().setLevel("WARNING")  # it prints
    try:
        pooch.retrieve(
            remote.url, remote.checksum, fname=path.name, path=path.parent, downloader=fill_file
        )
    except ValueError as error:
        raise DownloadError(
            f"{remote.url} does not have the expected checksum {remote.checksum}: the download was "
            "damaged or changed and has been removed; try again, or get the file another way"
        ) from error
    except OSError as error:
        raise DownloadError(
            f"cannot write {part}: {error.strerror or error}; expected a writable folder "
            f"with {remote.size_bytes:,} bytes free; free some space or name another folder"
        ) from error
    return path


def _fill_part(remote: RemoteFile, part: Path, timeout_s: float, report: Report) -> None:
    """Download ``part`` to its full size, reconnecting when a connection breaks."""
    reason: object = None
    for _ in range(_CONNECTIONS):
        if (arrived := _measure(part)) >= remote.size_bytes:
            return
        try:
            with _ask_in_time(remote.url, arrived, timeout_s) as response:
                _append_body(response, remote, part, timeout_s, report)
        except urllib3.exceptions.HTTPError as error:
            reason = error
    if (arrived := _measure(part)) < remote.size_bytes:
        raise DownloadError(
            f"{remote.url} broke off {_CONNECTIONS} times ({reason or 'without a reason'}); "
            f"{arrived:,} of {remote.size_bytes:,} bytes arrived; run it again to continue"
        )


def _check_address(url: str) -> None:
    """Refuse what is no address, before anything is asked for."""
    try:
        requests.Request("GET", url).prepare()
        _ = urlsplit(url).port
    except ValueError as error:  # the base of requests' own errors about addresses
        raise DownloadError(
            f"{url!r} is not an address to download from ({error}); expected "
            "https://HOST/FILE: check it"
        ) from None


def _ask_in_time(url: str, start: int, timeout_s: float) -> requests.Response:
    """Request a file, and give up a server that sends the head of its answer byte by byte."""
    answers: queue.SimpleQueue[requests.Response | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_ask(url, start, timeout_s))
        except BaseException as error:  # raised again below
            answers.put(error)

    # Each received byte restarts the timeout of a socket, so only another thread can give up.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=_ANSWER_S)
    except queue.Empty:
        raise DownloadError(
            f"{url} sent no complete answer within {_ANSWER_S:.3g} s; try again later, or get the "
            "file another way"
        ) from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _ask(url: str, start: int, timeout_s: float) -> requests.Response:
    """Request a file from byte ``start``: https only, except http on this machine."""
    session = requests.Session()
    session.adapters.pop("http://")  # a redirect to it is refused too
    if urlsplit(url).hostname in _LOOPBACK:
        session.mount(f"http://{urlsplit(url).netloc}/", requests.adapters.HTTPAdapter())
        session.trust_env = False  # no proxy
    headers = {"User-Agent": "emovox", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return session.get(url, headers=headers, stream=True, timeout=(_CONNECT_S, timeout_s))
    except requests.exceptions.InvalidSchema as error:
        raise DownloadError(
            f"{url} is not fetched: {error}; expected https, because plain http can be tampered "
            "with on the way: use an https address"
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise DownloadError(
            f"no connection to {urlsplit(url).hostname} "
            f"({make_printable(_find_reason(error))}); check the network"
        ) from error


def _append_body(
    response: requests.Response, remote: RemoteFile, part: Path, timeout_s: float, report: Report
) -> None:
    """Append a response to ``part``, or start over if the server sends the whole file."""
    arrived = _measure(part) if response.status_code == 206 else 0
    stated = response.raw.length_remaining
    found = f"{response.status_code} {response.reason}"
    if response.ok and stated is not None:
        found = f"{arrived + stated:,} bytes"
    if not response.ok or stated not in (None, remote.size_bytes - arrived):
        if response.ok or response.status_code == 416:
            part.unlink(missing_ok=True)
        raise DownloadError(
            f"{remote.url} answers {found}, expected the file of {remote.size_bytes:,} bytes; try "
            "again later, check the address, or get the file another way"
        )
    checked, checked_s = arrived, time.monotonic()
    with part.open("ab" if arrived else "wb") as file, _Watchdog(response, 2 * timeout_s) as watch:
        # read1 returns what has arrived; read would wait for a whole chunk of a slow server.
        while chunk := response.raw.read1(min(_CHUNK_BYTES, remote.size_bytes - arrived)):
            file.write(chunk)
            arrived += len(chunk)
            report(arrived, remote.size_bytes)
            if (waited_s := time.monotonic() - checked_s) > timeout_s:
                if arrived - checked < _SLOWEST_BYTES_PER_S * waited_s:
                    raise DownloadError(
                        f"{remote.url} sent {arrived - checked:,} bytes in {waited_s:.0f} s, "
                        f"expected {_SLOWEST_BYTES_PER_S:,} a second; run it again later to go on"
                    )
                checked, checked_s = arrived, time.monotonic()
                watch.restart()


class _Watchdog:
    """Ends a response without content for too long: the frame of a body may be sent bytewise."""

    def __init__(self, response: requests.Response, limit_s: float) -> None:
        self.response = response
        self.limit_s = limit_s
        self.timer = threading.Timer(limit_s, self.shut_down)

    def __enter__(self) -> Self:
        self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()

    def restart(self) -> None:
        """Start to wait again."""
        self.timer.cancel()
        self.timer = threading.Timer(self.limit_s, self.shut_down)
        self.timer.start()

    def shut_down(self) -> None:
        """End the response, so that reading it returns."""
        with suppress(OSError, RuntimeError, ValueError):  # it has ended already
            self.response.raw.shutdown()


def _measure(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _find_reason(error: BaseException) -> str:
    """Return the root cause of a requests error in a few words."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)
