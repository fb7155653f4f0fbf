"""Open a path, bytes or a file object as a seekable binary file, and name it in errors."""

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from emovox.errors import AudioError
from emovox.wording import make_printable

MAX_STREAM_BYTES = 512 * 2**20
MAX_MEMORY_BYTES = 32 * 2**20


class Section(io.RawIOBase):
    """A part of a binary file, which decoders read as if it were a file of its own.

    Seeking outside it is ignored: decoders call back from C, where Python could only print an
    exception, and detect the damage themselves.
    """

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._end, self._position = file, start, end, start

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to the end of the section, wherever the file was left by others."""
        view = memoryview(buffer).cast("B")[: self._end - self._position]
        self._file.seek(self._position)
        count = self._file.readinto(view)  # type: ignore[attr-defined]
        self._position += count
        return int(count)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position in the section; others are ignored."""
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._position, os.SEEK_END: self._end}
        if whence in base and self._start <= base[whence] + offset <= self._end:
            self._position = base[whence] + offset
        return self.tell()

    def tell(self) -> int:
        """Return the position in the section."""
        return self._position - self._start


def name_source(source: object) -> str:
    """Return the name of a source for error messages: one printable line."""
    if isinstance(source, str | Path):
        name = os.fsdecode(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>"
    else:
        given = getattr(source, "name", None)
        kind = "stream" if hasattr(source, "read") else type(source).__name__
        name = given if isinstance(given, str) else f"<{kind}>"
    return make_printable(name)


@contextmanager
def open_source(source: object) -> Iterator[BinaryIO]:
    """Open a source as a seekable binary file, positioned at the start of the recording.

    Args:
        source: Path, encoded bytes, or binary file object. A file object, pipe or device is read
            from its current position to its end, up to 512 MiB.

    Yields:
        The file; closed after the block if it was opened here.

    Raises:
        AudioError: The file does not exist or cannot be read, or a stream exceeds the limit.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif isinstance(source, str | Path):
        with _open_file(source) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            if regular:
                yield file
            else:
                with _read_stream(file) as buffer:
                    yield buffer
    elif hasattr(source, "read"):
        with _read_stream(source) as buffer:
            yield buffer
    else:
        raise TypeError(
            f"source is {type(source).__name__}, expected a path, bytes, a binary file object, a "
            "Waveform, or an array with its rate"
        )


def _open_file(path: str | Path) -> BinaryIO:
    """Open a file for reading; raise AudioError if that fails."""
    try:
        if os.path.isdir(path):
            raise AudioError(
                "is a folder, expected an audio file; name a file inside it", code="audio.is_folder"
            )
        # Open by descriptor: without a name, soundfile cannot guess a format from the suffix.
        return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)), "rb")
    except FileNotFoundError:
        raise AudioError("no such file; check the path", code="audio.not_found") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(
            f"cannot be opened ({reason}), expected a readable audio file; check it",
            code="audio.unreadable",
        ) from error


def _read_stream(stream: Any) -> BinaryIO:
    """Read a file object to its end, up to the size limit; long ones are kept on disk."""
    buffer: Any = tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES)  # noqa: SIM115
    try:
        while chunk := stream.read(2**20):
            if not isinstance(chunk, bytes | bytearray):
                raise TypeError("the file object returns text; open it in binary mode")
            buffer.write(chunk)
            if buffer.tell() > MAX_STREAM_BYTES:
                raise AudioError(
                    f"holds more than {MAX_STREAM_BYTES >> 20} MiB, the limit for a stream; "
                    "save it to a file and pass its path",
                    code="audio.too_large",
                )
    except (OSError, ValueError) as error:
        raise AudioError(
            f"cannot be read ({error}), expected an open binary file object; open it again",
            code="audio.unreadable",
        ) from error
    buffer.seek(0)
    return buffer  # type: ignore[no-any-return]
