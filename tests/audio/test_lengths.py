"""Lengths that headers promise: whole recordings are heard to the end, and others refused."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emovox.audio.load import load_audio
from emovox.errors import AudioError

Voice = Callable[[int, float], Any]

# Format, codec, and whether it is written to a pipe.
CUT_IS_KNOWN = [
    ("WAV", "PCM_16", False),
    ("RF64", "PCM_16", False),
    ("wav", "libmp3lame", False),
    ("w64", "pcm_s16le", False),
    ("W64", "FLOAT", False),
    ("AU", "ULAW", False),
    ("au", "pcm_s16be", False),
    ("CAF", "PCM_16", False),
    ("CAF", "ALAC_16", False),
    ("caf", "alac", False),
    ("caf", "pcm_s16be", False),
    ("AIFF", "PCM_16", False),
    ("NIST", "PCM_16", False),
    ("avi", "pcm_s16le", False),
    ("MP3", "MPEG_LAYER_III", False),
    ("asf", "wmav2", False),
    ("flac", "flac", False),
    ("ogg", "libopus", False),
    ("ogg", "libopus", True),
    ("OGG", "VORBIS", False),
]
GAP_IS_KNOWN = [
    *CUT_IS_KNOWN,
    ("flac", "flac", True),
]
STREAMED = [
    ("wav", "pcm_s16le", True),
    ("w64", "pcm_s16le", True),
    ("au", "pcm_s16be", True),
    ("caf", "pcm_s16be", True),
    ("aiff", "pcm_s16be", True),
    ("mp3", "libmp3lame", True),
    ("webm", "libopus", True),
]
WHOLE = [*GAP_IS_KNOWN, *STREAMED]


@pytest.mark.parametrize(("kind", "codec", "piped"), WHOLE)
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_whole_recordings_are_heard_to_the_end(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str, piped: bool, rate_hz: int
) -> None:
    for duration_s, channels in ((0.3, 1), (1.0, 2), (3.7, 1), (3.7, 2)):
        sound = voice(rate_hz, duration_s)
        if channels == 2:
            sound = np.stack([sound, sound], axis=1)
        waveform = load_audio(encode(sound, rate_hz, kind, codec, piped=piped), rate_hz)
        # Codecs add what they need to start and to fill their last frame.
        padding_s = 0 if codec.lower().startswith(("pcm", "alac", "float", "flac")) else 0.06
        padding_s += 2_400 / rate_hz if codec in ("libmp3lame", "MPEG_LAYER_III") else 0
        assert duration_s - padding_s <= waveform.duration_s <= duration_s + padding_s


@pytest.mark.parametrize(("kind", "codec", "piped"), CUT_IS_KNOWN)
def test_a_cut_recording_is_refused(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str, piped: bool
) -> None:
    data = encode(voice(16_000, 4.0), 16_000, kind, codec, piped=piped)
    for share in (0.2, 0.45, 0.63, 0.8, 0.93):
        with pytest.raises(AudioError, match="cut short|damaged") as caught:
            load_audio(data[: int(len(data) * share)], 16_000)
        assert caught.value.code in ("audio.truncated", "audio.damaged")


@pytest.mark.parametrize(("kind", "codec", "piped"), GAP_IS_KNOWN)
def test_a_recording_that_lost_a_part_is_refused(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str, piped: bool
) -> None:
    data = encode(voice(16_000, 6.0), 16_000, kind, codec, piped=piped)
    for start, end in ((0.3, 0.42), (0.25, 0.45), (0.41, 0.61), (0.35, 0.75)):
        with pytest.raises(AudioError, match="cut short|damaged"):
            load_audio(data[: int(len(data) * start)] + data[int(len(data) * end) :], 16_000)


@pytest.mark.parametrize("quality", [2, 5])
def test_an_mp3_of_variable_rate_from_a_pipe_is_heard_to_the_end(
    encode: Callable[..., bytes], voice: Voice, quality: int
) -> None:
    sound = voice(48_000, 3.6)
    sound[: 48_000 * 2] *= 1e-3  # its first frames are small
    file = encode(sound, 48_000, "mp3", "libmp3lame", quality=quality)
    piped = encode(sound, 48_000, "mp3", "libmp3lame", quality=quality, piped=True)
    assert b"Xing" in file
    assert b"Xing" not in piped
    expected, found = load_audio(file, 16_000), load_audio(piped, 16_000)
    assert expected.duration_s == pytest.approx(3.6, abs=0.001)
    assert found.duration_s == pytest.approx(3.65, abs=0.03)
    assert np.abs(found.samples[-16_000:]).max() == pytest.approx(
        np.abs(expected.samples[-16_000:]).max(), rel=0.1
    )


def test_an_mp3_in_wav_of_variable_rate_is_heard_to_the_end(
    encode: Callable[..., bytes], voice: Voice
) -> None:
    sound = voice(16_000, 3.6)
    sound[:32_000] *= 1e-3
    data = encode(sound, 16_000, "wav", "libmp3lame", quality=6)
    assert load_audio(data, 16_000).duration_s == pytest.approx(3.7, abs=0.1)


def test_alac_in_caf_is_heard_to_the_end_at_every_length(
    encode: Callable[..., bytes], voice: Voice
) -> None:
    for n_samples in (4_096, 4_097, 8_191, 9_000, 12_287, 20_000):
        for rate_hz in (16_000, 44_100, 48_000):
            sound = voice(rate_hz, n_samples / rate_hz)
            for kind, codec in (("caf", "alac"), ("CAF", "ALAC_16")):
                assert len(load_audio(encode(sound, rate_hz, kind, codec), rate_hz).samples) == len(
                    sound
                )


def set_sizes(data: bytes, riff_bytes: int, data_bytes: int) -> bytes:
    """Return a WAV file whose header gives other sizes."""
    place = data.index(b"data") + 4
    sized = data[:4] + struct.pack("<I", riff_bytes) + data[8:place]
    return sized + struct.pack("<I", data_bytes) + data[place + 4 :]


@pytest.mark.parametrize(
    ("riff_bytes", "data_bytes"),
    [
        (0x80000024, 0x80000000),  # arecord
        (2**31 + 36, 2**31 - 1),
        (2**31 - 4060, 2**31 - 4096),  # SoX
        (2**32 - 1, 2**32 - 1),  # FFmpeg
        (2**32 - 1, 2**32 - 37),
        (0, 0),
    ],
)
def test_placeholders_of_pipes_are_no_promise(
    encode: Callable[..., bytes], voice: Voice, riff_bytes: int, data_bytes: int
) -> None:
    data = encode(voice(16_000, 1.0), 16_000, "WAV", "PCM_16")
    found = load_audio(set_sizes(data, riff_bytes, data_bytes), 16_000)
    assert np.array_equal(found.samples, load_audio(data, 16_000).samples)


def test_rf64_from_a_pipe_is_heard_to_the_end(encode: Callable[..., bytes], voice: Voice) -> None:
    sound = voice(16_000, 1.0)
    data = encode(sound, 16_000, "wav", "pcm_s16le", piped=True, options={"rf64": "always"})
    assert data.startswith(b"RF64")
    assert len(load_audio(data, 16_000).samples) == 16_000


@pytest.mark.parametrize(
    ("kind", "codec", "options"),
    [
        ("MP3", "MPEG_LAYER_III", None),
        ("mp3", "libmp3lame", None),
        ("mp3", "libmp3lame", {"write_xing": "0"}),
        ("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}),
        ("mp2", "mp2", None),
        ("FLAC", "PCM_16", None),
        ("flac", "flac", None),
        ("OGG", "VORBIS", None),
        ("OGG", "OPUS", None),
        ("ogg", "libopus", None),
        ("WAV", "PCM_16", None),
        ("RF64", "PCM_16", None),
        ("W64", "PCM_16", None),
        ("AIFF", "PCM_16", None),
        ("AU", "PCM_16", None),
        ("CAF", "PCM_16", None),
        ("adts", "aac", None),
        ("ac3", "ac3", None),
        ("tta", "tta", None),
        ("voc", "pcm_s16le", None),
        ("asf", "wmav2", None),
        ("flv", "aac", None),
        ("mpegts", "aac", None),
        ("webm", "libopus", None),
        ("mp4", "aac", None),
        ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
        ("mov", "pcm_s16le", None),
    ],
)
def test_joined_recordings_are_heard_to_the_end(
    encode: Callable[..., bytes],
    voice: Voice,
    kind: str,
    codec: str,
    options: dict[str, str] | None,
) -> None:
    first = encode(voice(48_000, 1.0), 48_000, kind, codec, options=options)
    second = encode(0.5 * voice(48_000, 2.0), 48_000, kind, codec, options=options)
    length_s = sum(load_audio(data, 16_000).duration_s for data in (first, second))
    joined = load_audio(first + second, 16_000)
    assert joined.duration_s == pytest.approx(length_s, abs=0.03)
    assert np.abs(joined.samples[-16_000:]).max() > 0.05


def test_joined_recordings_of_other_rates_are_refused(
    encode: Callable[..., bytes], voice: Voice
) -> None:
    data = b"".join(encode(voice(rate, 1.0), rate, "FLAC", "PCM_16") for rate in (48_000, 16_000))
    with pytest.raises(AudioError, match="changes its rate from 48000 to 16000 Hz midway"):
        load_audio(data, 16_000)


def make_id3(size: int) -> bytes:
    """Return an ID3v2 tag with padding."""
    return b"ID3\x04\0\0" + bytes([0, 0, size >> 7, size & 127]) + bytes(size)


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("MP3", "MPEG_LAYER_III"),
        ("FLAC", "PCM_16"),
        ("WAV", "PCM_16"),
        ("adts", "aac"),
        ("OGG", "OPUS"),
        ("tta", "tta"),
        ("ac3", "ac3"),
    ],
)
@pytest.mark.parametrize("before", [make_id3(700), bytes(1_000), make_id3(9) + bytes(64)])
def test_tags_and_padding_before_the_sound_are_skipped(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str, before: bytes
) -> None:
    data = encode(voice(48_000, 1.0), 48_000, kind, codec)
    expected = load_audio(data, 16_000)
    assert np.array_equal(load_audio(before + data, 16_000).samples, expected.samples)


@pytest.mark.parametrize("after", [b"TAG" + bytes(125), bytes(3_000), b"<html>" * 100])
def test_what_follows_an_mp3_is_skipped(
    encode: Callable[..., bytes], voice: Voice, after: bytes
) -> None:
    data = encode(voice(48_000, 1.0), 48_000, "mp3", "libmp3lame")
    expected = load_audio(data, 16_000)
    assert np.array_equal(load_audio(data + after, 16_000).samples, expected.samples)


def test_junk_before_an_mp3_is_skipped(encode: Callable[..., bytes], voice: Voice) -> None:
    data = encode(voice(48_000, 1.0), 48_000, "mp3", "libmp3lame", options={"write_xing": "0"})
    start = data.index(b"\xff\xfb")
    stream = data[start + 100 :]  # a recorded stream begins inside a frame
    found = load_audio(stream, 16_000)
    assert found.duration_s == pytest.approx(load_audio(data, 16_000).duration_s, abs=0.03)


@pytest.mark.parametrize(
    ("kind", "codec", "rate_hz"),
    [
        ("mpegts", "aac", 48_000),
        ("mpeg", "mp2", 48_000),
        ("voc", "pcm_u8", 16_000),
        ("nut", "pcm_s16le", 16_000),
        ("rm", "real_144", 8_000),
        ("asf", "wmav1", 16_000),
        ("wav", "g722", 16_000),
        ("WAV", "GSM610", 8_000),
    ],
)
def test_rarer_formats_are_read(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str, rate_hz: int
) -> None:
    sound = voice(rate_hz, 2.0)
    waveform = load_audio(encode(sound, rate_hz, kind, codec), rate_hz)
    assert waveform.duration_s == pytest.approx(2.0, abs=0.1)
    assert np.abs(waveform.samples).max() == pytest.approx(np.abs(sound).max(), rel=0.3)


def test_gsm_is_known_by_content_and_g722_by_its_ending(
    encode: Callable[..., bytes], voice: Voice, tmp_path: Path
) -> None:
    import soundfile as sf

    sf.write(tmp_path / "a.raw", voice(8_000, 2.0), 8_000, format="RAW", subtype="GSM610")
    assert load_audio(tmp_path / "a.raw", 8_000).duration_s == pytest.approx(2.0, abs=0.05)
    (tmp_path / "a.G722").write_bytes(encode(voice(16_000, 2.0), 16_000, "g722", "g722"))
    assert load_audio(tmp_path / "a.G722", 8_000).duration_s == pytest.approx(2.0, abs=0.05)
    data = io.BytesIO((tmp_path / "a.G722").read_bytes())
    with pytest.raises(AudioError, match="not audio that can be read"):
        load_audio(data, 8_000)
