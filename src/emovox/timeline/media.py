"""What a page or a figure shows of a recording: sound, waveform, and colours of emotions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emovox.audio.channels import EACH, MIX
from emovox.audio.raw import RawFormat
from emovox.audio.recording import AudioSource, open_recording
from emovox.pages.media import PAGE_RATE_HZ, encode_blocks
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.timeline import MAX_TIMELINE_S

N_COLUMNS = 2_000
"""Points of the drawn waveform."""

_COLOURS = {
    "angry": "#d55e00",
    "happy": "#f0e442",
    "sad": "#0072b2",
    "calm": "#56b4e9",
    "neutral": "#a6a6a6",
    "fearful": "#cc79a7",
    "disgust": "#009e73",
    "surprised": "#e69f00",
}
"""Colours that people with any colour vision can distinguish (Okabe and Ito, "Color Universal
Design", https://jfly.uni-koeln.de/color/); their black is a grey here."""


@dataclass(frozen=True, slots=True, eq=False)
class TimelineMedia:
    """The sound of a timeline.

    Attributes:
        audio: An MP3, mono, 24 kHz, normalized to its peak; empty if it was not requested.
        envelope: Peak of each of ``N_COLUMNS`` parts of equal duration, divided by the largest,
            float64 ``(columns,)`` in [0, 1].
    """

    audio: bytes
    envelope: npt.NDArray[np.float64]


def make_timeline_media(
    recognizer: Recognizer,
    source: AudioSource,
    duration_s: float,
    *,
    with_audio: bool = True,
    channel: str | int = MIX,
    track: int | None = None,
    raw: RawFormat | None = None,
    max_duration_s: float = MAX_TIMELINE_S,
) -> TimelineMedia:
    """Make the sound and the waveform of a recording, in memory that only grows with the MP3.

    Args:
        recognizer: Chooses the track and the channels, as for the timeline.
        source: The recording: a path or encoded bytes.
        duration_s: Its duration in seconds.
        with_audio: Whether to encode the sound.
        channel: As in ``Recognizer.timeline``; ``each`` is the mix of them.
        track: As in ``Recognizer.timeline``.
        raw: As in ``Recognizer.timeline``.
        max_duration_s: As in ``Recognizer.timeline``.

    Raises:
        AudioError: The recording cannot be used.
    """
    envelope = np.zeros(N_COLUMNS)
    with open_recording(source, raw=raw, max_duration_s=max_duration_s) as recording:
        (selection,) = recognizer.select_sound(
            recording, MIX if channel == EACH else channel, track
        )
        blocks = _measure(
            recording.iterate(PAGE_RATE_HZ, selection.signs, selection.track), duration_s, envelope
        )
        audio = b""
        if with_audio:
            peak = float(recording.survey(selection.track).peaks.max())
            audio = encode_blocks(blocks, peak)
        else:
            for _ in blocks:
                pass
    return TimelineMedia(audio, envelope / max(float(envelope.max()), 1e-9))


def _measure(
    blocks: Iterable[npt.NDArray[np.float32]], duration_s: float, envelope: npt.NDArray[np.float64]
) -> Iterator[npt.NDArray[np.float32]]:
    """Pass blocks on, and keep the peak of each part of the recording."""
    n_before, n_samples = 0, max(duration_s * PAGE_RATE_HZ, 1)
    for block in blocks:
        at = (n_before + np.arange(len(block))) * (len(envelope) / n_samples)
        np.maximum.at(envelope, at.astype(int).clip(max=len(envelope) - 1), np.abs(block))
        n_before += len(block)
        yield block


def choose_colours(labels: Sequence[str]) -> dict[str, str]:
    """Choose a colour for each emotion of a model, as ``#rrggbb``.

    Emotions that are in no other model get the colours that are left, which repeat after the last.

    Examples:
        >>> choose_colours(["angry", "bored"])
        {'angry': '#d55e00', 'bored': '#f0e442'}
    """
    left = [colour for label, colour in _COLOURS.items() if label not in labels]
    left = left or list(_COLOURS.values())
    others = [label for label in labels if label not in _COLOURS]
    chosen = {label: left[at % len(left)] for at, label in enumerate(others)}
    return {label: _COLOURS.get(label) or chosen[label] for label in labels}
