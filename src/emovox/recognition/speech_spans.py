"""Find where speech begins and ends, block by block: Silero VAD's own rules.

    samples -> probability of speech in each 32 ms frame -> spans of speech -> turns

The rules and their defaults are those of ``get_speech_timestamps`` in
https://github.com/snakers4/silero-vad (``src/silero_vad/utils_vad.py``, version 6.2), except for
the threshold, which is that of ``SpeechDetector``.
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
    SPEECH_PROBABILITY,
    SpeechDetector,
    cut_blocks,
)

FRAME_S = FRAME_SAMPLES / RATE_HZ

PAUSE_PROBABILITY = SPEECH_PROBABILITY - 0.15
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
    for samples in cut_blocks(resample_blocks(blocks, rate_hz, RATE_HZ), 320 * FRAME_SAMPLES):
        padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES), mode="edge")
        frames = padded.reshape(-1, FRAME_SAMPLES)  # (frames, 512)
        yield (np.ptp(frames, axis=1) / 2 >= SILENCE_PEAK).astype(np.float32)


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
    done_s, at = 0.0, 0
    heard: list[float] = []  # probabilities since speech began
    n_quiet = 0  # frames at its end that may be a pause
    for block in probabilities:
        for probability in block.tolist():
            at += 1
            if heard or probability >= SPEECH_PROBABILITY:
                heard.append(probability)
            if probability >= SPEECH_PROBABILITY:
                n_quiet = 0
            elif heard and (n_quiet or probability < PAUSE_PROBABILITY):
                n_quiet += 1
            if (n_quiet - 1) * FRAME_S >= MIN_SILENCE_S and probability < PAUSE_PROBABILITY:
                start, end = at - len(heard), at - n_quiet
                heard, n_quiet = [], 0
                if (end - start) * FRAME_S > MIN_SPEECH_S:
                    start_s = _begin_speech(start, done_s)
                    yield from _pause(done_s, start_s)
                    done_s = round(end * FRAME_S + PADDING_S, 6)
                    yield Span(start_s, done_s, done_s - start_s)
            elif len(heard) * FRAME_S >= MAX_TURN_S:
                start_s = _begin_speech(at - len(heard), done_s)
                heard = heard[_find_cut(heard) :]
                yield from _pause(done_s, start_s)
                done_s = round((at - len(heard)) * FRAME_S, 6)
                yield Span(start_s, done_s, done_s - start_s)
        quiet_s = round((at - len(heard)) * FRAME_S - PADDING_S, 6)
        if quiet_s > max(done_s, MIN_SILENCE_S):
            yield Span(done_s, quiet_s, 0.0)
            done_s = quiet_s
    end_s = find_end_s()
    if heard and end_s - (at - len(heard)) * FRAME_S > MIN_SPEECH_S:
        start_s = _begin_speech(at - len(heard), done_s)
        yield from _pause(done_s, start_s)
        yield Span(start_s, end_s, end_s - start_s)
    else:
        yield from _pause(done_s, end_s)


def join_turns(spans: Iterable[Span]) -> Iterator[Span]:
    """Join spans of speech that are separated by short pauses.

    Args:
        spans: Spans of speech and pauses, as ``find_spans`` yields them.

    Yields:
        Turns of at most ``MAX_TURN_S``, and the pauses between them.
    """
    turn: Span | None = None
    pauses: list[Span] = []  # after the turn
    for span in spans:
        if turn is None:
            if span.speech_s:
                turn = span
            else:
                yield span
            continue
        if span.speech_s and span.end_s - turn.start_s <= MAX_TURN_S:
            turn = Span(turn.start_s, span.end_s, turn.speech_s + span.speech_s)
            pauses = []
        elif span.speech_s:
            yield turn
            yield from pauses
            turn, pauses = span, []
        elif span.end_s - turn.end_s < TURN_PAUSE_S:
            pauses.append(span)
        else:
            yield turn
            yield from pauses
            yield span
            turn, pauses = None, []
    if turn is not None:
        yield turn
    yield from pauses


def _begin_speech(frame: int, done_s: float) -> float:
    """Return where speech begins that was found in a frame, padded, after what is done."""
    start_s = round(frame * FRAME_S - PADDING_S, 6)
    return max(start_s if start_s >= MIN_SILENCE_S else 0.0, done_s)


def _pause(start_s: float, end_s: float) -> Iterator[Span]:
    """Yield a pause, unless it is empty."""
    if end_s > start_s:
        yield Span(start_s, end_s, 0.0)


def _find_cut(heard: list[float]) -> int:
    """Return where to cut a long turn: after the frame that is least probably speech, if late."""
    end = len(heard) - KEPT_FRAMES
    late = heard[end - round(LOOK_BACK_S / FRAME_S) : end]
    return end - int(np.argmin(late[::-1]))
