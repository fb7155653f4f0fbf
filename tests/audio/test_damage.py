"""Formats without an index: damage is refused, and what only looks like it is heard to its end."""

import io
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest

from emovox.audio.load import load_audio
from emovox.errors import AudioError

Voice = Callable[[int, float], Any]

# Format, codec, rate, and whether it is written to a pipe.
WALKED = [
    ("webm", "libopus", 48_000, False),
    ("webm", "libopus", 48_000, True),
    ("matroska", "aac", 48_000, True),
    ("matroska", "libmp3lame", 44_100, False),
    ("ac3", "ac3", 48_000, False),
    ("ac3", "ac3", 44_100, False),
    ("ac3", "ac3", 32_000, False),
    ("eac3", "eac3", 48_000, False),
    ("adts", "aac", 16_000, False),
    ("amr", "libopencore_amrnb", 8_000, False),
    ("flv", "libmp3lame", 44_100, False),
    ("flv", "aac", 48_000, True),
    ("flv", "nellymoser", 16_000, False),
    ("mpegts", "aac", 48_000, False),
    ("mpegts", "mp2", 48_000, True),
    ("mpeg", "mp2", 48_000, False),
    ("mpeg", "ac3", 48_000, True),
    ("vob", "ac3", 48_000, False),
    ("voc", "pcm_u8", 16_000, False),
    ("voc", "pcm_s16le", 16_000, True),
    ("tta", "tta", 16_000, False),
]
# FFmpeg's estimates of their lengths are wrong by up to 4%.
ESTIMATED = [
    ("matroska", "libmp3lame", 44_100, True),
    ("matroska", "aac", 8_000, False),
    ("matroska", "ac3", 48_000, True),
    ("nut", "aac", 48_000, False),
    ("nut", "pcm_s16le", 16_000, True),
]


@pytest.mark.parametrize(("kind", "codec", "rate_hz", "piped"), [*WALKED, *ESTIMATED])
def test_whole_recordings_are_heard_to_the_end(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str, rate_hz: int, piped: bool
) -> None:
    for duration_s in (0.3, 3.7):
        sound = voice(rate_hz, duration_s)
        sound[len(sound) // 3 : len(sound) // 2] = 0
        waveform = load_audio(encode(sound, rate_hz, kind, codec, piped=piped), rate_hz)
        # Codecs add a few frames, and VOC rounds the rate.
        assert waveform.duration_s == pytest.approx(duration_s, abs=0.05 + 3_000 / rate_hz)


@pytest.mark.parametrize(("kind", "codec", "rate_hz", "piped"), WALKED)
def test_a_recording_that_is_cut_or_lost_a_part_is_refused(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str, rate_hz: int, piped: bool
) -> None:
    data = encode(voice(rate_hz, 4.0), rate_hz, kind, codec, piped=piped)
    # Beside the multiples of frames and packets, where a cut cannot be seen.
    places = [int(len(data) * share) + 10 for share in (0.2, 0.45, 0.63, 0.8, 0.93)]
    gaps = [(0.3, 0.42), (0.25, 0.45), (0.41, 0.61), (0.35, 0.75), (0.5, 0.6)]
    damaged = [data[:place] for place in places]
    damaged += [data[: int(len(data) * a)] + data[int(len(data) * b) :] for a, b in gaps]
    for content in damaged:
        with pytest.raises(AudioError, match="cut short|damaged") as caught:
            load_audio(content, rate_hz)
        assert caught.value.code in ("audio.truncated", "audio.damaged")


def test_a_cut_nut_file_is_refused(encode: Callable[..., bytes], voice: Voice) -> None:
    data = encode(voice(16_000, 2.0), 16_000, "nut", "pcm_s16le")
    with pytest.raises(AudioError, match="cut short: it does not end with an index"):
        load_audio(data[: len(data) // 2], 16_000)


def drop_packets(
    data: bytes, start_s: float, end_s: float, kind: str, options: dict[str, str] | None = None
) -> bytes:
    """Return a recording without the packets of a span, but with the timestamps of the others."""
    buffer = io.BytesIO()
    with (
        av.open(io.BytesIO(data), "r") as source,
        av.open(buffer, "w", format=kind, options=options or {}) as copy,
    ):
        stream = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            if not start_s <= packet.pts * packet.time_base < end_s:
                packet.stream = stream
                copy.mux(packet)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "codec", "options"),
    [
        ("webm", "libopus", None),
        ("webm", "libopus", {"live": "1"}),
        ("matroska", "aac", None),
        ("mpegts", "mp2", None),
        ("flv", "aac", None),
        ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "200000"}),
    ],
)
def test_a_jump_of_timestamps_is_refused_and_named(
    encode: Callable[..., bytes],
    voice: Voice,
    kind: str,
    codec: str,
    options: dict[str, str] | None,
) -> None:
    data = encode(voice(48_000, 4.0), 48_000, kind, codec)
    whole = drop_packets(data, 9, 9, kind, options)
    assert load_audio(whole, 16_000).duration_s == pytest.approx(4.0, abs=0.06)
    with pytest.raises(AudioError, match=r"no sound from 1\.[45]\d to 2\.[45]\d s"):
        load_audio(drop_packets(data, 1.5, 2.5, kind, options), 16_000)


