"""Convert any audio source to samples at one rate: mono, checked, and bounded in memory.

path / bytes / file object -> decoded by content -> selected channels -> checked -> resampled
array and its rate         ->                       selected channels -> checked -> resampled
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from emovox.audio.channels import EACH, MIX
from emovox.audio.limits import MAX_DURATION_S, check_settings
from emovox.audio.raw import RawFormat
from emovox.audio.recording import AudioSource, open_recording
from emovox.audio.selection import select_sound
from emovox.audio.waveform import Waveform, join_blocks
from emovox.errors import AudioError


def load_audio(
    source: AudioSource,
    rate_hz: int,
    *,
    source_rate_hz: int | None = None,
    channel: str | int = MIX,
    track: int | None = None,
    raw: RawFormat | None = None,
    max_duration_s: float = MAX_DURATION_S,
) -> Waveform:
    """Decode a recording to mono at the requested rate.

    The format is determined from the content, never from the name. libsndfile decodes WAV, FLAC,
    Ogg Vorbis, Opus, MP3, AIFF and AU; FFmpeg decodes every other format that it identifies from
    the content, and the audio track of videos. Other rates are resampled by soxr with quality "HQ"
    (20 bit, linear phase).

    A file with an unknown length in its header, as written to a pipe, is read to its end, and so
    are recordings that are joined in one file of most formats. If the header declares over 50 ms
    more than the file contains, or a part between start and end is missing, it is rejected.

    Args:
        source: Path, encoded bytes, binary file object (read from its current position),
            ``Waveform``, or array ``(samples,)`` or ``(samples, channels)``: floats are used
            unchanged; int16, int32 and uint8 (silence at 128) are scaled to [-1, 1].
        rate_hz: Sampling rate of the result, 1,000 to 384,000 Hz.
        source_rate_hz: Sampling rate of an array in Hz; other sources carry their rate.
        channel: ``mix`` averages the channels, those of opposite phase inverted; ``left``,
            ``right`` or a number from 1 selects one.
        track: Number of the audio track, from 1; ``None``: the default track, or if that is
            silent, the first that is not.
        raw: Format of samples without a header.
        max_duration_s: Maximum duration in seconds; checked before and during decoding.

    Returns:
        Float32 samples of shape ``(samples,)``, at least one, at ``rate_hz``.

    Raises:
        AudioError: The source is missing, unreadable, empty, cut short, damaged, too long, or not
            audio; the message names it.

    Examples:
        >>> round(load_audio("clip.opus", 16_000).duration_s, 1)
        3.2
    """
    return join_blocks(
        iterate_audio(
            source,
            rate_hz,
            source_rate_hz=source_rate_hz,
            channel=channel,
            track=track,
            raw=raw,
            max_duration_s=max_duration_s,
        ),
        rate_hz,
    )


def iterate_audio(
    source: AudioSource,
    rate_hz: int,
    *,
    source_rate_hz: int | None = None,
    channel: str | int = MIX,
    track: int | None = None,
    raw: RawFormat | None = None,
    max_duration_s: float = MAX_DURATION_S,
) -> Iterator[npt.NDArray[np.float32]]:
    """Decode a recording block by block, in memory that does not grow with its length.

    Args:
        source: As for ``load_audio``, like the other arguments.
        rate_hz: Sampling rate of the result, 1,000 to 384,000 Hz.
        source_rate_hz: Sampling rate of an array in Hz.
        channel: Channel to select.
        track: Audio track to select.
        raw: Format of samples without a header.
        max_duration_s: Maximum duration in seconds; checked before and during decoding.

    Yields:
        Float32 samples of shape ``(samples,)``, at most a few seconds each; joined, they are what
        ``load_audio`` returns.

    Raises:
        AudioError: As in ``load_audio``; damage is reported when it is reached.

    Examples:
        >>> sum(map(len, iterate_audio("clip.opus", 16_000))) == len(
        ...     load_audio("clip.opus", 16_000).samples
        ... )
        True
    """
    check_settings(rate_hz, max_duration_s)
    if channel == EACH:
        raise AudioError(
            "the channel is 'each', expected one of them or 'mix'; use Recognizer.predict_many",
            code="setting.invalid",
        )
    with open_recording(
        source, source_rate_hz, raw=raw, max_duration_s=max_duration_s
    ) as recording:
        (selection,) = select_sound(recording, channel, track)
        yield from recording.iterate(rate_hz, selection.signs, selection.track)


def decode_audio(
    source: str | Path | bytes | BinaryIO, *, max_duration_s: float = MAX_DURATION_S
) -> Waveform:
    """Decode a recording to mono at its own rate, as ``load_audio`` does before it resamples.

    Args:
        source: Path, encoded bytes, or binary file object (read from its current position).
        max_duration_s: Maximum duration in seconds; checked before and during decoding.

    Returns:
        Float32 samples of shape ``(samples,)``, at least one, at the recording's rate.

    Raises:
        AudioError: As in ``load_audio``.

    Examples:
        >>> decode_audio("clip.opus").rate_hz
        16000
    """
    with open_recording(source, max_duration_s=max_duration_s) as recording:
        (selection,) = select_sound(recording, MIX, None)
        rate_hz = next(recording.decode(selection.track)).rate_hz
        return recording.read(rate_hz, selection.signs, selection.track)
