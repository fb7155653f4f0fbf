"""M4A, MP4 and WebM made here by FFmpeg: values, and what is wrong with the damaged ones."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.audio.chunks import find_data_chunk
from emovox.audio.containers import (
    _MAGICS,
    _SUFFIXES,
    PROBED_DEMUXERS,
    READABLE,
    identify_container,
    name_demuxer,
)
from emovox.audio.load import load_audio
from emovox.errors import AudioError

RATE_HZ = 48_000
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}


def make_tone(duration_s: float = 1.0) -> npt.NDArray[np.float32]:
    """Return a 1 kHz sine at half scale."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return np.asarray(0.5 * np.sin(2 * np.pi * 1_000 * time_s), np.float32)


def encode(
    container: str,
    codec: str,
    channels: list[npt.NDArray[np.float32]],
    options: dict[str, str] | None = None,
) -> bytes:
    buffer = io.BytesIO()
    layout = {1: "mono", 2: "stereo", 8: "7.1"}[len(channels)]
    with av.open(buffer, "w", format=container, options=options or {}) as opened:
        stream = opened.add_stream(codec, rate=RATE_HZ, layout=layout)
        assert isinstance(stream, av.AudioStream)
        if codec == "pcm_f32le":
            packed = np.stack(channels, axis=1).reshape(1, -1)  # (1, samples * channels)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        else:
            frame = av.AudioFrame.from_ndarray(np.stack(channels), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            opened.mux(packet)
    return buffer.getvalue()


def encode_video() -> bytes:
    """Return an MP4 file with a picture and no sound."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as opened:
        stream = opened.add_stream("mpeg4", rate=10, width=32, height=32)
        assert isinstance(stream, av.VideoStream)
        frame = av.VideoFrame(32, 32, "yuv420p")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            opened.mux(packet)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("ipod", "aac"),
        ("mp4", "aac"),
        ("mp4", "alac"),
        ("webm", "libopus"),
        ("adts", "aac"),
        ("mov", "aac"),
        ("3gp", "aac"),
        ("matroska", "aac"),
        ("flv", "aac"),
        ("avi", "pcm_s16le"),
        ("ac3", "ac3"),
        ("eac3", "eac3"),
        ("wv", "wavpack"),
        ("tta", "tta"),
        ("mp2", "mp2"),
    ],
)
def test_container_keeps_duration_frequency_and_level(container: str, codec: str) -> None:
    waveform = load_audio(encode(container, codec, [make_tone()]), RATE_HZ)
    # AAC comes in frames of 1,024 samples, of which ADTS keeps the encoder's first.
    assert waveform.duration_s == pytest.approx(1.0, abs=0.045)
    middle = waveform.samples[RATE_HZ // 4 : RATE_HZ * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle)) / len(middle) * 2
    assert spectrum.argmax() == 500
    assert spectrum.max() == pytest.approx(0.5, rel=0.02)


def test_lossless_container_gives_exact_values() -> None:
    waveform = load_audio(encode("mp4", "alac", [make_tone()]), RATE_HZ)
    np.testing.assert_allclose(waveform.samples, make_tone(), atol=2**-15)


def test_channels_are_averaged_and_resampled() -> None:
    tone = make_tone()
    waveform = load_audio(encode("mp4", "alac", [tone, tone * 0]), 16_000)
    assert len(waveform.samples) == 16_000
    np.testing.assert_allclose(waveform.samples[100:-100], tone[::3][100:-100] / 2, atol=1e-4)


def test_eight_channels_are_averaged() -> None:
    shares = np.arange(8, dtype=np.float32) / 8
    waveform = load_audio(
        encode("matroska", "pcm_f32le", [make_tone() * share for share in shares]), RATE_HZ
    )
    np.testing.assert_allclose(waveform.samples, make_tone() * shares.mean(), atol=1e-6)


def test_m4a_named_wav_is_read(tmp_path: Path) -> None:
    path = tmp_path / "phone.wav"
    path.write_bytes(encode("ipod", "aac", [make_tone()]))
    assert load_audio(path, RATE_HZ).duration_s == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("container", "codec", "options", "found"),
    [
        ("ipod", "aac", None, "damaged or cut short"),
        ("ipod", "aac", FRAGMENTED, "cut short"),
        ("mp4", "alac", FRAGMENTED, "cut short"),
        ("webm", "libopus", None, r"cut short: its \d+ bytes end mid-element"),
        ("wv", "wavpack", None, "cut short"),
        ("tta", "tta", None, "cut short"),
    ],
)
def test_cut_container_is_refused(
    tmp_path: Path, container: str, codec: str, options: dict[str, str] | None, found: str
) -> None:
    data = encode(container, codec, [make_tone()], options)
    path = tmp_path / "cut.m4a"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=rf"cut\.m4a: .*{found}"):
        load_audio(path, RATE_HZ)


def test_length_limit_is_checked_from_the_header() -> None:
    data = encode("ipod", "aac", [make_tone()])
    with pytest.raises(AudioError, match=r"<bytes>: lasts 1\.0\d s, expected at most 0\.5 s"):
        load_audio(data, RATE_HZ, max_duration_s=0.5)


@pytest.mark.parametrize(("container", "codec"), [("adts", "aac"), ("webm", "libopus")])
def test_length_limit_holds_where_the_header_does_not_say(container: str, codec: str) -> None:
    data = encode(container, codec, [make_tone()])
    with pytest.raises(AudioError, match=r"lasts more than 0\.5 s, expected at most 0\.5 s"):
        load_audio(data, RATE_HZ, max_duration_s=0.5)


def test_video_without_sound_is_refused() -> None:
    with pytest.raises(AudioError, match="has no audio stream"):
        load_audio(encode_video(), RATE_HZ)


def test_playlist_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.m4a").write_bytes(encode("ipod", "aac", [make_tone()]))
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.m4a\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioError, match="not audio that can be read"):
        load_audio(playlist, RATE_HZ)


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"RIFF\0\0\0\0WAVE", "wav"),
        (b"RIFF\0\0\0\0AVI ", "avi"),
        (b"RIFF\0\0\0\0WEBP", None),
        (b"\x0b\x77\xaa\xee", "ac3"),
        (b"wvpk", "wv"),
        (b"TTA1", "tta"),
        (b"FLV\x01", "flv"),
        (b"\0\0\0\x20ftypisom", "mov"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\xff\xfb\x90\x00", None),
        (b"\xff", None),
        (b"#EXTM3U", None),
    ],
)
def test_container_is_known_by_its_first_bytes(head: bytes, container: str | None) -> None:
    assert identify_container(head) == container


def test_sample_chunk_is_found_where_it_lies() -> None:
    head = b"RIFF\x28\0\0\0WAVE"
    file = io.BytesIO(head + b"FLLR\x03\0\0\0abc\0" + b"data\x08\0\0\0" + b"1234")
    chunk = find_data_chunk(file)
    assert chunk is not None
    assert (chunk.declared_bytes, chunk.held_bytes, chunk.streamed) == (8, 4, False)
    assert find_data_chunk(io.BytesIO(head)) is None


VALID = [
    encode("ipod", "aac", [make_tone(0.1)]),
    encode("ipod", "aac", [make_tone(0.1)], FRAGMENTED),
    encode("mp4", "alac", [make_tone(0.1)]),
    encode("webm", "libopus", [make_tone(0.1)]),
    encode("adts", "aac", [make_tone(0.1)]),
]


@given(
    valid=st.sampled_from(VALID),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8
    ),
    kept=st.floats(0.1, 1),
)
@settings(max_examples=200, deadline=None)
def test_damaged_containers_give_a_waveform_or_an_audio_error(
    valid: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(valid)
    for place, value in changes:
        data[int(place * len(data))] = value
    try:
        waveform = load_audio(bytes(data[: int(kept * len(data))]), 16_000, max_duration_s=2.0)
    except AudioError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(waveform.samples).all()
        assert 0 < waveform.duration_s <= 2.1


def test_the_named_formats_are_those_that_ffmpeg_has() -> None:
    kinds = {*_MAGICS.values(), *_SUFFIXES.values(), "mov", "aac", "avi", "wav", "mpeg"}
    demuxers = {name_demuxer(kind) for kind in kinds} | set(PROBED_DEMUXERS.split(","))
    available = {name for names in av.formats_available for name in names.split(",")}
    assert demuxers - available == set()
    needed = "ape mpc7 mpc8 tak dca speex gsm g722 ac3 wavpack tta amrnb amrwb wmav2 mp3 vorbis"
    assert set(needed.split()) - av.codecs_available == set()
    docs = Path(__file__).parents[2] / "docs" / "formats.md"
    assert READABLE.replace(" or G.722", " and G.722") in " ".join(docs.read_text().split())
