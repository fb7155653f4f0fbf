"""Decode with FFmpeg: every format that libsndfile does not, and the sound of videos."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from emovox.audio.blocks import Block
from emovox.audio.containers import PROBED_DEMUXERS, name_demuxer, refuse_unknown
from emovox.audio.limits import (
    TAIL_TOLERANCE_S,
    check_duration,
    check_header,
    refuse_cut,
    refuse_pause,
)
from emovox.errors import AudioError

_TOLERANCES_S = {"asf": TAIL_TOLERANCE_S, "flac": TAIL_TOLERANCE_S} | dict.fromkeys(
    ("matroska", "mpegts", "mpeg", "flv", "nut", "fragments"), 0.1
)
"""Longest gap between the timestamps of frames; the clocks of live recorders are less exact."""
_DECODERS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}
"""Decoders to use instead of FFmpeg's own, which lack the silence of phones (DTX)."""
_MAX_DTX_S = 0.42
"""Longest pause in which an Opus encoder sends nothing (DTX): 400 ms, and a frame."""

if TYPE_CHECKING:
    import av
    import av.container


def find_default_tracks(file: BinaryIO, kind: str) -> tuple[bool, ...]:
    """Return for each audio track of a file whether it is marked as the default."""
    with _open(file, kind) as opened:
        import av.stream

        default = av.stream.Disposition.default
        return tuple(bool(stream.disposition & default) for stream in opened.streams.audio)


def decode_with_ffmpeg(
    file: BinaryIO, kind: str, max_duration_s: float, track: int = 1
) -> Iterator[Block]:
    """Decode one audio track of a container with FFmpeg.

    Args:
        file: Seekable binary file, at its start.
        kind: Format, from ``emovox.audio.containers.find_container``.
        max_duration_s: Maximum duration of a recording, in seconds.
        track: Number of the track, from 1.

    Yields:
        The blocks; together at least one sample.

    Raises:
        AudioError: The container is damaged, cut short, too long, or has no audio track.
    """
    with _open(file, kind) as opened:
        yield from _decode_stream(opened, opened.streams.audio[track - 1], max_duration_s)


@contextmanager
def _open(file: BinaryIO, kind: str) -> "Iterator[av.container.InputContainer]":
    """Open a container that has an audio track; report FFmpeg's errors as AudioError."""
    import av  # takes 70 ms and loads FFmpeg, which few files need

    demuxer = name_demuxer(kind)
    file.seek(0)
    options = {"format_whitelist": PROBED_DEMUXERS} if demuxer is None else {}
    if kind == "rf64":  # left to FFmpeg where the size is not known, as written to a pipe
        options = {"ignore_length": "1"}
    try:
        opened = av.open(file, "r", format=demuxer, options=options, metadata_errors="ignore")
    except (av.FFmpegError, ValueError, EOFError) as error:
        if demuxer is None:
            refuse_unknown(file)
        raise _describe(error, demuxer) from error
    demuxer = opened.format.name if demuxer is None else demuxer
    with opened:
        if not opened.streams.audio:
            raise AudioError(
                f"has no audio stream (a {demuxer} container, perhaps cut short), expected "
                "one; export it with sound",
                code="audio.no_stream",
            )
        try:
            yield opened
        except (av.FFmpegError, ValueError, EOFError) as error:
            raise _describe(error, demuxer) from error


def _describe(error: Exception, demuxer: str) -> AudioError:
    """Return the error for a container that FFmpeg cannot decode."""
    reason = getattr(error, "strerror", None) or type(error).__name__
    return AudioError(
        f"is damaged or cut short (a {demuxer} container that FFmpeg cannot decode: {reason}); "
        "copy or export it again",
        code="audio.damaged",
    )


