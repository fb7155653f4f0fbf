"""Installing RAVDESS whole or not at all, from good, partial and hostile zips."""

import hashlib
import io
import stat
import threading
import wave
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emovox.corpora import fetch as fetch_module
from emovox.corpora.download import RemoteFile
from emovox.corpora.fetch import RAVDESS_ARCHIVE, fetch_ravdess, unpack_ravdess
from emovox.corpora.locate import find_ravdess
from emovox.corpora.ravdess import list_ravdess_names, scan_ravdess
from emovox.errors import CorpusError, DownloadError

FIRST = "Actor_01/03-01-01-01-01-01-01.wav"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002
        """Keep the tests' output clean."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOVOX_DATA", raising=False)
    monkeypatch.delenv("EMOVOX_RAVDESS_URL", raising=False)
    return tmp_path / "cache"


def make_clip(text: str) -> bytes:
    """Return a WAV file of 0.1 s whose samples are a text, again and again."""
    content = io.BytesIO()
    samples = np.resize(np.frombuffer(text.encode("latin-1"), np.uint8), 4_800)
    with wave.open(content, "wb") as file:
        file.setparams((1, 1, 48_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return content.getvalue()


def write_zip(path: Path, *prefixes: str, leave_out: int = 0) -> Path:
    """Write a zip with every clip under each prefix; the samples name the prefix."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as zipped:
        for prefix in prefixes:
            for name in list_ravdess_names()[leave_out:]:
                zipped.writestr(
                    f"{prefix}Actor_{name[-2:]}/{name}.wav", make_clip(f"{prefix}{name}")
                )
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "www" / "Audio_Speech_Actors_01-24.zip", "")


