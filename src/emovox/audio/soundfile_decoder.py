"""Decode with libsndfile: WAV, RF64, W64, AIFF, AU, FLAC, Ogg Vorbis and Opus, MP3, NIST SPHERE."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile as sf

from emovox.audio.blocks import BLOCK_VALUES, Block
from emovox.audio.chunks import DataChunk, find_data_chunk
from emovox.audio.limits import (
    TAIL_TOLERANCE_S,
    check_duration,
    check_header,
    refuse_cut,
    refuse_empty,
)
from emovox.errors import AudioError

_MPEG_TAGS = (0x50, 0x55)
"""WAVE format tags of MPEG audio, whose length libsndfile guesses from the first frame."""


def decode_with_soundfile(file: BinaryIO, max_duration_s: float) -> Iterator[Block] | None:
    """Decode with libsndfile.

    Args:
        file: Seekable binary file of one recording.
        max_duration_s: Maximum duration of a recording, in seconds.

    Returns:
        The blocks, or None if libsndfile does not support the format or cannot tell the length.

    Raises:
        AudioError: The recording is damaged, cut short, empty or too long.
    """
    chunk = find_data_chunk(file)
    if chunk is not None and chunk.format_tag in _MPEG_TAGS:
        return None
    try:
        sound = sf.SoundFile(file)
    except sf.LibsndfileError:
        return None
    frames = sound.frames
    # libsndfile reports its largest count for a FLAC stream of unknown length, which soundfile
    # cannot read; a WAV file of unknown length may declare 0.
    if frames > 2**62 or (frames == 0 and (chunk is None or chunk.streamed)):
        sound.close()
        return None
    return read_blocks(sound, chunk, max_duration_s)


def read_blocks(
    sound: sf.SoundFile, chunk: DataChunk | None, max_duration_s: float
) -> Iterator[Block]:
    """Check the header, then yield blocks to the end, and check that it is the promised one."""
    with sound:
        frames, rate_hz = sound.frames, sound.samplerate
        check_header(rate_hz, sound.channels)
        promised_s = frames / rate_hz
        check_duration(promised_s, max_duration_s)
        if frames == 0:
            refuse_empty()
        if chunk is not None and not chunk.streamed:
            # libsndfile silently counts only the frames that the file contains.
            promised_s *= chunk.declared_bytes / max(chunk.held_bytes, 1)
        if promised_s > frames / rate_hz + TAIL_TOLERANCE_S:
            refuse_cut(promised_s, frames / rate_hz)
        held = 0
        for samples in _read_samples(sound):
            held += len(samples)
            yield Block(samples, rate_hz)
        if held == 0 or held < frames - TAIL_TOLERANCE_S * rate_hz:
            refuse_cut(promised_s, held / rate_hz)


def _read_samples(sound: sf.SoundFile) -> Iterator[npt.NDArray[np.float32]]:
    """Yield float32 ``(samples, channels)``, as many at once as a block may have."""
    left = sound.frames
    while left > 0:
        try:
            samples = sound.read(
                max(1, BLOCK_VALUES // sound.channels), dtype="float32", always_2d=True
            )
        except (sf.SoundFileError, OSError) as error:
            raise AudioError(
                f"is damaged or cut short (the header promises {sound.frames} samples, decoding "
                "fails before); copy or record it again",
                code="audio.damaged",
            ) from error
        if len(samples) == 0:
            return
        left -= len(samples)
        yield samples
