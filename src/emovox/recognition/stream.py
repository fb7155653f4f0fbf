"""Follow the emotion in sound that is still arriving.

    samples -> blocks of 10 ms -> mono, checked -> resampled -> voice activity -> turns
            -> an update every hop: the emotion of the latest window
            -> segments, by the rules of timelines, as soon as they are certain

Everything depends on the samples alone: not on the chunks that they arrive in, and not on a clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.audio.arrays import check_type, scale_to_float
from emovox.audio.channels import EACH, MIX, check_channel, mix_channels, parse_channel
from emovox.audio.limits import check_header, check_levels
from emovox.audio.selection import Selection
from emovox.audio.waveform import BlockResampler, Waveform
from emovox.errors import AudioError, EmovoxError
from emovox.recognition.classify import TOO_SHORT_S, make_prediction
from emovox.recognition.latest_emotion import LatestEmotion
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction, Scores
from emovox.recognition.speech_spans import Span, SpanFinder, TurnJoiner, rate_loudness
from emovox.recognition.timeline import SegmentMerger
from emovox.recognition.turn_scorer import TurnScorer
from emovox.recognition.voice import Voice
from emovox.recognition.voice_activity import FRAME_SAMPLES, RATE_HZ

HOP_S = 0.5
"""From one update to the next."""

MIN_HOP_S, MAX_HOP_S = 0.1, 10.0

BLOCKS_PER_S = 100
"""Samples are processed in blocks of this many to a second, whatever chunks they arrive in."""


@dataclass(frozen=True, slots=True)
class StreamUpdate:
    """What is known about the sound at one time.

    Attributes:
        time_s: Time since the start of the stream in seconds.
        level_dbfs: Level since the update before: RMS in dB relative to full scale, at least -120.
        emotion: The emotion of the turn that is being spoken, or ``None``.
        confidence: Its probability in [0, 1]; ``None`` without speech.
        scores: Probability of each emotion, in the model's order; ``None`` without speech.
        abstained: Why there is no emotion: ``"no speech"``, ``"too short"`` (the turn has just
            begun), ``"uncertain"``, or ``None``.
    """

    time_s: float
    level_dbfs: float
    emotion: str | None
    confidence: float | None
    scores: Scores | None
    abstained: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the update as JSON-serialisable types, keyed by attribute name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "scores": None if self.scores is None else dict(self.scores)}


class StreamingRecognizer:
    """Follows the emotion in sound that arrives in chunks of any size.

    It keeps the current turn only, at most two minutes of samples. One thread at a time may use it;
    several can share their recogniser.

    Args:
        recognizer: Runs the model and the speech detector.
        rate_hz: Sampling rate of the samples, 1,000 to 384,000 Hz.
        channel: ``mix`` averages the channels; ``left``, ``right`` or a number from 1 selects one.
        hop_s: Seconds from one update to the next, 0.1 to 10.
        voice: A voice from ``Recognizer.enroll``, which is taken off.

    Raises:
        AudioError: The rate or the channel is invalid.
        EmovoxError: ``hop_s`` is out of range, or the voice does not belong to the model.

    Examples:
        >>> from emovox.audio.load import load_audio
        >>> clip = load_audio("clip.opus", 16_000)
        >>> stream = StreamingRecognizer(Recognizer.load(min_confidence=0), clip.rate_hz)
        >>> results = stream.push(clip.samples) + stream.finish()
        >>> [result.emotion for result in results if isinstance(result, StreamUpdate)][-1]
        'angry'
        >>> [result.emotion for result in results if isinstance(result, Prediction)]
        [None, 'angry', None]
    """

    def __init__(
        self,
        recognizer: Recognizer,
        rate_hz: int,
        *,
        channel: str | int = MIX,
        hop_s: float = HOP_S,
        voice: Voice | None = None,
    ) -> None:
        check_header(rate_hz, 1)
        if not MIN_HOP_S <= hop_s <= MAX_HOP_S:
            raise EmovoxError(
                f"hop_s is {hop_s}; expected {MIN_HOP_S} to {MAX_HOP_S:g} s", code="setting.invalid"
            )
        self._channel = parse_channel(channel)
        if self._channel == EACH:
            raise AudioError(
                "the channel is 'each', expected one of them or 'mix'; make a stream for each",
                code="setting.invalid",
            )
        self.rate_hz, self.hop_s = rate_hz, hop_s
        self._recognizer = recognizer.with_voice(voice)
        self._blocks = _Blocks(max(1, rate_hz // BLOCKS_PER_S))
        self._n_in = self._n_updates = 0
        self._finished = False
        self._model_rate_hz = recognizer.info.sample_rate_hz
        self._to_model = BlockResampler(rate_hz, self._model_rate_hz)
        self._to_detector = BlockResampler(rate_hz, RATE_HZ)
        self._rate = (
            rate_loudness if recognizer.detector is None else recognizer.detector.open_stream().rate
        )
        self._frame = np.zeros(0, np.float32)  # the beginning of the next frame, at 16 kHz
        self._held = _HeldSamples()
        self._finder, self._joiner, self._merger = SpanFinder(), TurnJoiner(), SegmentMerger()
        self._scorer: TurnScorer | None = None
        self._latest = LatestEmotion(recognizer.info.labels, recognizer.min_confidence)
        self._powers: list[float] = []  # sums of squares since the last update
        number = None if isinstance(self._channel, str) else self._channel
        self._selection = Selection(1, (1,), number)

    def push(self, samples: npt.ArrayLike) -> "list[StreamUpdate | Prediction]":
        """Take more samples.

        Args:
            samples: Any number of samples, ``(samples,)`` or ``(samples, channels)``: floats in
                [-1, 1], int16, int32 or uint8. All chunks have the same number of channels.

        Returns:
            The updates that became due and the segments that ended, in order; often none.

        Raises:
            AudioError: The samples are not sound, or have another number of channels.
            EmovoxError: The stream has been finished, or failed before.
            ModelFileError: The model fails, or returns no valid probabilities.
        """
        self._check_open()
        self._blocks.push(to_channels(samples))
        found: list[StreamUpdate | Prediction] = []
        self._finished = True  # after an error, the samples up to it are lost
        for block in self._blocks.take():
            found += self._process(block)
        self._finished = False
        return found

    def finish(self) -> "list[StreamUpdate | Prediction]":
        """End the stream.

        Returns:
            The remaining segments, up to the last sample; none for a stream without samples.

        Raises:
            EmovoxError: The stream has been finished, or failed before.
            ModelFileError: The model fails, or returns no valid probabilities.
        """
        self._check_open()
        self._finished = True
        found: list[StreamUpdate | Prediction] = []
        for block in self._blocks.take_rest():
            found += self._process(block)
        if self._n_in == 0:
            return found
        self._held.push(self._to_model.finish())
        found += self._find_segments(self._to_detector.finish())
        if len(self._frame):
            fill = self._frame[-1] if self._recognizer.detector is None else 0.0
            n_missing = FRAME_SAMPLES - len(self._frame)
            found += self._find_segments(np.full(n_missing, fill, np.float32))
        for span in self._finder.finish(self._held.n_pushed / self._model_rate_hz):
            found += self._join(span)
        for turn in self._joiner.finish():
            found += self._end(turn)
        return [*found, *self._merger.finish()]

    def _check_open(self) -> None:
        """Raise EmovoxError if nothing more can be pushed."""
        if self._finished:
            raise EmovoxError(
                "the stream has ended: it was finished, or failed; expected an open one: make "
                "another StreamingRecognizer",
                code="stream.finished",
            )

    def _process(self, block: npt.NDArray[np.float32]) -> "Iterator[StreamUpdate | Prediction]":
        """Process a block ``(samples, channels)``, and yield what it brings about."""
        n_channels = block.shape[1]
        if self._channel == MIX:
            mono = mix_channels(block, (1,) * n_channels)
        else:
            check_channel(int(self._channel), n_channels)
            mono = np.ascontiguousarray(block[:, int(self._channel) - 1])
        check_levels(mono, self._n_in / self.rate_hz, self.rate_hz)
        self._n_in += len(mono)
        self._powers.append(float(np.square(mono, dtype=np.float64).sum()))
        self._held.push(self._to_model.push(mono))
        yield from self._find_segments(self._to_detector.push(mono))
        while self._n_in >= round((self._n_updates + 1) * self.hop_s * self.rate_hz):
            self._n_updates += 1
            yield self._make_update()

    def _find_segments(self, samples: npt.NDArray[np.float32]) -> Iterator[Prediction]:
        """Rate the frames that samples at 16 kHz fill, and yield the segments that end."""
        self._frame = np.concatenate([self._frame, samples])
        while len(self._frame) >= FRAME_SAMPLES:
            frame, self._frame = self._frame[:FRAME_SAMPLES], self._frame[FRAME_SAMPLES:]
            for span in self._finder.push(self._rate(frame[np.newaxis])):  # (1, 512)
                yield from self._join(span)
            self._follow_turn()

    def _join(self, span: Span) -> Iterator[Prediction]:
        """Yield the segments that a span ends."""
        for ended in self._joiner.push(span):
            yield from self._end(ended)
        turn = self._joiner.turn
        if turn is not None and span.speech_s:
            self._follow_turn()
            scorer = self._find_scorer(turn.start_s)
            spoken = self._get_turn(turn.start_s)
            for start_s, end_s, scores in scorer.score_certain(spoken, turn.end_s - turn.start_s):
                yield from self._add_hop((start_s, end_s), scores, turn.speech_s)

    def _end(self, turn: Span) -> Iterator[Prediction]:
        """Yield the segments that a finished turn or a pause ends."""
        if not turn.speech_s:
            yield from self._add_hop((turn.start_s, turn.end_s), None, 0.0)
            return
        spoken = self._get_turn(turn.start_s, turn.end_s)
        hops = self._find_scorer(turn.start_s).finish(spoken)
        for at, (start_s, end_s, scores) in enumerate(hops, 1):
            times_s = start_s, turn.end_s if at == len(hops) else end_s
            yield from self._add_hop(times_s, scores, turn.speech_s)
        self._scorer = None

    def _add_hop(
        self,
        times_s: tuple[float, float],
        scores: npt.NDArray[np.float64] | None,
        speech_s: float,
    ) -> Iterator[Prediction]:
        """Yield the segment that ends where another result begins."""
        yield from self._merger.push(
            make_prediction(self._recognizer, times_s, scores, speech_s, self._selection, None)
        )

    def _follow_turn(self) -> None:
        """Begin to score a turn that has begun, and let go of samples that are not needed."""
        turn = self._joiner.turn
        start_s = self._finder.open_start_s if turn is None else turn.start_s
        if start_s is None:
            self._scorer = None
            self._held.drop(round(self._finder.earliest_start_s * self._model_rate_hz))
        else:
            self._find_scorer(start_s)

    def _find_scorer(self, start_s: float) -> TurnScorer:
        """Return the scorer of the turn that begins at a time."""
        if self._scorer is None or self._scorer.start_s != start_s:
            self._scorer = TurnScorer(self._recognizer.score_waveform, start_s)
            self._latest.begin_turn()
            self._held.drop(round(start_s * self._model_rate_hz))
        return self._scorer

    def _get_turn(self, start_s: float, end_s: float | None = None) -> Waveform:
        """Return the samples from the start of a turn to its end, or as far as they are known."""
        rate_hz = self._model_rate_hz
        first = round(start_s * rate_hz)
        end = self._held.n_pushed if end_s is None else round(end_s * rate_hz)
        return Waveform(self._held.get(first, end), rate_hz)

    def _make_update(self) -> StreamUpdate:
        """Return what is known now."""
        n = self._n_in - round((self._n_updates - 1) * self.hop_s * self.rate_hz)
        power = sum(self._powers) / max(n, 1)
        self._powers.clear()
        scores = None
        if self._scorer is not None:
            turn = self._get_turn(self._scorer.start_s)
            if turn.duration_s >= TOO_SHORT_S:
                scores = self._scorer.score_latest(turn)
        emotion, confidence, named, abstained = self._latest.decide(
            scores, in_turn=self._scorer is not None
        )
        return StreamUpdate(
            time_s=round(self._n_updates * self.hop_s, 6),
            level_dbfs=round(10 * float(np.log10(max(power, 1e-12))), 3),
            emotion=emotion,
            confidence=confidence,
            scores=named,
            abstained=abstained,
        )


def to_channels(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return samples of a supported type as float32 ``(samples, channels)``, full scale at 1.

    Raises:
        AudioError: The shape or type is not that of samples.
    """
    try:
        array = np.asarray(samples)
    except (ValueError, TypeError) as error:
        raise AudioError(
            "is not an array of numbers, expected shape (samples,) or (samples, channels)",
            code="audio.bad_array",
        ) from error
    if array.ndim not in (1, 2):
        raise AudioError(
            f"has shape {array.shape}, expected (samples,) or (samples, channels); reshape it",
            code="audio.bad_array",
        )
    if array.size == 0 and array.dtype == np.float64:
        array = array.astype(np.float32)  # an empty list
    check_type(array)
    return scale_to_float(array.reshape(len(array), -1) if array.ndim == 2 else array[:, None])


