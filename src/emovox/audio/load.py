"""Convert any audio source to a waveform: the only place that decodes or resamples.

    path / bytes / file object -> decoded by content -> mono -> checked -> resampled -> Waveform
    array and its rate                               -> mono -> checked -> resampled -> Waveform

libsndfile decodes the formats that it supports; ``emovox.audio.containers`` decodes the others with
FFmpeg. ``load_source`` accepts all of these sources.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile as sf

from emovox.audio.containers import (
    MAX_RATE_HZ,
    MIN_RATE_HZ,
    SOUNDFILE_MAGICS,
    TAIL_TOLERANCE_S,
    check_duration,
    check_header,
    check_last_ogg_page,
    decode_container,
    find_data_chunk,
    identify_container,
    mix_to_mono,
)
from emovox.audio.sources import name_source, open_source
from emovox.audio.waveform import Waveform, resample
from emovox.errors import AudioError

MAX_DURATION_S = 300.0
MAX_PEAK = 10.0
"""20 dB above full scale: higher peaks indicate integers that were not scaled to floats."""

_BLOCK_VALUES = 2**24
_FULL_SCALE = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}

AudioSource = str | Path | bytes | BinaryIO | Waveform | npt.ArrayLike
"""Any source of one recording; an array must come with its sampling rate."""


def load_source(
    source: AudioSource,
    rate_hz: int | None = None,
    *,
    target_rate_hz: int,
    max_duration_s: float = MAX_DURATION_S,
) -> Waveform:
    """Convert any source of one recording to a waveform.

    Args:
        source: Path, encoded bytes, binary file object, waveform, or array of samples.
        rate_hz: Sampling rate of an array in Hz; other sources carry their rate.
        target_rate_hz: Sampling rate of the result in Hz.
        max_duration_s: Maximum duration of a recording, in seconds.

    Returns:
        Float32 samples of shape ``(samples,)``, at least one, at ``target_rate_hz``.

    Raises:
        AudioError: The recording cannot be used, or ``rate_hz`` is missing for an array or given
            for another source.
        TypeError: The source has an unsupported type.

    Examples:
        >>> load_source(np.zeros(48_000), 48_000, target_rate_hz=16_000).duration_s
        1.0
    """
    is_array = hasattr(source, "__array__") or isinstance(source, list | tuple)
    if is_array and rate_hz is None:
        raise AudioError(
            "an array without its rate; expected both, such as predict(samples, rate_hz=48_000); "
            "for several recordings, use predict_many",
            code="audio.rate_missing",
            source="<array>",
        )
    if not is_array and rate_hz is not None:
        raise AudioError(
            f"rate_hz is {rate_hz}, but only arrays take it: other sources carry their own rate; "
            "leave it out",
            code="audio.rate_unexpected",
            source=name_source(source),
        )
    samples: Any = source.samples if isinstance(source, Waveform) else source
    found_rate_hz = source.rate_hz if isinstance(source, Waveform) else rate_hz
    if found_rate_hz is None:
        return load_audio(samples, target_rate_hz, max_duration_s=max_duration_s)
    return waveform_from_array(
        samples, found_rate_hz, target_rate_hz=target_rate_hz, max_duration_s=max_duration_s
    )


def load_audio(
    source: str | Path | bytes | BinaryIO, rate_hz: int, *, max_duration_s: float = MAX_DURATION_S
) -> Waveform:
    """Decode a recording to mono at the requested rate.

    The format is determined from the content, never from the name. libsndfile decodes WAV, FLAC,
    Ogg Vorbis, Opus, MP3, AIFF and AU; FFmpeg decodes M4A, MP4, MOV, 3GP, WebM, Matroska, AVI, FLV,
    Core Audio, AAC, AC-3, AMR, WavPack, TTA and WMA, and the audio track of videos. Channels are
    averaged. Other rates are resampled by soxr with quality "HQ" (20 bit, linear phase).

    A WAV file with an unknown length in its header, as written to a pipe, is read to its end. If
    the header declares over 50 ms more than the file contains, it is rejected as cut short.

    Args:
        source: Path, encoded bytes, or binary file object (read from its current position).
        rate_hz: Sampling rate of the result, 1,000 to 384,000 Hz.
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
    _check_settings(rate_hz, max_duration_s)
    with _naming(name_source(source)), open_source(source) as file:
        samples, found_rate_hz = _decode(file, max_duration_s)
        return _make_waveform(samples, found_rate_hz, rate_hz)


