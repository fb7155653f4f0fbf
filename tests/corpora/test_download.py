"""Downloads from a real server on this machine that behaves badly in every way we know."""

import hashlib
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emovox.corpora.download import Patience, RemoteFile, download_file
from emovox.errors import DownloadError

CONTENT = random.Random(7).randbytes(600_000)  # noqa: S311
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
QUICK = Patience(attempts=3, first_wait_s=0.0, timeout_s=5.0)


class BadServer(ThreadingHTTPServer):
    """Serves CONTENT; each attribute is one way to misbehave."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = CONTENT
        self.honours_range = True
        self.states_length = True
        self.drops: list[int] = []
        """Body bytes after which each next answer breaks off."""
        self.statuses: list[int] = []
        """Errors that the next answers give."""
        self.redirect: str | None = None
        self.wrong_range = False
        self.stall = threading.Event()
        self.stalls = 0
        self.asked: list[str | None] = []
        """The Range header of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/corpus.zip"


class Answer(BaseHTTPRequestHandler):
    server: BadServer

    def do_GET(self) -> None:  # noqa: N802
        server = self.server
        server.asked.append(self.headers["Range"])
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if server.statuses:
            self.send_response(server.statuses.pop(0))
            self.end_headers()
            return
        start, whole = 0, len(server.content)
        if self.headers["Range"] and server.honours_range:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= whole:
                self.send_response(416)
                self.end_headers()
                return
            self.send_response(206)
            stated = 0 if server.wrong_range else start
            self.send_header("Content-Range", f"bytes {stated}-{whole - 1}/{whole}")
        else:
            self.send_response(200)
        if server.states_length:
            self.send_header("Content-Length", str(whole - start))
        self.end_headers()
        if server.stalls:
            server.stalls -= 1
            server.stall.wait(10)
            return
        end = start + server.drops.pop(0) if server.drops else whole
        self.wfile.write(server.content[start:end])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[BadServer]:
    with BadServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stall.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(server: BadServer, tmp_path: Path) -> Callable[..., Path]:
    def fetch(checksum: str = MD5, size_bytes: int = len(CONTENT), **options: Any) -> Path:
        remote = RemoteFile(server.url, size_bytes, checksum)
        options = {"patience": QUICK, **options}
        return download_file(remote, tmp_path / "new" / "corpus.zip", **options)

    return fetch


def put_part(tmp_path: Path, content: bytes) -> Path:
    part = tmp_path / "new" / "corpus.zip.part"
    part.parent.mkdir()
    part.write_bytes(content)
    return part


def test_a_good_server_gives_the_file_and_its_progress(fetch: Callable[..., Path]) -> None:
    steps: list[tuple[int, int]] = []
    path = fetch(report=lambda done, whole: steps.append((done, whole)))
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["corpus.zip"]
    assert steps[0] == (0, 600_000)
    assert steps[-1] == (600_000, 600_000)
    assert steps == sorted(steps)


def test_a_file_that_is_there_is_not_asked_for(
    server: BadServer, fetch: Callable[..., Path]
) -> None:
    fetch()
    fetch()
    assert server.asked == [None]


def test_a_damaged_file_that_is_there_is_replaced(fetch: Callable[..., Path]) -> None:
    path = fetch()
    path.write_bytes(b"x" * len(CONTENT))
    assert fetch().read_bytes() == CONTENT


@pytest.mark.parametrize("states_length", [True, False])
def test_a_dropped_connection_goes_on_where_it_broke(
    server: BadServer, fetch: Callable[..., Path], states_length: bool
) -> None:
    server.drops = [250_000, 100_000]
    server.states_length = states_length
    assert fetch().read_bytes() == CONTENT
    assert server.asked == [None, "bytes=250000-", "bytes=350000-"]


def test_progress_does_not_use_up_the_attempts(
    server: BadServer, fetch: Callable[..., Path]
) -> None:
    server.drops = [50_000] * 10
    assert fetch().read_bytes() == CONTENT
    assert len(server.asked) == 11


def test_a_server_without_ranges_starts_over(server: BadServer, fetch: Callable[..., Path]) -> None:
    server.drops = [250_000, 100_000]
    server.honours_range = False
    assert fetch().read_bytes() == CONTENT


def test_a_server_that_always_starts_over_and_drops_is_given_up(
    server: BadServer, fetch: Callable[..., Path]
) -> None:
    server.drops = [250_000] * 50
    server.honours_range = False
    with pytest.raises(DownloadError, match="250,000 of 600,000 bytes arrived before 3 attempts"):
        fetch()
    assert len(server.asked) == 4