class _Blocks:
    """Cuts chunks of any size into blocks of one size."""

    def __init__(self, n_samples: int) -> None:
        self._n_samples = n_samples
        self._waiting: list[npt.NDArray[np.float32]] = []
        self._n_waiting = 0
        self._n_channels: int | None = None

    def push(self, samples: npt.NDArray[np.float32]) -> None:
        """Take samples ``(samples, channels)``."""
        n_channels = samples.shape[1]
        check_header(48_000, n_channels)
        if self._n_channels not in (None, n_channels):
            raise AudioError(
                f"changes from {self._n_channels} to {n_channels} channels midway, expected one "
                "number; convert it",
                code="audio.bad_channels",
            )
        self._n_channels = n_channels
        if len(samples):
            self._waiting.append(samples.copy())  # the caller may use the array again
            self._n_waiting += len(samples)

    def take(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the blocks that are full."""
        if self._n_waiting < self._n_samples:
            return
        joined = np.concatenate(self._waiting)
        n_full = len(joined) // self._n_samples * self._n_samples
        self._waiting, self._n_waiting = [joined[n_full:].copy()], len(joined) - n_full
        for start in range(0, n_full, self._n_samples):
            yield np.ascontiguousarray(joined[start : start + self._n_samples])

    def take_rest(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the last block, unless it is empty."""
        if self._n_waiting:
            yield np.ascontiguousarray(np.concatenate(self._waiting))


class _HeldSamples:
    """The latest samples of a stream, by their place in it."""

    def __init__(self) -> None:
        self._held = np.zeros(2**16, np.float32)
        self._first = self._n = 0  # place of the first one, and number
        self.n_pushed = 0

    def push(self, samples: npt.NDArray[np.float32]) -> None:
        """Append samples."""
        if self._n + len(samples) > len(self._held):
            grown = np.zeros(2 * (self._n + len(samples)), np.float32)
            grown[: self._n] = self._held[: self._n]
            self._held = grown
        self._held[self._n : self._n + len(samples)] = samples
        self._n += len(samples)
        self.n_pushed += len(samples)

    def drop(self, place: int) -> None:
        """Let go of samples before a place, if they are many."""
        n = min(place - self._first, self._n)
        if n > len(self._held) // 4:
            self._held[: self._n - n] = self._held[n : self._n].copy()
            self._first, self._n = self._first + n, self._n - n

    def get(self, first: int, end: int) -> npt.NDArray[np.float32]:
        """Return samples from one place to another."""
        return self._held[first - self._first : end - self._first].copy()
