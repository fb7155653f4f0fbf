"""Any source of sound to one waveform: the only place that decodes or resamples.

    path / bytes / file object -> decoded by content -> mono -> checked -> resampled -> Waveform
    array and its rate                               -> mono -> checked -> resampled -> Waveform

libsndfile decodes what it knows; ``emovox.audio.containers`` does the rest with FFmpeg.
``load_source`` takes any of these.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
from emovox.errors import AudioError

MAX_DURATION_S = 300.0
MAX_PEAK = 10.0
"""20 dB over full scale: above it, floats are integers that nobody scaled."""

_BLOCK_VALUES = 2**24
_FULL_SCALE = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Mono sound: finite float32 samples and their rate; what takes one, takes any rate.

    Attributes:
        samples: Shape ``(samples,)``, float32, contiguous, full scale at -1 and 1. A float source
            or a resampled one may go slightly beyond; nothing is clipped.
        rate_hz: Samples per second.
    """

    samples: npt.NDArray[np.float32]
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


AudioSource = str | Path | bytes | BinaryIO | Waveform | npt.ArrayLike
"""What holds one recording; an array needs its rate beside it."""


def load_source(
    source: AudioSource,
    rate_hz: int | None = None,
    *,
    target_rate_hz: int,
    max_duration_s: float = MAX_DURATION_S,
) -> Waveform:
    """Bring anything that holds one recording to a waveform.

    Args:
        source: Path, encoded bytes, binary file object, waveform, or array of samples.
        rate_hz: Samples per second of an array; other sources say it themselves.
        target_rate_hz: Wanted samples per second.
        max_duration_s: Longest recording taken, in seconds.

    Returns:
        Float32 samples of shape ``(samples,)``, at least one, at ``target_rate_hz``.

    Raises:
        AudioError: The recording cannot be used, an array comes without a rate, or anything else
            comes with one.
        TypeError: It is none of these.

    Examples:
        >>> load_source(np.zeros(48_000), 48_000, target_rate_hz=16_000).duration_s
        1.0
    """
    is_array = hasattr(source, "__array__") or isinstance(source, list | tuple)
    if is_array and rate_hz is None:
        raise AudioError(
            "an array without its rate; expected both, such as predict(samples, rate_hz=48_000); "
            "several recordings go to predict_many",
            code="audio.rate_missing",
            source="<array>",
        )
    if not is_array and rate_hz is not None:
        raise AudioError(
            f"rate_hz is {rate_hz}, but only an array needs it: other sources say their own rate; "
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
    """Decode a recording to mono at the asked rate.

    The format is told by the content, never by the name: WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF
    and AU by libsndfile; M4A, MP4, MOV, 3GP, WebM, Matroska, AVI, FLV, Core Audio, AAC, AC-3, AMR,
    WavPack, TTA and WMA by FFmpeg; of a video, its sound. Channels are averaged. Another rate is
    resampled by soxr at its quality "HQ" (20 bit, linear phase).

    A WAV whose header does not know its length, as pipes write it, is read to its end. One that
    promises more than 50 ms beyond what the file holds is refused as cut short.

    Args:
        source: Path, encoded bytes, or binary file object (read from where it stands to its end).
        rate_hz: Wanted samples per second, 1,000 to 384,000.
        max_duration_s: Longest recording taken, in seconds; checked before and during decoding.

    Returns:
        Float32 samples of shape ``(samples,)``, at least one, at ``rate_hz``.

    Raises:
        AudioError: The source is missing, unreadable, empty, cut short, damaged, too long, or not
            audio; the message names it.

    Examples:
        >>> round(load_audio("clip.opus", 16_000).duration_s, 1)
        2.3
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
    """Make a waveform of samples that are already decoded.

    Args:
        samples: Shape ``(samples,)`` or ``(samples, channels)``. Floats are taken as they are;
            int16, int32 and uint8 (silence at 128) are scaled to [-1, 1].
        rate_hz: Samples per second of ``samples``.
        target_rate_hz: Wanted samples per second.
        max_duration_s: Longest array taken, in seconds.

    Returns:
        Float32 samples of shape ``(samples,)`` at ``target_rate_hz``. A mono float32 array that
        has the wanted rate is not copied.

    Raises:
        AudioError: The array is empty, too long, not finite, far beyond full scale, or of a shape,
            type or rate that cannot be sound.

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
    """Refuse a wanted rate or limit that no recording could meet."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"the wanted rate is {rate_hz} Hz, expected {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} Hz; ask "
            "for another",
            code="setting.invalid",
        )
    if not max_duration_s > 0:
        raise AudioError(
            f"the longest duration is {max_duration_s} s, expected more than 0; set max_duration_s",
            code="setting.invalid",
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the source's name before whatever is wrong with it."""
    try:
        yield
    except AudioError as error:
        error.source = name
        raise


def _decode(file: BinaryIO, max_duration_s: float) -> tuple[npt.NDArray[np.float32], int]:
    """Return mono samples ``(samples,)`` and their rate, by whichever library knows the format."""
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
    """A file as libsndfile's callbacks take it: there a Python error would only be printed."""

    def __init__(self, file: BinaryIO) -> None:
        self.readinto = file.readinto  # type: ignore[attr-defined]
        self.read = file.read
        self.tell = file.tell
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        """Move, or stay where a damaged header points outside the file: libsndfile then sees it."""
        with suppress(OSError, ValueError):
            self._file.seek(offset, whence)


def _decode_with_soundfile(
    file: BinaryIO, head: bytes, max_duration_s: float
) -> tuple[npt.NDArray[np.float32], int] | None:
    """Decode with libsndfile, or return None where it does not know the format or the length."""
    if not head.startswith(SOUNDFILE_MAGICS):
        return None
    try:
        sound = sf.SoundFile(_VirtualFile(file))
    except sf.LibsndfileError:
        return None
    with sound:
        chunk = find_data_chunk(file, head)
        frames, rate_hz = sound.frames, sound.samplerate
        # libsndfile's largest count stands for a FLAC stream of unknown length, which soundfile
        # cannot read; a WAV of unknown length may say 0.
        if frames > 2**62 or (frames == 0 and (chunk is None or chunk.streamed)):
            return None
        check_header(rate_hz, sound.channels)
        promised_s = frames / rate_hz
        check_duration(promised_s, max_duration_s)
        if frames == 0:
            raise AudioError("holds no samples, only a header; record it again", code="audio.empty")
        if chunk is not None and not chunk.streamed:
            # libsndfile quietly counts only what the file holds.
            promised_s *= chunk.declared_bytes / max(chunk.held_bytes, 1)
        if promised_s > frames / rate_hz + TAIL_TOLERANCE_S:
            _refuse_cut(promised_s, frames / rate_hz)
        blocks, held = _read_blocks(sound)
        if held == 0 or held < frames - TAIL_TOLERANCE_S * rate_hz:
            _refuse_cut(promised_s, held / rate_hz)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), rate_hz


