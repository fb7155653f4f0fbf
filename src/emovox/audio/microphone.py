"""Sound from a microphone, in chunks as they arrive."""

import queue
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.errors import AudioError, EmovoxError

CHUNK_S = 0.1
MAX_WAITING_S = 30.0
"""Sound that waits for a slow computer; more is lost, and counted."""

_WAKE_S = 0.5
"""Longest wait for sound, so that Ctrl-C is noticed even if none comes."""


class Microphone:
    """An open microphone; made by ``open_microphone``.

    Attributes:
        rate_hz: Its own sampling rate in Hz.
        name: Its name.
        lost_s: Seconds of sound that were lost.
    """

    def __init__(self, rate_hz: int, name: str) -> None:
        self.rate_hz, self.name = rate_hz, name
        self.lost_s = 0.0
        self._chunks: queue.Queue[npt.NDArray[np.float32]] = queue.Queue(
            round(MAX_WAITING_S / CHUNK_S)
        )

    def take(
        self, samples: npt.NDArray[np.float32], n_samples: int, _time: Any, flags: Any
    ) -> None:
        """Take a chunk ``(samples, channels)``; called by the sound system's own thread."""
        if flags.input_overflow:
            self.lost_s += n_samples / self.rate_hz
        try:
            self._chunks.put_nowait(samples.copy())
        except queue.Full:
            self.lost_s += n_samples / self.rate_hz

    def iterate(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield chunks, float32 ``(samples, channels)``; an empty one if none came for a while."""
        while True:
            try:
                yield self._chunks.get(timeout=_WAKE_S)
            except queue.Empty:
                yield np.zeros((0, 1), np.float32)


@contextmanager
def open_microphone(device: str | int | None = None) -> Generator[Microphone, None, None]:
    """Open a microphone at its own sampling rate.

    Args:
        device: Its number or a part of its name; ``None``: the system's default.

    Yields:
        The microphone, which records until the block ends.

    Raises:
        AudioError: There is no such microphone, or it cannot be opened.
        EmovoxError: The package sounddevice, or the library that it needs, is missing.
    """
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise EmovoxError(
            "a microphone needs sounddevice, which is not installed; pip install 'emovox[mic]'",
            code="package.missing",
        ) from None
    except OSError as error:  # its wheels for Linux come without PortAudio
        raise EmovoxError(
            f"a microphone needs the library PortAudio, which cannot be loaded ({error}); install "
            "it (Debian and Ubuntu: apt install libportaudio2)",
            code="package.missing",
        ) from None
    try:
        found = sounddevice.query_devices(device, "input")
        microphone = Microphone(round(found["default_samplerate"]), str(found["name"]))
        stream = sounddevice.InputStream(
            samplerate=microphone.rate_hz,
            blocksize=round(CHUNK_S * microphone.rate_hz),
            device=device,
            channels=1,
            dtype="float32",
            callback=microphone.take,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        wanted = "a microphone" if device is None else f"the microphone {device!r}"
        raise AudioError(
            f"{wanted} cannot be opened ({' '.join(str(error).split())}); connect one, allow "
            "access to it, or choose another with --device ('python -m sounddevice' lists them)",
            code="audio.no_microphone",
        ) from error
    with stream:
        yield microphone
