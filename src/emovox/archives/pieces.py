"""Cut a long recording at pauses into pieces, which workers process at the same time.

    decode, find speech -> turns and pauses -> pieces that begin with a pause -> segments of each

A pause separates segments whatever is predicted around it, so the segments of the pieces, one after
the other, are those that ``Recognizer.timeline`` finds in the whole recording.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.archives.settings import ArchiveSettings
from emovox.audio.recording import open_recording
from emovox.audio.selection import Selection
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.recognition.speech_spans import Span
from emovox.recognition.timeline import find_turns, merge_segments, predict_turns

MIN_PIECE_S = 1_800.0
"""Recordings of up to twice this are not cut."""

MAX_PIECES = 8
"""Each piece is decoded from the start of the recording, so that its samples are the same."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a long recording.

    Attributes:
        number: Number of the piece in the recording, from 0.
        selection: The track and channels that it comes from.
        turns: Its turns and pauses.
    """

    number: int
    selection: Selection
    turns: tuple[Span, ...]


def find_pieces(
    recognizer: Recognizer, source: Any, settings: ArchiveSettings
) -> tuple[Piece, ...]:
    """Cut a recording into pieces.

    Args:
        recognizer: Its speech detector finds the pauses.
        source: A path or a binary file.
        settings: Channel, track and maximum duration.

    Returns:
        The pieces, in order, those of each channel after the other; none for a short recording.

    Raises:
        AudioError: The recording cannot be used.
    """
    pieces: list[Piece] = []
    with open_recording(source, max_duration_s=settings.longest_s) as recording:
        for selection in recognizer.select_sound(recording, settings.channel, settings.track):
            blocks = recording.iterate(
                recognizer.info.sample_rate_hz, selection.signs, selection.track
            )
            found, samples = find_turns(recognizer, blocks)
            turns = []
            for turn in found:
                samples.take(round(turn.end_s * recognizer.info.sample_rate_hz))  # not kept
                turns.append(turn)
            for group in group_turns(turns):
                pieces.append(Piece(len(pieces), selection, tuple(group)))
    return tuple(pieces) if len(pieces) > 1 else ()


def group_turns(turns: list[Span]) -> Iterator[list[Span]]:
    """Group turns into pieces of about the same length, each of which begins with a pause.

    Args:
        turns: Turns and the pauses between them, from 0 to the end of the recording.
    """
    duration_s = turns[-1].end_s
    least_s = max(MIN_PIECE_S, duration_s / MAX_PIECES)
    group: list[Span] = []
    for turn in turns:
        is_cut = group and not turn.speech_s and group[-1].speech_s
        if is_cut and turn.start_s - group[0].start_s >= least_s <= duration_s - turn.start_s:
            yield group
            group = []
        group.append(turn)
    yield group


def iterate_piece(
    recognizer: Recognizer, source: Any, settings: ArchiveSettings, piece: Piece
) -> Iterator[Prediction]:
    """Yield the segments of a piece.

    Args:
        recognizer: Runs the model.
        source: The whole recording.
        settings: The maximum duration is used.
        piece: The piece.
    """
    rate_hz = recognizer.info.sample_rate_hz
    with open_recording(source, max_duration_s=settings.longest_s) as recording:
        selection = piece.selection
        blocks = recording.iterate(rate_hz, selection.signs, selection.track)
        samples = _Samples(blocks, round(piece.turns[0].start_s * rate_hz))
        hops = predict_turns(recognizer, iter(piece.turns), samples.take, selection, None)
        yield from merge_segments(hops)


class _Samples:
    """The samples of a recording from some place on."""

    def __init__(self, blocks: Iterator[npt.NDArray[np.float32]], start: int) -> None:
        self._blocks = blocks
        self._held = np.empty(0, np.float32)
        self._at = 0  # index of the first sample that is held
        while self._at + len(self._held) <= start:
            block = next(blocks, None)
            if block is None:
                break
            self._at, self._held = self._at + len(self._held), block
        self._held = self._held[start - self._at :]
        self._at = start

    def take(self, end: int) -> npt.NDArray[np.float32]:
        """Return the samples that were not taken yet, up to an index."""
        parts = [self._held]
        n_held = len(self._held)
        while self._at + n_held < end:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            n_held += len(block)
        held = np.concatenate(parts) if len(parts) > 1 else parts[0]
        n = end - self._at
        self._held, self._at = held[n:], end
        return held[:n]