def test_lost_fragments_of_mp4_are_refused(encode: Callable[..., bytes], voice: Voice) -> None:
    options = {
        "movflags": "frag_keyframe+empty_moov+default_base_moof",
        "frag_duration": "500000",
    }
    data = encode(voice(48_000, 4.0), 48_000, "mp4", "aac", options=options)
    places = [i - 4 for i in range(len(data)) if data.startswith(b"moof", i)]
    with pytest.raises(AudioError, match="no sound from"):
        load_audio(data[: places[2]] + data[places[4] :], 16_000)


@pytest.mark.parametrize("options", [None, {"live": "1"}])
def test_pauses_in_which_opus_sends_nothing_are_silence(
    encode: Callable[..., bytes], voice: Voice, options: dict[str, str] | None
) -> None:
    data = encode(voice(48_000, 4.0), 48_000, "webm", "libopus")
    found = load_audio(drop_packets(data, 1.5, 1.88, "webm", options), 16_000)
    assert found.duration_s == pytest.approx(4.0, abs=0.03)
    assert np.abs(found.samples[16_000 * 155 // 100 : 16_000 * 185 // 100]).max() == 0
    expected = load_audio(data, 16_000)
    np.testing.assert_allclose(found.samples[-16_000:], expected.samples[-16_000:], atol=0.02)


def test_amr_with_pauses_is_heard_to_the_end(voice: Voice) -> None:
    sound = voice(8_000, 4.0)
    sound[8_000:24_000] = 0
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="amr") as opened:
        stream = opened.add_stream(
            "libopencore_amrnb", rate=8_000, layout="mono", options={"dtx": "1"}
        )
        assert isinstance(stream, av.AudioStream)
        for start in range(0, len(sound), 160):
            packed = (sound[start : start + 160] * 32_767).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="mono")
            frame.sample_rate = 8_000
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode(None))
    data = buffer.getvalue()
    assert b"\x7c\x7c\x7c" in data  # frames without data
    found = load_audio(data, 8_000)
    assert found.duration_s == pytest.approx(4.0, abs=0.03)
    assert np.abs(found.samples[-8_000:]).max() == pytest.approx(np.abs(sound).max(), rel=0.3)
    assert np.abs(found.samples[12_000:20_000]).max() < 0.02


@pytest.mark.parametrize(("kind", "codec"), [("adts", "aac"), ("ac3", "ac3"), ("webm", "libopus")])
@pytest.mark.parametrize("after", [bytes(3), bytes(3_000), b"TAG" + bytes(125)])
def test_tags_and_zeros_at_the_end_are_skipped(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str, after: bytes
) -> None:
    data = encode(voice(48_000, 1.0), 48_000, kind, codec)
    expected = load_audio(data, 16_000)
    assert np.array_equal(load_audio(data + after, 16_000).samples, expected.samples)


@pytest.mark.parametrize(("kind", "codec"), [("adts", "aac"), ("ac3", "ac3"), ("webm", "libopus")])
def test_a_hole_of_zeros_is_refused(
    encode: Callable[..., bytes], voice: Voice, kind: str, codec: str
) -> None:
    data = bytearray(encode(voice(48_000, 3.0), 48_000, kind, codec))
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    with pytest.raises(AudioError, match="damaged"):
        load_audio(bytes(data), 16_000)


def test_aac_with_tags_between_its_frames_is_heard_to_the_end(
    encode: Callable[..., bytes], voice: Voice
) -> None:
    data = encode(voice(48_000, 1.0), 48_000, "adts", "aac")
    tag = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)  # begins the parts of an HTTP live stream
    expected = load_audio(data + data, 16_000)
    found = load_audio(tag + data + tag + data, 16_000)
    assert found.duration_s == pytest.approx(expected.duration_s, abs=0.03)