def _read_blocks(sound: sf.SoundFile) -> tuple[list[npt.NDArray[np.float32]], int]:
    """Read the rest of the file as mono blocks, so that many channels need little memory."""
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
    """Raise the error for a recording whose end is missing."""
    raise AudioError(
        f"is cut short: the header promises {promised_s:.2f} s, the file holds {held_s:.2f} s; "
        "copy or record it again",
        code="audio.truncated",
    )


def _as_array(samples: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return an array of shape (samples,) or (samples, channels), or say what is wrong with it."""
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
        # What does not fit float32 becomes infinite, which the check of the levels reports.
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
    """Check mono samples ``(samples,)`` once and bring them to the wanted rate."""
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


def resample(
    samples: npt.NDArray[np.float32], found_rate_hz: int, rate_hz: int
) -> npt.NDArray[np.float32]:
    """Bring mono samples to another rate, by soxr at its quality "HQ".

    Args:
        samples: float32 ``(samples,)``.
        found_rate_hz: Their rate.
        rate_hz: The rate wanted.

    Returns:
        float32 ``(samples,)``; the same array where the rates are equal.

    Raises:
        AudioError: Too few samples to give one at the other rate.

    Examples:
        >>> len(resample(np.zeros(480, np.float32), 48_000, 16_000))
        160
    """
    if found_rate_hz == rate_hz:
        return samples
    import soxr  # only where rates differ: it adds to the time of a cold start

    resampled: npt.NDArray[np.float32] = soxr.resample(samples, found_rate_hz, rate_hz, "HQ")
    if len(resampled) == 0:
        raise AudioError(
            f"holds {len(samples)} sample(s) at {found_rate_hz} Hz, too few to resample to "
            f"{rate_hz} Hz; record more",
            code="audio.too_short",
        )
    return resampled