def _decode_stream(
    opened: "av.container.InputContainer", stream: "av.AudioStream", max_duration_s: float
) -> Iterator[Block]:
    """Yield blocks of about a second, checking their end against the header."""
    import av

    promised_end_s = _find_promised_end(opened, stream)
    start_s = float((stream.start_time or 0) * (stream.time_base or 0))
    check_duration(promised_end_s - start_s, max_duration_s)
    context = stream.codec_context
    if context is None:  # despite its type, where FFmpeg has no decoder
        raise AudioError(
            "has a codec that FFmpeg lacks, or is damaged; convert it", code="audio.unknown_format"
        )
    if opened.format.name == "caf":  # codespell:ignore caf
        # FFmpeg would cut the padding off a last packet that its ALAC decoder already shortened.
        context.options = {"flags2": "+skip_manual"}
    if context.name in ("ac3", "eac3"):
        # Otherwise FFmpeg conceals a frame of which a part was lost.
        context.options = {"err_detect": "crccheck+explode"}
    if context.sample_rate and context.layout.nb_channels:
        # A frame of some formats holds a second: too much to decode before the limits are checked.
        check_header(context.sample_rate, context.layout.nb_channels)
    # Packed, because PyAV miscounts the planes beyond eight channels and reads past them.
    to_packed = av.AudioResampler(format="flt")
    # Other formats have no timestamps, or FFmpeg makes them up from the number of samples.
    is_fragmented = "mov" in opened.format.name and stream.frames == 0
    kind = "fragments" if is_fragmented else opened.format.name
    tolerance_s = _TOLERANCES_S.get(kind, math.inf)
    tolerates_dtx = context.name in ("opus", "libopus")
    joined: list[npt.NDArray[np.float32]] = []
    rate_hz, held, waiting, end_s = 0, 0, 0, 0.0
    for frame in _decode_frames(opened, stream):
        if rate_hz and (frame.sample_rate != rate_hz or waiting + frame.samples > rate_hz):
            yield Block(np.concatenate(joined), rate_hz)
            joined, waiting = [], 0
        rate_hz, channels = frame.sample_rate, frame.layout.nb_channels
        check_header(rate_hz, channels)
        start_s = end_s if frame.time is None else frame.time
        gap_s = start_s - end_s if held else 0.0
        if gap_s > tolerance_s:
            if not (tolerates_dtx and gap_s <= _MAX_DTX_S):
                refuse_pause(end_s, start_s)
            n_silent = round(gap_s * rate_hz)
            joined.append(np.zeros((n_silent, channels), np.float32))
            held, waiting = held + n_silent, waiting + n_silent
        held, waiting = held + frame.samples, waiting + frame.samples
        end_s = start_s + frame.samples / rate_hz
        for packed in to_packed.resample(frame):
            samples = np.asarray(packed.to_ndarray(), np.float32)
            joined.append(samples.reshape(-1, packed.layout.nb_channels))  # (samples, channels)
    if joined:
        yield Block(np.concatenate(joined), rate_hz)
    end_s = max(end_s, held / rate_hz if held else 0.0)
    if end_s < promised_end_s - TAIL_TOLERANCE_S:
        refuse_cut(promised_end_s, end_s)


def _decode_frames(
    opened: "av.container.InputContainer", stream: "av.AudioStream"
) -> "Iterator[av.AudioFrame]":
    """Yield the frames of a stream."""
    import av

    name = _DECODERS.get(stream.codec_context.name)
    if name is None:
        yield from opened.decode(stream)
        return
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)  # noqa: S101
    for packet in opened.demux(stream):
        yield from decoder.decode(packet if packet.size else None)


def _find_promised_end(opened: "av.container.InputContainer", stream: "av.AudioStream") -> float:
    """Return the end of the audio according to the header, in seconds; 0 if it is not exact."""
    kind = opened.format.name
    if "mov" in kind or kind in ("wv", "tta"):
        if stream.duration is not None and stream.time_base is not None:
            return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    # Other durations are estimates, if there is none in the header.
    elif kind == "nut" and opened.duration is not None and len(opened.streams) == 1:
        return opened.duration / 1_000_000
    return 0.0
