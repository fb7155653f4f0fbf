"""Download a published file: resumed where it broke off, used only if it is as promised."""

import errno
import hashlib
import http.client
import logging
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from emovox.errors import DownloadError

logger = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CHUNK_BYTES = 1 << 18
_LONGEST_WAIT_S = 60.0
_RETRIED_STATUSES = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its publisher describes it.

    Attributes:
        url: Where it lies; ``https``, or ``http`` on this machine.
        size_bytes: Its exact size.
        checksum: Name of the hash and its hexadecimal value, such as ``"md5:bc69..."``.
    """

    url: str
    size_bytes: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to put up with a bad connection.

    Attributes:
        attempts: Attempts in a row that may bring nothing new before giving up.
        first_wait_s: Pause after the first of these; it doubles with each, up to a minute.
        timeout_s: Longest silence of the server before an attempt is given up.
    """

    attempts: int = 6
    first_wait_s: float = 1.0
    timeout_s: float = 30.0


class _AttemptError(Exception):
    """One attempt broke off; the next may go on from what has arrived."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        _require_safe(newurl, allow_loopback=_is_loopback(req.full_url))
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def download_file(
    remote: RemoteFile,
    path: Path,
    *,
    patience: Patience | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Path:
    """Download a file, going on from an earlier attempt, and check it before it gets its name.

    What has arrived is kept in ``path`` + ``.part`` when the download is interrupted; a content
    other than the promised one is removed.

    Args:
        remote: The file's address, size and checksum.
        path: Where to put it. A file that is there already and has the checksum is left alone.
        patience: When to give up.
        report: Called with the bytes that have arrived and the bytes expected.

    Returns:
        ``path``.

    Raises:
        DownloadError: The address is unsafe or refused, the server stays silent, the content is
            not what was promised, or the disk is full.

    Example:
        >>> download_file(RemoteFile(url, 1_024, "md5:..."), Path("a.zip"))  # doctest: +SKIP
    """
    _require_safe(remote.url, allow_loopback=True)
    if _is_promised(path, remote):
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.exists() and part.stat().st_size > 0
        _fill_part(remote, part, patience or Patience(), report)
        found = _hash_file(part, remote.checksum)
        if found != remote.checksum and resumed:
            # The earlier attempt may be the damaged half: once more, from the start.
            logger.warning("%s: the resumed download has checksum %s, starting over", part, found)
            part.unlink()
            _fill_part(remote, part, patience or Patience(), report)
            found = _hash_file(part, remote.checksum)
        if found != remote.checksum:
            part.unlink()
            raise DownloadError(
                f"{remote.url} has checksum {found}, expected {remote.checksum}: the content was "
                "damaged or changed and has been removed; try again, or get the file another way"
            )
        part.replace(path)
    except OSError as error:
        raise _explain_disk(error, part, remote) from error
    return path


def _fill_part(
    remote: RemoteFile,
    part: Path,
    patience: Patience,
    report: Callable[[int, int], None] | None,
) -> None:
    """Bring ``part`` to the full size, over as many connections as it takes."""
    furthest = part.stat().st_size if part.exists() else 0
    if furthest > remote.size_bytes:
        part.unlink()
        furthest = 0
    free_bytes = shutil.disk_usage(part.parent).free
    if free_bytes < remote.size_bytes - furthest:
        raise DownloadError(
            f"{part.parent} has {free_bytes:,} bytes free, expected at least "
            f"{remote.size_bytes - furthest:,} for {remote.url}; make room or name another folder"
        )
    failures = 0
    while not part.exists() or part.stat().st_size < remote.size_bytes:
        try:
            _continue_part(remote, part, patience.timeout_s, report)
        except _AttemptError as error:
            arrived = part.stat().st_size if part.exists() else 0
            # Only new ground counts, else a server that always starts over would go on for ever.
            failures = 0 if arrived > furthest else failures + 1
            furthest = max(furthest, arrived)
            if failures >= patience.attempts:
                raise DownloadError(
                    f"{remote.url}: {error}; {arrived:,} of {remote.size_bytes:,} bytes arrived "
                    f"before {failures} attempts in a row brought nothing new; run it again later "
                    "to go on from there"
                ) from error
            wait_s = max(error.wait_s, patience.first_wait_s * 2.0 ** max(failures - 1, 0))
            logger.info("%s: %s; next attempt in %.0f s", remote.url, error, wait_s)
            time.sleep(min(wait_s, _LONGEST_WAIT_S))


def _continue_part(
    remote: RemoteFile,
    part: Path,
    timeout_s: float,
    report: Callable[[int, int], None] | None,
) -> None:
    """Ask for what ``part`` lacks and append it, over one connection."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "emovox", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    # The scheme was checked: https, or http on this machine.
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310
    handlers: list[urllib.request.BaseHandler] = [_SafeRedirects()]
    if _is_loopback(remote.url):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_s) as response:
            start = _check_answer(response, start, remote, part)
            _copy_body(response, part, start, remote, report)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:
                part.unlink(missing_ok=True)
                raise _AttemptError(f"the server has no bytes from {start:,} on (416)") from error
            if error.code not in _RETRIED_STATUSES:
                raise DownloadError(
                    f"{remote.url} answered {error.code} {error.reason}, expected the file; check "
                    "the address, or get the file another way"
                ) from error
            wait = error.headers.get("Retry-After", "")
            wait_s = float(wait) if wait.isdecimal() else 0.0
            raise _AttemptError(f"answered {error.code} {error.reason}", wait_s) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{remote.url} has an invalid certificate ({error.reason.verify_message}), "
                "expected one that this machine trusts; check its clock and network"
            ) from error
        raise _AttemptError(f"no connection ({error.reason})") from error
    except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException) as error:
        raise _AttemptError(f"the connection broke ({error})") from error