def waveform_from_array(
    samples: npt.ArrayLike,
    rate_hz: int,
    *,
    target_rate_hz: int,
    max_duration_s: float = MAX_DURATION_S,
) -> Waveform:
    """Create a waveform from decoded samples.

    Args:
        samples: Shape ``(samples,)`` or ``(samples, channels)``. Floats are used unchanged;
            int16, int32 and uint8 (silence at 128) are scaled to [-1, 1].
        rate_hz: Sampling rate of ``samples`` in Hz.
        target_rate_hz: Sampling rate of the result in Hz.
        max_duration_s: Maximum duration of the array, in seconds.

    Returns:
        Float32 samples of shape ``(samples,)`` at ``target_rate_hz``. A mono float32 array that
        already has this rate is not copied.

    Raises:
        AudioError: The array is empty, too long, not finite, far beyond full scale, or has an
            unsupported shape, type or rate.

    Examples:
        >>> import numpy as np
        >>> waveform_from_array(np.zeros((48_000, 2)), 48_000, target_rate_hz=16_000).samples.shape
        (16000,)
    """
    _check_settings(target_rate_hz, max_duration_s)
    with _naming("<array>"):
        array = _as_array(samples)
        channels = array.shape[1] if array.ndim == 2 else 1
        check_header(rate_hz, channels)
        check_duration(len(array) / rate_hz, max_duration_s)
        mono = mix_to_mono(_scale_to_float(array))
        return _make_waveform(mono, rate_hz, target_rate_hz)


def _check_settings(rate_hz: int, max_duration_s: float) -> None:
    """Raise AudioError if the requested rate or maximum duration is invalid."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"the requested rate is {rate_hz} Hz, expected {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} Hz; "
            "request another",
            code="setting.invalid",
        )
    if not max_duration_s > 0:
        raise AudioError(
            f"max_duration_s is {max_duration_s}, expected more than 0; set a positive duration",
            code="setting.invalid",
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Add the name of the source to any AudioError."""
    try:
        yield
    except AudioError as error:
        error.source = name
        raise


def _decode(file: BinaryIO, max_duration_s: float) -> tuple[npt.NDArray[np.float32], int]:
    """Return mono samples ``(samples,)`` and their rate, decoded by libsndfile or FFmpeg."""
    try:
        head = file.read(64)
        if not head:
            raise AudioError(
                "is empty (0 bytes), expected a recording; copy or record it again",
                code="audio.empty",
            )
        container = identify_container(head)
        check_last_ogg_page(file, head)
        file.seek(0)
        decoded = _decode_with_soundfile(file, head, max_duration_s)
        if decoded is None and container is not None:
            file.seek(0)
            decoded = decode_container(file, container, max_duration_s)
    except OSError as error:
        raise AudioError(
            f"cannot be read ({error}); check the disk or copy it again", code="audio.unreadable"
        ) from error
    if decoded is None:
        raise AudioError(
            f"is damaged, or not audio that can be read (begins with {head[:8]!r}), expected WAV, "
            "FLAC, Ogg, MP3, AIFF, M4A, MP4, WebM or AVI; copy it again or convert it",
            code="audio.unknown_format",
        )
    return decoded


class _VirtualFile:
    """A file for libsndfile's callbacks, in which Python could only print an exception."""

    def __init__(self, file: BinaryIO) -> None:
        self.readinto = file.readinto  # type: ignore[attr-defined]
        self.read = file.read
        self.tell = file.tell
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        """Seek, ignoring positions outside the file: libsndfile then detects the damage."""
        with suppress(OSError, ValueError):
            self._file.seek(offset, whence)