@pytest.fixture
def remote(archive: Path) -> Iterator[RemoteFile]:
    handler = partial(QuietHandler, directory=archive.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        content = archive.read_bytes()
        yield RemoteFile(
            f"http://127.0.0.1:{server.server_port}/{archive.name}",
            len(content),
            "md5:" + hashlib.md5(content, usedforsecurity=False).hexdigest(),
        )
        server.shutdown()
        thread.join()


def test_the_archive_is_the_published_one() -> None:
    assert RAVDESS_ARCHIVE.url.startswith("https://zenodo.org/records/1188976/")
    assert (RAVDESS_ARCHIVE.size_bytes, len(RAVDESS_ARCHIVE.checksum)) == (208_468_073, 36)


def test_a_download_ends_in_the_cache_where_it_is_found(cache: Path, remote: RemoteFile) -> None:
    steps: list[tuple[str, int, int]] = []
    fetched = fetch_ravdess(remote=remote, report=lambda *step: steps.append(step))
    assert (fetched.folder, fetched.clips, fetched.installed) == (cache / "ravdess", 1440, True)
    assert find_ravdess() == cache / "ravdess"
    assert (cache / "ravdess" / FIRST).read_bytes() == make_clip("03-01-01-01-01-01-01")
    assert ("download", remote.size_bytes, remote.size_bytes) in steps
    assert ("unpack", 1440, 1440) in steps
    assert steps[-1] == ("verify", 1440, 1440)
    left = sorted(path.name for path in cache.iterdir())
    assert left == ["downloads", "ravdess"]
    assert list((cache / "downloads").iterdir()) == []


def test_a_whole_corpus_is_not_fetched_again(cache: Path, archive: Path) -> None:
    fetch_ravdess(archive=archive)
    nowhere = RemoteFile("http://127.0.0.1:9/", 1, "md5:0")
    fetched = fetch_ravdess(remote=nowhere)
    assert (fetched.folder, fetched.installed) == (cache / "ravdess", False)


def test_a_mirror_must_give_the_published_file(
    remote: RemoteFile, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("EMOVOX_RAVDESS_URL", remote.url)
    with pytest.raises(DownloadError, match="expected the file of 208,468,073"):
        fetch_ravdess()
    assert not (cache / "ravdess").exists()


def test_kaggles_nested_zip_is_taken_once_from_its_top(tmp_path: Path) -> None:
    kaggle = write_zip(tmp_path / "archive.zip", "audio_speech_actors_01-24/", "")
    fetched = fetch_ravdess(tmp_path / "here", archive=kaggle)
    assert (fetched.folder / FIRST).read_bytes() == make_clip("03-01-01-01-01-01-01")
    listing = scan_ravdess(fetched.folder)
    assert (len(listing.clips), listing.duplicates, listing.strays) == (1440, (), ())


def test_other_entries_are_left_out(tmp_path: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr("README.txt", "hello")
        zipped.writestr("__MACOSX/Actor_01/._03-01-01-01-01-01-01.wav", "x")
        zipped.writestr("Actor_01/03-02-01-01-01-01-01.wav", "song")
    unpack_ravdess(archive, tmp_path / "out")
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("*")) == 1440


def test_a_partial_zip_installs_nothing(tmp_path: Path) -> None:
    part = write_zip(tmp_path / "part.zip", "", leave_out=3)
    with pytest.raises(
        CorpusError, match="holds 1,437 .*expected all 1,440 .*03-01-01-01-01-01-01"
    ):
        fetch_ravdess(tmp_path / "out", archive=part)
    assert [path.name for path in tmp_path.iterdir()] == ["part.zip"]


@pytest.mark.parametrize("name", ["../" + FIRST, "/" + FIRST, "a/../../x.txt", "..\\x.wav"])
def test_a_path_that_leaves_the_zip_is_refused(tmp_path: Path, archive: Path, name: str) -> None:
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr(name, "x")
    with pytest.raises(CorpusError, match="is unsafe: entry .* points outside"):
        unpack_ravdess(archive, tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()


def test_a_link_an_encrypted_or_a_huge_entry_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo(FIRST)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as zipped:
        zipped.writestr(link, "/etc/passwd")
    with pytest.raises(CorpusError, match="is a link or a device"):
        unpack_ravdess(tmp_path / "link.zip", tmp_path / "out")

    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(FIRST, bytes(9 << 20))
    with pytest.raises(CorpusError, match="has 9,437,184 bytes, expected"):
        unpack_ravdess(tmp_path / "bomb.zip", tmp_path / "out")

    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as zipped:
        zipped.writestr(FIRST, b"")
    with pytest.raises(CorpusError, match="has 0 bytes, expected"):
        unpack_ravdess(tmp_path / "empty.zip", tmp_path / "out")

    with zipfile.ZipFile(tmp_path / "secret.zip", "w") as zipped:
        zipped.writestr(FIRST, b"x")
    raw = bytearray((tmp_path / "secret.zip").read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "secret.zip").write_bytes(raw)
    with pytest.raises(CorpusError, match="is encrypted"):
        unpack_ravdess(tmp_path / "secret.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_clip_inside_installs_nothing(tmp_path: Path, archive: Path) -> None:
    raw = archive.read_bytes()
    at = raw.index(b"03-01-08-02-02-02-24" * 2)
    archive.write_bytes(raw[:at] + b"X" + raw[at + 1 :])
    with pytest.raises(CorpusError, match="not a sound zip file .*Bad CRC"):
        unpack_ravdess(archive, tmp_path / "new" / "out")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"RIFF text", "03-01-01-01-01-01-01.wav"),
        (make_clip("\x80"), "is silent"),
        (make_clip("x")[:-2_000], "it was cut off"),
    ],
)
def test_clips_that_are_no_recordings_are_not_installed(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "text.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name in list_ravdess_names():
            zipped.writestr(f"{name}.wav", content)
    with pytest.raises(
        CorpusError, match=f"1,440 of 1,440 clips cannot be used, the first: .*{problem}"
    ) as found:
        unpack_ravdess(path, tmp_path / "new" / "out")
    assert ".ravdess-" not in str(found.value)
    assert list((tmp_path / "new").iterdir()) == []


def test_one_clip_that_is_text_installs_nothing(tmp_path: Path, archive: Path) -> None:
    path = tmp_path / "one.zip"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(path, "w") as zipped:
        for member in whole.infolist():
            text = member.filename.endswith("-08-02-02-02-24.wav")
            zipped.writestr(member.filename, b"some text" if text else whole.read(member))
    with pytest.raises(CorpusError, match=r"1 of 1,440 clips .*: 03-01-08-02-02-02-24\.wav"):
        unpack_ravdess(path, tmp_path / "new" / "out")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_zip_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_bytes = 1_440 * len(make_clip("x"))
    monkeypatch.setattr(fetch_module, "_MOST_BYTES", n_bytes - 1)
    with pytest.raises(CorpusError, match=f"unpacks to {n_bytes:,} bytes, expected at most"):
        unpack_ravdess(archive, tmp_path / "new" / "out")
    monkeypatch.setattr(fetch_module, "_MOST_ENTRIES", 1_439)
    with pytest.raises(CorpusError, match="has 1,440 entries, expected at most 1,439"):
        unpack_ravdess(archive, tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()


def test_clips_are_on_the_disk_before_the_folder_gets_its_name(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def sync(path: Path) -> None:
        assert not (tmp_path / "out").exists()
        synced.append(path)

    monkeypatch.setattr(fetch_module, "sync_file", sync)
    unpack_ravdess(archive, tmp_path / "out")
    assert sorted(path.stem for path in synced) == sorted(list_ravdess_names())


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04cut"])
def test_what_is_no_zip_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(CorpusError, match="a.zip is not a sound zip file"):
        unpack_ravdess(tmp_path / "a.zip", tmp_path / "out")


def test_a_missing_zip_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot unpack .*b.zip .*No such file"):
        fetch_ravdess(tmp_path / "out", archive=tmp_path / "b.zip")


def test_an_interrupted_unpacking_leaves_nothing(tmp_path: Path, archive: Path) -> None:
    def interrupt(_step: str, done: int, _whole: int) -> None:
        if done == 700:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack_ravdess(archive, tmp_path / "new" / "out", report=interrupt)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_taken_folder_is_left_as_it_is(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(CorpusError, match="mine already exists: found other files"):
        fetch_ravdess(tmp_path / "mine", archive=archive)
    (tmp_path / "mine" / "03-01-01-01-01-01-01.wav").touch()
    with pytest.raises(CorpusError, match="found 1 of 1,440 RAVDESS clips"):
        fetch_ravdess(tmp_path / "mine", archive=archive)
    with pytest.raises(CorpusError, match="found a file, not a folder"):
        fetch_ravdess(tmp_path / "mine" / "thesis.txt", archive=archive)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_may_be_named(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert fetch_ravdess(tmp_path / "empty", archive=archive).installed
    assert (tmp_path / "empty" / FIRST).is_file()


def test_the_default_archive_is_used_when_none_is_named(
    remote: RemoteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "RAVDESS_ARCHIVE", remote)
    assert fetch_ravdess().installed
