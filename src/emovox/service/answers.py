"""What the service computes for a request: runs in the thread of a lane."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

import emovox
from emovox.audio.blocks import Block
from emovox.audio.raw import RawFormat
from emovox.audio.recording import Recording
from emovox.audio.selection import Selection
from emovox.audio.waveform import Waveform
from emovox.errors import AudioError
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.recognition.timeline import merge_segments
from emovox.service.problems import ServiceError


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a request.

    Attributes:
        channel: As in ``Recognizer.predict``, like ``track`` and ``raw``.
        track: Number of the audio track.
        raw: Format of a recording without a header.
        min_confidence: Threshold below which a prediction is uncertain; ``None``: the model's.
        vad: Whether speech is detected first.
        voice: An enrolled voice, as ``/v1/enroll`` gave it.
    """

    channel: str = "mix"
    track: int | None = None
    raw: RawFormat | None = None
    min_confidence: float | None = None
    vad: bool = True
    voice: bytes | None = None

    def for_source(self) -> dict[str, Any]:
        """Return the options that ``Recognizer`` takes with a source."""
        options = {"channel": self.channel, "track": self.track, "raw": self.raw}
        return options if self.voice is None else {**options, "voice": load_voice(self.voice)}


class RequestRecognizer(Recognizer):
    """A recogniser for one request: shares the open model, and stops when it is not wanted.

    Args:
        shared: The process' recogniser.
        options: Options of the request.
        max_duration_s: Maximum duration of the recording, in seconds.
        max_channels: Maximum number of channels.
        check: Raises if the result is not wanted any more.
    """

    def __init__(
        self,
        shared: Recognizer,
        options: Options,
        *,
        max_duration_s: float,
        max_channels: int,
        check: Callable[[], None],
    ) -> None:
        super().__init__(
            shared.model,
            detector=shared.detector if options.vad else None,
            min_confidence=options.min_confidence,
            max_duration_s=max_duration_s,
        )
        self._max_channels = max_channels
        self._check = check

    def select_sound(
        self, recording: Recording, channel: str | int = "mix", track: int | None = None
    ) -> tuple[Selection, ...]:
        """Choose track and channels; every decoded block is checked, from the first on."""
        recording.watch(self._check_block)
        return super().select_sound(recording, channel, track)

    def has_speech(self, waveform: Waveform) -> bool:
        """Return whether speech is detected in a window."""
        self._check()
        return super().has_speech(waveform)

    def _check_block(self, block: Block) -> None:
        self._check()
        channels = block.samples.shape[1]
        if channels > self._max_channels:
            raise AudioError(
                f"has {channels} channels, expected at most {self._max_channels}; send fewer",
                code="audio.bad_channels",
            )


def predict(recognizer: Recognizer, audio: bytes, options: Options) -> Prediction:
    """Predict the emotion of an encoded recording."""
    return recognizer.predict(audio, **options.for_source())


def make_timeline(
    recognizer: RequestRecognizer, audio: bytes, options: Options
) -> list[Prediction]:
    """Follow the emotion through an encoded recording."""
    hops = recognizer.timeline(
        audio, merge=False, max_duration_s=recognizer.max_duration_s, **options.for_source()
    )
    return list(merge_segments(hops))


class LiveRecognizer(Protocol):
    """What the service needs of ``emovox.StreamingRecognizer``."""

    def push(self, samples: npt.NDArray[np.float32]) -> Sequence[Any]:
        """Take samples; return updates and closed segments."""
        ...

    def finish(self) -> Sequence[Any]:
        """Return what is left at the end."""
        ...


def open_stream(
    shared: Recognizer, rate_hz: int, *, min_confidence: float | None, voice: bytes | None
) -> LiveRecognizer:
    """Start to recognise a live stream.

    Args:
        shared: The process' recogniser.
        rate_hz: Sampling rate of the stream in Hz.
        min_confidence: Threshold below which a prediction is uncertain; ``None``: the model's.
        voice: An enrolled voice.
    """
    streaming = _find("StreamingRecognizer")
    recognizer = Recognizer(shared.model, detector=shared.detector, min_confidence=min_confidence)
    options = {} if voice is None else {"voice": load_voice(voice)}
    opened: LiveRecognizer = streaming(recognizer, rate_hz=rate_hz, **options)
    return opened


def enroll(recognizer: Recognizer, audio: bytes) -> bytes:
    """Return the voice of a recording, as it is sent to the client."""
    _find("Voice")
    voice: bytes = recognizer.enroll([audio]).to_bytes()  # type: ignore[attr-defined]
    return voice


def load_voice(content: bytes) -> Any:
    """Open a voice that a client has sent."""
    return _find("Voice").from_bytes(content)


def _find(name: str) -> Any:
    """Return a public name of emovox, or say that this version lacks it."""
    try:
        return getattr(emovox, name)
    except AttributeError:
        raise ServiceError(
            f"this version of emovox has no {name}; use a newer one", code="service.unsupported"
        ) from None
