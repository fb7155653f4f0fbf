"""Downloads from a real server on this machine that behaves badly in every way we know."""

import contextlib
import hashlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from emovox.corpora import download
from emovox.corpora.download import RemoteFile, download_file
from emovox.errors import DownloadError

CONTENT = random.Random(7).randbytes(600_000)  # noqa: S311
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class BadServer(ThreadingHTTPServer):
    """Serves CONTENT; each attribute is one way to misbehave."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = CONTENT
        self.honours_range = True
        self.states_length = True
        self.drops: list[int] = []
        """Body bytes after which each next answer breaks off."""
        self.status: int | None = None
        """An error to answer."""
        self.redirect: str | None = None
        self.stop = threading.Event()
        self.stalls = 0
        """How many of the next answers end in silence after their head."""
        self.drips = False
        self.drips_head = False
        self.drips_frame = False
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
        if server.drips_head:
            self.drip(b"HTTP/1.1 200 OK\r\nServer: ")
            return
        if server.drips_frame:
            self.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
            return
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if server.status:
            self.send_response(server.status)
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
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        else:
            self.send_response(200)
        if server.states_length:
            self.send_header("Content-Length", str(whole - start))
        self.end_headers()
        if server.stalls:
            server.stalls -= 1
            server.stop.wait(10)
            return
        while server.drips and not server.stop.wait(0.01):
            try:
                self.wfile.write(server.content[:1])
            except OSError:
                return  # whom it drips on has gone
        end = start + server.drops.pop(0) if server.drops else whole
        self.wfile.write(server.content[start:end])

    def drip(self, start: bytes) -> None:
        """Send a beginning, then one byte at a time of what never ends."""
        with contextlib.suppress(OSError):  # whom it drips on has gone
            self.wfile.write(start)
            while not self.server.stop.wait(0.01):
                self.wfile.write(b"x")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[BadServer]:
    with BadServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stop.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(server: BadServer, tmp_path: Path) -> Callable[..., Path]:
    def fetch(checksum: str = MD5, size_bytes: int = len(CONTENT), **options: Any) -> Path:
        remote = RemoteFile(server.url, size_bytes, checksum)
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


def test_a_server_without_ranges_starts_over(server: BadServer, fetch: Callable[..., Path]) -> None:
    server.drops = [250_000, 100_000]
    server.honours_range = False
    assert fetch().read_bytes() == CONTENT
    assert server.asked == [None, "bytes=250000-", "bytes=100000-"]


@pytest.mark.parametrize("states_length", [True, False])
def test_a_server_that_drops_every_time_is_given_up(
    server: BadServer, fetch: Callable[..., Path], states_length: bool
) -> None:
    server.drops = [250_000] * 50
    server.honours_range = False
    server.states_length = states_length
    with pytest.raises(DownloadError, match="broke off 6 times .*250,000 of 600,000 bytes arrived"):
        fetch()
    assert len(server.asked) == 6


def test_what_arrived_is_kept_and_the_next_call_goes_on(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    server.drops = [250_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="run it again to continue"):
        fetch()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["corpus.zip.part"]
    assert (tmp_path / "new" / "corpus.zip.part").stat().st_size == 250_000
    server.asked.clear()
    steps: list[int] = []
    assert fetch(report=lambda done, _: steps.append(done)).read_bytes() == CONTENT
    assert server.asked == ["bytes=250000-"]
    assert steps[0] > 250_000


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


def test_a_wrong_checksum_is_reported_and_removed(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    server.content = b"x" + CONTENT[1:]
    with pytest.raises(DownloadError, match=f"does not have the expected checksum {MD5}"):
        fetch()
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("part", [b"x" * 1_000, CONTENT + b"more", b"x" * len(CONTENT)])
def test_a_damaged_part_is_removed_so_that_the_next_call_succeeds(
    fetch: Callable[..., Path], tmp_path: Path, part: bytes
) -> None:
    put_part(tmp_path, part)
    with pytest.raises(DownloadError, match="has been removed; try again"):
        fetch()
    assert list((tmp_path / "new").iterdir()) == []
    assert fetch().read_bytes() == CONTENT


def test_a_complete_part_needs_no_request(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    part = put_part(tmp_path, CONTENT)
    assert fetch().read_bytes() == CONTENT
    assert server.asked == []
    assert not part.exists()


def test_a_server_without_the_rest_of_a_part_has_it_removed(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    part = put_part(tmp_path, CONTENT[:1_000])
    server.status = 416
    with pytest.raises(DownloadError, match="answers 416 "):
        fetch()
    assert not part.exists()


def test_a_server_that_falls_silent_is_asked_again(
    server: BadServer, fetch: Callable[..., Path]
) -> None:
    server.stalls = 1
    assert fetch(timeout_s=0.2).read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_a_server_that_drips_is_given_up(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    server.drips = True
    with pytest.raises(DownloadError, match="sent .* bytes in .* s, expected 1,000 a second"):
        fetch(timeout_s=0.2)
    assert (tmp_path / "new" / "corpus.zip.part").stat().st_size > 0


def test_a_server_that_drips_its_answers_head_is_given_up(
    server: BadServer, fetch: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.drips_head = True
    monkeypatch.setattr(download, "_ANSWER_S", 0.3)
    with pytest.raises(DownloadError, match=r"sent no complete answer within 0\.3 s"):
        fetch()


def test_a_server_that_drips_the_frame_of_a_body_is_given_up(
    server: BadServer, fetch: Callable[..., Path]
) -> None:
    server.drips_frame = True
    with pytest.raises(DownloadError, match="broke off 6 times .*0 of 600,000 bytes arrived"):
        fetch(timeout_s=0.1)
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https://[",
        "https://[::1",
        "not a url",
        "https://a b/",
        "https://x:99999/",
        "https://x:port/",
        "https:///x",
        "//x/y",
        "https://\udcff/",
        "https://exa\nmple.org/",
        "https://user:p@ss@/",
        "http://localhost:x/",
        "https://\x00/",
    ],
)
def test_a_malformed_address_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="is not an address .*expected https://HOST/FILE"):
        download_file(RemoteFile(url, 10, MD5), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["https://[", "https://a b/", "https://x:99999/"])
def test_a_redirect_to_a_malformed_address_is_refused(
    server: BadServer, fetch: Callable[..., Path], target: str
) -> None:
    server.redirect = target
    with pytest.raises(DownloadError, match="no connection to 127.0.0.1"):
        fetch()


@pytest.mark.parametrize("status", [404, 429, 503])
def test_a_refusal_keeps_what_arrived(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path, status: int
) -> None:
    part = put_part(tmp_path, CONTENT[:1_000])
    server.status = status
    with pytest.raises(DownloadError, match=f"answers {status} .*try again later, check the addr"):
        fetch()
    assert len(server.asked) == 1
    assert part.stat().st_size == 1_000


@pytest.mark.parametrize("size_bytes", [1_000, 1_000_000])
def test_another_size_is_refused_before_it_is_fetched(
    fetch: Callable[..., Path], tmp_path: Path, size_bytes: int
) -> None:
    with pytest.raises(DownloadError, match=f"answers 600,000 bytes, expected .*{size_bytes:,}"):
        fetch(size_bytes=size_bytes)
    assert list((tmp_path / "new").iterdir()) == []


def test_no_more_than_the_promised_size_is_written(
    server: BadServer, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    server.states_length = False
    steps: list[int] = []
    with pytest.raises(DownloadError, match="has been removed"):
        fetch(size_bytes=1_000, report=lambda done, _: steps.append(done))
    assert max(steps) == 1_000
    assert list((tmp_path / "new").iterdir()) == []


def test_nobody_there_is_reported_at_once(server: BadServer, tmp_path: Path) -> None:
    server.shutdown()  # a socket that its thread still waits on stays open until then
    server.server_close()
    remote = RemoteFile(server.url, 10, MD5)
    with pytest.raises(DownloadError, match=r"no connection to 127.0.0.1 \(Connection refused\)"):
        download_file(remote, tmp_path / "a")


def test_a_host_without_an_address_is_reported_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def resolve(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    remote = RemoteFile("https://example.org/a.zip", 10, MD5)
    with pytest.raises(DownloadError, match="no connection to example.org .Name or service not"):
        download_file(remote, tmp_path / "a.zip")


@pytest.mark.parametrize(
    "url",
    ["http://example.org/a", "file:///etc/passwd", "ftp://127.0.0.1/a", "http://localhost@a.org/"],
)
def test_only_https_is_fetched(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="expected https"):
        download_file(RemoteFile(url, 10, MD5), tmp_path / "a")


@pytest.mark.parametrize("target", ["http://example.org/a", "ftp://example.org/a"])
def test_a_redirect_to_something_unsafe_is_refused(
    server: BadServer, fetch: Callable[..., Path], target: str
) -> None:
    server.redirect = target
    with pytest.raises(DownloadError, match="is not fetched.*example.org/a.*expected https"):
        fetch()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_fills_up_is_reported(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / "corpus.zip.part").symlink_to("/dev/full")
    remote = RemoteFile(server.url, len(CONTENT), MD5)
    with pytest.raises(
        DownloadError, match="cannot write .*No space left.* with 600,000 bytes free"
    ):
        download_file(remote, tmp_path / "corpus.zip")


def test_a_folder_that_cannot_be_made_is_reported(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    remote = RemoteFile(server.url, len(CONTENT), MD5)
    with pytest.raises(DownloadError, match="cannot write .*name another folder"):
        download_file(remote, tmp_path / "file" / "a")
