"""How a stream behaves: compute, delays, flicker, and agreement with the timeline."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conversations import RATE_HZ, Conversation, Segment
from diarization import GRID_S, label_times
from emovox import Prediction, Recognizer, StreamingRecognizer, StreamUpdate

CHUNK_S = 0.1


@dataclass(frozen=True)
class Streamed:
    """What a stream found in one recording.

    Attributes:
        updates: One for each hop.
        segments: From 0 to the end.
        compute_s: CPU time of each hop in seconds.
    """

    updates: list[StreamUpdate]
    segments: list[Prediction]
    compute_s: list[float]


def stream_conversation(recognizer: Recognizer, conversation: Conversation) -> Streamed:
    """Push a conversation in chunks, as a microphone would."""
    stream = StreamingRecognizer(recognizer, RATE_HZ)
    n_chunk = round(CHUNK_S * RATE_HZ)
    updates: list[StreamUpdate] = []
    segments: list[Prediction] = []
    compute_s: list[float] = []
    spent_s = 0.0
    for start in range(0, len(conversation.samples), n_chunk):
        # Time of this thread, which other programs on the machine do not change.
        began_s = time.thread_time()
        found = stream.push(conversation.samples[start : start + n_chunk])
        spent_s += time.thread_time() - began_s
        segments += [result for result in found if isinstance(result, Prediction)]
        new = [result for result in found if isinstance(result, StreamUpdate)]
        if new:
            updates += new
            compute_s.append(spent_s)
            spent_s = 0.0
    segments += [result for result in stream.finish() if isinstance(result, Prediction)]
    return Streamed(updates, segments, compute_s)


def find_first_delays(true: Sequence[Segment], updates: list[StreamUpdate]) -> list[float]:
    """Return the time from the start of each turn to the first emotion shown, in seconds."""
    delays = []
    for (_, _, before), (start_s, _, emotion) in zip(true, true[1:], strict=False):
        if before is None and emotion is not None:
            end_s = next(s for s, _, e in [*true, (np.inf, np.inf, None)] if s > start_s and not e)
            shown = [u.time_s for u in updates if u.emotion and start_s < u.time_s]
            if shown and shown[0] <= end_s + CHUNK_S:
                delays.append(shown[0] - start_s)
    return delays


def find_change_delays(
    true: Sequence[Segment], updates: list[StreamUpdate]
) -> tuple[list[float], int]:
    """Measure how long after a change within a turn its emotion is shown.

    Returns:
        Delays in seconds of the changes whose emotion is shown before the next change, and the
        number of all changes.
    """
    delays, n = [], 0
    for (_, _, before), (start_s, end_s, emotion) in zip(true, true[1:], strict=False):
        if before is not None and emotion is not None:
            n += 1
            shown = [u.time_s for u in updates if u.emotion == emotion and u.time_s > start_s]
            if shown and shown[0] <= end_s:
                delays.append(shown[0] - start_s)
    return delays, n


def count_flicker(updates: list[StreamUpdate]) -> tuple[int, float]:
    """Count changes from one emotion to another in a turn, and the minutes with an emotion."""
    pairs = zip(updates, updates[1:], strict=False)
    changes = sum(bool(a.emotion and b.emotion and a.emotion != b.emotion) for a, b in pairs)
    hop_s = updates[0].time_s
    return changes, hop_s * sum(update.emotion is not None for update in updates) / 60


def measure_agreement(
    one: Sequence[Segment], other: Sequence[Segment], labels: Sequence[str], end_s: float
) -> tuple[float, float]:
    """Return the seconds that either calls speech, and those of them in which both agree."""
    times_s: npt.NDArray[np.float64] = np.arange(GRID_S / 2, end_s, GRID_S)
    a, b = label_times(one, times_s, labels), label_times(other, times_s, labels)
    speech = (a >= 0) | (b >= 0)
    return GRID_S * np.count_nonzero(speech), GRID_S * np.count_nonzero(speech & (a == b))
