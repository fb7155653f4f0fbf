"""What the service computes for a request: runs in the thread of a lane."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emovox.audio.blocks import Block
from emovox.audio.raw import RawFormat
from emovox.audio.recording import Recording
from emovox.audio.selection import Selection
from emovox.audio.waveform import Waveform
from emovox.errors import AudioError
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.recognition.stream import StreamingRecognizer
from emovox.recognition.timeline import merge_segments
from emovox.recognition.voice import Voice


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
        return options if self.voice is None else {**options, "voice": Voice.from_bytes(self.voice)}


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


def open_stream(
    shared: Recognizer, rate_hz: int, *, min_confidence: float | None, voice: bytes | None
) -> StreamingRecognizer:
    """Start to recognise a live stream.

    Args:
        shared: The process' recogniser.
        rate_hz: Sampling rate of the stream in Hz.
        min_confidence: Threshold below which a prediction is uncertain; ``None``: the model's.
        voice: An enrolled voice.
    """
    recognizer = Recognizer(shared.model, detector=shared.detector, min_confidence=min_confidence)
    return StreamingRecognizer(
        recognizer, rate_hz, voice=None if voice is None else Voice.from_bytes(voice)
    )


def enroll(recognizer: Recognizer, audio: bytes) -> bytes:
    """Return the voice of a recording, as it is sent to the client."""
    return recognizer.enroll([audio]).to_bytes()