def _check_answer(
    response: http.client.HTTPResponse, start: int, remote: RemoteFile, part: Path
) -> int:
    """Return where in the file the answer begins; refuse one of another size."""
    if response.status == 206:
        match = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        if match is None or int(match[1]) != start:
            part.unlink(missing_ok=True)
            raise _AttemptError(f"the server sent another range than from byte {start:,}")
        announced = match[2]
    else:
        start = 0
        announced = response.headers.get("Content-Length", "*").strip()
    if announced.isdecimal() and int(announced) != remote.size_bytes:
        raise DownloadError(
            f"{remote.url} is {int(announced):,} bytes, expected {remote.size_bytes:,}: it is not "
            "the published file; check the address, or get the file another way"
        )
    return start


def _copy_body(
    response: http.client.HTTPResponse,
    part: Path,
    start: int,
    remote: RemoteFile,
    report: Callable[[int, int], None] | None,
) -> None:
    arrived = start
    with part.open("ab" if start else "wb") as file:
        if report:
            report(arrived, remote.size_bytes)
        while chunk := _read_chunk(response):
            arrived += len(chunk)
            if arrived > remote.size_bytes:
                file.close()
                part.unlink()
                raise DownloadError(
                    f"{remote.url} sends more than the expected {remote.size_bytes:,} bytes; what "
                    "arrived has been removed; check the address, or get the file another way"
                )
            file.write(chunk)
            if report:
                report(arrived, remote.size_bytes)
    if arrived < remote.size_bytes:
        raise _AttemptError(f"the connection ended at byte {arrived:,}")


def _read_chunk(response: http.client.HTTPResponse) -> bytes:
    # Caught here, as an OSError further out means the disk.
    try:
        return response.read1(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _AttemptError(f"the connection broke ({error})") from error


def _require_safe(url: str, *, allow_loopback: bool) -> None:
    scheme = urlsplit(url).scheme
    if scheme == "https" or (scheme == "http" and allow_loopback and _is_loopback(url)):
        return
    raise DownloadError(
        f"{url} is not fetched: found {scheme or 'no scheme'}, expected https, as anyone on the "
        "way could change another; use an https address"
    )


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def _is_promised(path: Path, remote: RemoteFile) -> bool:
    return (
        path.is_file()
        and path.stat().st_size == remote.size_bytes
        and _hash_file(path, remote.checksum) == remote.checksum
    )


def _hash_file(path: Path, checksum: str) -> str:
    """Return the file's hash in the form of ``checksum``."""
    name = checksum.partition(":")[0]
    with path.open("rb") as file:
        # Publishers still give MD5; here it finds damage, not an attacker.
        digest = hashlib.file_digest(file, lambda: hashlib.new(name, usedforsecurity=False))
    return f"{name}:{digest.hexdigest()}"


def _explain_disk(error: OSError, part: Path, remote: RemoteFile) -> DownloadError:
    if error.errno == errno.ENOSPC:
        return DownloadError(
            f"the disk of {part.parent} is full, expected room for {remote.size_bytes:,} bytes; "
            "make room and run it again to go on from there"
        )
    return DownloadError(
        f"cannot write {part}: {error.strerror or error}; expected a folder that can be written; "
        "name another one"
    )
