"""Find where speech begins and ends, block by block: Silero VAD's own rules.

    samples -> probability of speech in each 32 ms frame -> spans of speech -> turns

The rules and their defaults are those of ``get_speech_timestamps`` in
https://github.com/snakers4/silero-vad (``src/silero_vad/utils_vad.py``, version 6.2).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emovox.audio.limits import SILENCE_PEAK
from emovox.audio.waveform import resample_blocks
from emovox.recognition.voice_activity import (
    FRAME_SAMPLES,
    RATE_HZ,
    SpeechDetector,
    cut_blocks,
)

FRAME_S = FRAME_SAMPLES / RATE_HZ

SPEECH_PROBABILITY = 0.5
"""Speech begins with a frame that is at least this probable: Silero's default. `predict` has a
higher threshold, since it needs only a few frames of a recording."""

PAUSE_PROBABILITY = 0.35
"""Speech that has begun continues until frames fall below this."""

MIN_SPEECH_S = 0.25
"""Shorter spans are no speech."""

MIN_SILENCE_S = 0.1
"""Shorter pauses are part of the speech around them, at the start of a recording, too."""

PADDING_S = 0.03
"""What is added to both ends of a span. Pauses are longer than twice this."""

TURN_PAUSE_S = 0.5
"""A turn ends in a pause of this length; shorter ones are part of it."""

MAX_TURN_S = 60.0
"""Longer turns are cut, at a pause if there is one, so that memory does not grow with them."""

LOOK_BACK_S = 15.0
"""How far before the end of a long turn a cut is looked for."""

KEPT_FRAMES = 9
"""What is left after the cut is long enough to count as speech."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a recording; spans follow each other without gaps.

    Attributes:
        start_s: Start in seconds.
        end_s: End in seconds.
        speech_s: How much of it is speech, in seconds; 0 in a pause.
    """

    start_s: float
    end_s: float
    speech_s: float


def find_probabilities(
    detector: SpeechDetector | None, blocks: Iterable[npt.NDArray[np.float32]], rate_hz: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Find how probable speech is in each frame of a recording that arrives in blocks.

    Args:
        detector: Speech detector; ``None``: everything but digital silence counts as speech.
        blocks: float32 ``(samples,)`` each.
        rate_hz: Sampling rate in Hz.

    Yields:
        float32 ``(frames,)`` in [0, 1], for consecutive frames of ``FRAME_S``.
    """
    if detector is not None:
        yield from detector.iterate_probabilities(blocks, rate_hz)
        return
    for samples in cut_blocks(resample_blocks(blocks, rate_hz, RATE_HZ), 32 * FRAME_SAMPLES):
        padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES), mode="edge")
        yield rate_loudness(padded.reshape(-1, FRAME_SAMPLES))  # (frames, 512)


