"""Names for errors, and streams read no further than their limit."""

import io
from pathlib import Path

import pytest

from emovox.audio import sources
from emovox.audio.sources import name_source, open_source
from emovox.errors import AudioError


class Endless(io.RawIOBase):
    """A stream that never ends, as a broken pipe's writer or /dev/zero."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return bytes(size)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (Path("clips") / "a.wav", str(Path("clips") / "a.wav")),
        ("größe.wav", "größe.wav"),
        ("two\nlines\x1b[31m.wav", r"two\nlines\x1b[31m.wav"),
        ("not\udcffutf8.wav", r"not\udcffutf8.wav"),
        (b"RIFF", "<bytes>"),
        (io.BytesIO(), "<stream>"),
    ],
)
def test_source_is_named_on_one_line(source: object, name: str) -> None:
    assert name_source(source) == name


def test_open_file_gives_its_path(tone: Path) -> None:
    with tone.open("rb") as file:
        assert name_source(file) == str(tone)


def test_stream_is_read_from_where_it_stands() -> None:
    stream = io.BytesIO(b"skipped RIFF")
    stream.seek(8)
    with open_source(stream) as file:
        assert file.read() == b"RIFF"


def test_endless_stream_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_STREAM_BYTES", 4 * 2**20)
    with (
        pytest.raises(AudioError, match="holds more than 4 MiB, the limit for a stream"),
        open_source(Endless()),
    ):
        pytest.fail("opened")


def test_closed_stream_is_refused() -> None:
    stream = io.BytesIO(b"RIFF")
    stream.close()
    with pytest.raises(AudioError, match="cannot be read .*closed"), open_source(stream):
        pytest.fail("opened")


def test_text_and_other_objects_are_refused(tone: Path) -> None:
    with (
        pytest.raises(TypeError, match="returns text; open it in binary mode"),
        tone.open(encoding="latin-1") as text,
        open_source(text),
    ):
        pytest.fail("opened")
    with pytest.raises(TypeError, match="source is int, expected a path, bytes, a binary"):
        open_source(3).__enter__()