def _decode_with_soundfile(
    file: BinaryIO, head: bytes, max_duration_s: float
) -> tuple[npt.NDArray[np.float32], int] | None:
    """Decode with libsndfile; return None if the format or the length is unknown to it."""
    if not head.startswith(SOUNDFILE_MAGICS):
        return None
    try:
        sound = sf.SoundFile(_VirtualFile(file))
    except sf.LibsndfileError:
        return None
    with sound:
        chunk = find_data_chunk(file, head)
        frames, rate_hz = sound.frames, sound.samplerate
        # libsndfile reports its largest count for a FLAC stream of unknown length, which soundfile
        # cannot read; a WAV file of unknown length may declare 0.
        if frames > 2**62 or (frames == 0 and (chunk is None or chunk.streamed)):
            return None
        check_header(rate_hz, sound.channels)
        promised_s = frames / rate_hz
        check_duration(promised_s, max_duration_s)
        if frames == 0:
            raise AudioError("holds no samples, only a header; record it again", code="audio.empty")
        if chunk is not None and not chunk.streamed:
            # libsndfile silently counts only the frames that the file contains.
            promised_s *= chunk.declared_bytes / max(chunk.held_bytes, 1)
        if promised_s > frames / rate_hz + TAIL_TOLERANCE_S:
            _refuse_cut(promised_s, frames / rate_hz)
        blocks, held = _read_blocks(sound)
        if held == 0 or held < frames - TAIL_TOLERANCE_S * rate_hz:
            _refuse_cut(promised_s, held / rate_hz)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), rate_hz


def _read_blocks(sound: sf.SoundFile) -> tuple[list[npt.NDArray[np.float32]], int]:
    """Read the rest of the file as mono blocks, to limit memory with many channels."""
    blocks: list[npt.NDArray[np.float32]] = []
    held = 0
    block_frames = max(1, _BLOCK_VALUES // sound.channels)
    while held < sound.frames:
        try:
            block = sound.read(block_frames, dtype="float32")
        except (sf.SoundFileError, OSError) as error:
            raise AudioError(
                f"is damaged or cut short (the header promises {sound.frames} samples, decoding "
                "fails before); copy or record it again",
                code="audio.damaged",
            ) from error
        if len(block) == 0:
            break
        held += len(block)
        blocks.append(mix_to_mono(block))
    return blocks, held


def _refuse_cut(promised_s: float, held_s: float) -> None:
    """Raise the error for a truncated recording."""
    raise AudioError(
        f"is cut short: the header promises {promised_s:.2f} s, the file holds {held_s:.2f} s; "
        "copy or record it again",
        code="audio.truncated",
    )


def _as_array(samples: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return an array of shape (samples,) or (samples, channels), or raise AudioError."""
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
    if array.size == 0:
        raise AudioError(
            f"holds no samples (shape {array.shape}), expected at least one", code="audio.empty"
        )
    if array.ndim == 2 and array.shape[0] < array.shape[1]:
        raise AudioError(
            f"has shape {array.shape}: fewer samples than channels, expected (samples, channels); "
            "transpose it",
            code="audio.bad_array",
        )
    return array


def _scale_to_float(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return float32 with full scale at 1."""
    if array.dtype.kind == "f":
        # Values beyond float32 become infinite, and are reported by the level check.
        with np.errstate(over="ignore"):
            return array.astype(np.float32, copy=False)
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / np.float32(128)
    full_scale = _FULL_SCALE.get(array.dtype.newbyteorder("="))
    if full_scale is None:
        raise AudioError(
            f"has type {array.dtype}, expected float, int16, int32 or uint8; cast it, with full "
            "scale at 1 for floats",
            code="audio.bad_array",
        )
    return array.astype(np.float32) / np.float32(full_scale)


def _make_waveform(samples: npt.NDArray[np.float32], found_rate_hz: int, rate_hz: int) -> Waveform:
    """Validate mono samples ``(samples,)`` and resample them to the requested rate."""
    lowest, highest = float(samples.min()), float(samples.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        bad = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise AudioError(
            f"holds NaN or infinite samples (first at {bad / found_rate_hz:.3f} s), expected "
            "finite numbers; repair the recording",
            code="audio.not_finite",
        )
    if max(-lowest, highest) > MAX_PEAK:
        raise AudioError(
            f"peaks at {max(-lowest, highest):.6g}, expected full scale at 1 (at most {MAX_PEAK:g})"
            "; divide by the full scale, e.g. 32768 for 16-bit integers",
            code="audio.bad_scale",
        )
    return Waveform(np.ascontiguousarray(resample(samples, found_rate_hz, rate_hz)), rate_hz)