def rate_loudness(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return 1 for each frame ``(frames, samples)`` that is not digital silence, otherwise 0."""
    found: npt.NDArray[np.float32] = (np.ptp(frames, axis=1) / 2 >= SILENCE_PEAK).astype(np.float32)
    return found


class SpanFinder:
    """Finds spans of speech and of pauses, as frames arrive."""

    def __init__(self) -> None:
        self._done_s, self._at = 0.0, 0
        self._heard: list[float] = []  # probabilities since speech began
        self._n_quiet = 0  # frames at its end that may be a pause

    @property
    def open_start_s(self) -> float | None:
        """Start of the speech that has not ended, in seconds, if it is long enough to count."""
        if (len(self._heard) - self._n_quiet) * FRAME_S <= MIN_SPEECH_S:
            return None
        return self.earliest_start_s

    @property
    def earliest_start_s(self) -> float:
        """Speech that has not been found yet begins here at the earliest, in seconds."""
        return _begin_speech(self._at - len(self._heard), self._done_s)

    def push(self, probabilities: npt.NDArray[np.float32]) -> Iterator[Span]:
        """Yield the spans that end.

        Args:
            probabilities: Of consecutive frames, float32 ``(frames,)``.

        Yields:
            Speech, and pauses up to where they are certain.
        """
        for probability in probabilities.tolist():
            self._at += 1
            if self._heard or probability >= SPEECH_PROBABILITY:
                self._heard.append(probability)
            if probability >= SPEECH_PROBABILITY:
                self._n_quiet = 0
            elif self._heard and (self._n_quiet or probability < PAUSE_PROBABILITY):
                self._n_quiet += 1
            has_paused = (self._n_quiet - 1) * FRAME_S >= MIN_SILENCE_S
            if has_paused and probability < PAUSE_PROBABILITY:
                start, end = self._at - len(self._heard), self._at - self._n_quiet
                self._heard, self._n_quiet = [], 0
                if (end - start) * FRAME_S > MIN_SPEECH_S:
                    yield from self._end_speech(start, end * FRAME_S + PADDING_S)
            elif len(self._heard) * FRAME_S >= MAX_TURN_S:
                start = self._at - len(self._heard)
                self._heard = self._heard[_find_cut(self._heard) :]
                yield from self._end_speech(start, (self._at - len(self._heard)) * FRAME_S)
        quiet_s = round((self._at - len(self._heard)) * FRAME_S - PADDING_S, 6)
        if quiet_s > max(self._done_s, MIN_SILENCE_S):
            yield from self._pause(quiet_s)

    def finish(self, end_s: float) -> Iterator[Span]:
        """Yield the last spans.

        Args:
            end_s: Duration of the recording in seconds.
        """
        start = self._at - len(self._heard)
        if self._heard and end_s - start * FRAME_S > MIN_SPEECH_S:
            yield from self._end_speech(start, end_s)
        else:
            yield from self._pause(end_s)

    def _end_speech(self, start: int, end_s: float) -> Iterator[Span]:
        """Yield speech that began in a frame, and the pause before it."""
        start_s = _begin_speech(start, self._done_s)
        yield from self._pause(start_s)
        self._done_s = round(end_s, 6)
        yield Span(start_s, self._done_s, self._done_s - start_s)

    def _pause(self, end_s: float) -> Iterator[Span]:
        """Yield a pause, unless it is empty."""
        if end_s > self._done_s:
            yield Span(self._done_s, end_s, 0.0)
            self._done_s = end_s


class TurnJoiner:
    """Joins spans of speech that are separated by short pauses, as they arrive.

    Attributes:
        turn: The turn that has not ended.
    """

    def __init__(self) -> None:
        self.turn: Span | None = None
        self._pauses: list[Span] = []  # after the turn

    def push(self, span: Span) -> Iterator[Span]:
        """Yield the turns of at most ``MAX_TURN_S``, and the pauses, that a span ends.

        Args:
            span: Speech or a pause, as ``SpanFinder`` yields them.
        """
        turn = self.turn
        if turn is None:
            if span.speech_s:
                self.turn = span
            else:
                yield span
        elif span.speech_s and span.end_s - turn.start_s <= MAX_TURN_S:
            self.turn = Span(turn.start_s, span.end_s, turn.speech_s + span.speech_s)
            self._pauses = []
        elif span.speech_s:
            yield from self.finish()
            self.turn = span
        elif span.end_s - turn.end_s < TURN_PAUSE_S:
            self._pauses.append(span)
        else:
            yield from self.finish()
            yield span

    def finish(self) -> Iterator[Span]:
        """Yield the turn that has not ended, and the pauses after it."""
        ended = [self.turn] if self.turn is not None else []
        ended += self._pauses
        self.turn, self._pauses = None, []
        yield from ended


def find_spans(
    probabilities: Iterable[npt.NDArray[np.float32]], find_end_s: Callable[[], float]
) -> Iterator[Span]:
    """Find spans of speech and of pauses.

    Args:
        probabilities: Of consecutive frames, float32 ``(frames,)`` each.
        find_end_s: Returns the duration of the recording in seconds; called after the last frame.

    Yields:
        Spans from 0 to the end. A pause is yielded in several, as the frames arrive.
    """
    finder = SpanFinder()
    for block in probabilities:
        yield from finder.push(block)
    yield from finder.finish(find_end_s())


def join_turns(spans: Iterable[Span]) -> Iterator[Span]:
    """Join spans of speech that are separated by short pauses.

    Args:
        spans: Spans of speech and pauses, as ``find_spans`` yields them.

    Yields:
        Turns of at most ``MAX_TURN_S``, and the pauses between them.
    """
    joiner = TurnJoiner()
    for span in spans:
        yield from joiner.push(span)
    yield from joiner.finish()


def _begin_speech(frame: int, done_s: float) -> float:
    """Return where speech begins that was found in a frame, padded, after what is done."""
    start_s = round(frame * FRAME_S - PADDING_S, 6)
    return max(start_s if start_s >= MIN_SILENCE_S else 0.0, done_s)


def _find_cut(heard: list[float]) -> int:
    """Return where to cut a long turn: after the frame that is least probably speech, if late."""
    end = len(heard) - KEPT_FRAMES
    late = heard[end - round(LOOK_BACK_S / FRAME_S) : end]
    return end - int(np.argmin(late[::-1]))