def test_what_arrived_is_kept_and_the_next_call_goes_on(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    server.drops = [250_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="run it again later to go on from there"):
        fetch()
    assert (tmp_path / "new" / "corpus.zip.part").stat().st_size == 250_000
    server.asked.clear()
    assert fetch().read_bytes() == CONTENT
    assert server.asked == ["bytes=250000-"]


def test_ctrl_c_keeps_what_arrived(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    def interrupt(done: int, whole: int) -> None:
        if done > whole / 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(report=interrupt)
    kept = (tmp_path / "new" / "corpus.zip.part").read_bytes()
    assert len(kept) > 200_000
    assert kept == CONTENT[: len(kept)]
    assert fetch().read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={len(kept)}-"


def test_a_wrong_checksum_is_told_and_removed(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    server.content = b"x" + CONTENT[1:]
    with pytest.raises(DownloadError, match=f"has checksum md5:[0-9a-f]{{32}}, expected {MD5}"):
        fetch()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_damaged_part_is_dropped_once_and_the_file_fetched_whole(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    put_part(tmp_path, b"x" * 1_000)
    assert fetch().read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_complete_part_needs_no_request(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    part = put_part(tmp_path, CONTENT)
    assert fetch().read_bytes() == CONTENT
    assert server.asked == []
    assert not part.exists()


def test_a_part_longer_than_the_file_is_dropped(fetch: Callable[..., Path], tmp_path: Path) -> None:
    put_part(tmp_path, CONTENT + b"more")
    assert fetch().read_bytes() == CONTENT


def test_416_starts_over(server: BadServer, fetch: Callable[..., Path], tmp_path: Path) -> None:
    put_part(tmp_path, CONTENT[:1_000])
    server.statuses = [416]
    assert fetch().read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_another_range_than_asked_starts_over(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    put_part(tmp_path, CONTENT[:1_000])
    server.wrong_range = True
    assert fetch().read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_silent_server_is_asked_again(server: BadServer, fetch: Callable[..., Path]) -> None:
    server.stalls = 1
    patience = Patience(attempts=2, first_wait_s=0.0, timeout_s=0.2)
    assert fetch(patience=patience).read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_a_busy_server_is_asked_again_a_bounded_number_of_times(
    server: BadServer, fetch: Callable[..., Path]
) -> None:
    server.statuses = [503, 429]
    assert fetch().read_bytes() == CONTENT
    server.statuses = [503] * 10
    with pytest.raises(DownloadError, match="answered 503 .*3 attempts in a row"):
        fetch(checksum="md5:" + "0" * 32)


def test_a_refusal_is_final(server: BadServer, fetch: Callable[..., Path]) -> None:
    server.statuses = [404]
    with pytest.raises(DownloadError, match="answered 404 .*check the address"):
        fetch()
    assert len(server.asked) == 1


def test_another_size_is_refused_before_it_is_fetched(
    fetch: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match="is 600,000 bytes, expected 1,000"):
        fetch(size_bytes=1_000)
    assert list((tmp_path / "new").iterdir()) == []


def test_more_than_promised_is_cut_off(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    server.states_length = False
    with pytest.raises(DownloadError, match="sends more than the expected 1,000 bytes"):
        fetch(size_bytes=1_000)
    assert list((tmp_path / "new").iterdir()) == []


def test_nobody_there_is_told(server: BadServer, tmp_path: Path) -> None:
    server.server_close()
    remote = RemoteFile(server.url, 10, MD5)
    with pytest.raises(DownloadError, match="no connection .*0 of 10 bytes"):
        download_file(remote, tmp_path / "a", patience=QUICK)


@pytest.mark.parametrize(
    "url",
    ["http://example.org/a", "file:///etc/passwd", "ftp://127.0.0.1/a", "http://localhost@a.org/"],
)
def test_only_https_is_fetched(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="expected https"):
        download_file(RemoteFile(url, 10, MD5), tmp_path / "a", patience=QUICK)


@pytest.mark.parametrize("target", ["http://example.org/a", "ftp://example.org/a"])
def test_a_redirect_to_something_unsafe_is_refused(
    server: BadServer, fetch: Callable[..., Path], target: str
) -> None:
    server.redirect = target
    with pytest.raises(DownloadError, match="example.org/a is not fetched.*expected https"):
        fetch()


def test_too_little_room_is_told_before_anything_is_fetched(
    server: BadServer, fetch: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000))
    with pytest.raises(DownloadError, match="has 1,000 bytes free, expected at least 600,000"):
        fetch()
    assert server.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_fills_up_is_told(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / "corpus.zip.part").symlink_to("/dev/full")
    remote = RemoteFile(server.url, len(CONTENT), MD5)
    with pytest.raises(DownloadError, match="the disk of .* is full, expected room for 600,000"):
        download_file(remote, tmp_path / "corpus.zip", patience=QUICK)


def test_a_folder_that_cannot_be_made_is_told(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    remote = RemoteFile(server.url, len(CONTENT), MD5)
    with pytest.raises(DownloadError, match="cannot write .*name another one"):
        download_file(remote, tmp_path / "file" / "a", patience=QUICK)
