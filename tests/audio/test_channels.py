"""Channels and tracks: what is measured, selected, mixed and noted."""

import io
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from emovox.audio.blocks import Block
from emovox.audio.channels import mix_channels, parse_channel, survey_channels
from emovox.audio.load import iterate_audio, load_audio
from emovox.audio.raw import ENCODINGS, RawFormat
from emovox.audio.recording import open_recording
from emovox.audio.selection import Selection, select_sound
from emovox.errors import AudioError

RATE_HZ = 16_000
RNG = np.random.default_rng(0)
TONE = (0.5 * np.sin(np.arange(RATE_HZ) / 9)).astype(np.float32)
OTHER = (0.5 * np.sin(np.arange(RATE_HZ) / 7)).astype(np.float32)


def encode(*channels: npt.NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, np.stack(channels, axis=1), RATE_HZ, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def encode_tracks(*tracks: npt.NDArray[np.float32], default: int | None = None) -> bytes:
    """Return a Matroska file with a track for each sound."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as opened:
        streams = [opened.add_stream("pcm_f32le", rate=RATE_HZ, layout="mono") for _ in tracks]
        if default is not None:
            streams[default - 1].disposition = av.stream.Disposition.default
        for stream, samples in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
            opened.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


def select(data: bytes, channel: str | int = "mix", track: int | None = None) -> Selection:
    with open_recording(data) as recording:
        (selection,) = select_sound(recording, channel, track)
    return selection


def test_channels_of_opposite_phase_are_heard() -> None:
    data = encode(TONE, -TONE)
    assert np.array_equal(load_audio(data, RATE_HZ).samples, TONE)
    assert select(data).notes == (
        "channel 2 was of opposite phase to the loudest and inverted before mixing",
    )


def test_an_offset_is_no_phase() -> None:
    survey = survey_channels([Block(np.stack([TONE + 0.3, TONE - 0.3], axis=1), RATE_HZ)])
    assert survey.correlations.tolist() == pytest.approx([1, 1])
    constant = survey_channels([Block(np.stack([TONE, TONE * 0 - 0.3], axis=1), RATE_HZ)])
    assert constant.correlations.tolist() == pytest.approx([1, 0])


@pytest.mark.parametrize("second", [TONE, TONE * 0, OTHER, 0.1 * TONE])
def test_other_channels_are_averaged(second: npt.NDArray[np.float32]) -> None:
    data = encode(TONE, second)
    expected = np.stack([TONE, second], axis=1).mean(axis=1, dtype=np.float32)
    assert np.array_equal(load_audio(data, RATE_HZ).samples, expected)
    assert select(data).notes == ()


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("left", TONE), ("right", OTHER), (1, TONE), ("2", OTHER), (2, OTHER)],
)
def test_one_channel_is_selected(channel: str | int, expected: npt.NDArray[np.float32]) -> None:
    samples = load_audio(encode(TONE, OTHER), RATE_HZ, channel=channel).samples
    assert np.array_equal(samples, expected)
    stacked = np.stack([TONE, OTHER], axis=1)
    found = load_audio(stacked, RATE_HZ, source_rate_hz=RATE_HZ, channel=channel)
    assert np.array_equal(found.samples, expected)


def test_each_channel_is_a_selection() -> None:
    with open_recording(encode(TONE, OTHER, TONE)) as recording:
        selections = select_sound(recording, "each")
    assert [selection.channel for selection in selections] == [1, 2, 3]
    assert [selection.signs for selection in selections] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    with pytest.raises(AudioError, match="the channel is .each., .*predict_many"):
        load_audio(encode(TONE, OTHER), RATE_HZ, channel="each")


@pytest.mark.parametrize("channel", ["middle", "0", 0, -1, "", "-1", "²"])
def test_what_is_no_channel_is_refused(channel: str | int) -> None:
    with pytest.raises(AudioError, match="expected mix, left, right, each, or a number from 1"):
        parse_channel(channel)


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(AudioError, match=r"<bytes>: has 1 channel, expected at least 2") as found:
        load_audio(encode(TONE), RATE_HZ, channel="right")
    assert found.value.code == "audio.no_channel"


def test_a_bad_channel_that_is_not_selected_does_not_matter() -> None:
    data = encode(TONE, TONE * np.nan)
    assert np.array_equal(load_audio(data, RATE_HZ, channel="left").samples, TONE)
    with pytest.raises(AudioError, match="holds NaN"):
        load_audio(data, RATE_HZ)


def test_mix_leaves_out_and_inverts() -> None:
    samples = np.array([[0.5, -0.25, 0.75]], np.float32)
    assert mix_channels(samples, (1, -1, 0)).tolist() == [0.375]
    assert mix_channels(samples, (0, -1, 0)).tolist() == [0.25]


def test_a_silent_first_track_is_passed_over() -> None:
    data = encode_tracks(TONE * 0, TONE, OTHER)
    assert np.array_equal(load_audio(data, RATE_HZ).samples, TONE)
    (note,) = select(data).notes
    assert note.startswith("track 2 of 3 was used (the first with sound; track 1 has none)")


def test_the_default_track_goes_first() -> None:
    data = encode_tracks(TONE, OTHER, default=2)
    assert np.array_equal(load_audio(data, RATE_HZ).samples, OTHER)
    assert "track 2 of 2 was used (marked as the default)" in select(data).notes[0]
    assert np.array_equal(load_audio(data, RATE_HZ, track=1).samples, TONE)
    assert select(data, track=1).notes == ()
    silent = encode_tracks(TONE * 0, TONE * 0)
    assert not load_audio(silent, RATE_HZ).samples.any()


@pytest.mark.parametrize(("track", "count"), [(2, "1 track"), (0, "1 track"), (-1, "1 track")])
def test_a_track_that_is_not_there_is_refused(track: int, count: str) -> None:
    for data in (encode(TONE), encode_tracks(TONE)):
        with pytest.raises(AudioError, match=f"has {count} of sound, expected track") as found:
            load_audio(data, RATE_HZ, track=track)
        assert found.value.code == "audio.no_track"


def test_blocks_are_the_whole_recording() -> None:
    noise = RNG.uniform(-0.5, 0.5, 3_000_000).astype(np.float32)
    blocks = list(iterate_audio(noise, RATE_HZ, source_rate_hz=48_000))
    assert len(blocks) > 2
    whole = load_audio(noise, RATE_HZ, source_rate_hz=48_000)
    assert np.array_equal(np.concatenate(blocks), whole.samples)
    assert len(whole.samples) == 1_000_000


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_samples_without_a_header_are_read(encoding: str) -> None:
    subtype, endian = ENCODINGS[encoding]
    buffer = io.BytesIO()
    sf.write(buffer, TONE, 8_000, format="RAW", subtype=subtype, endian=endian)
    found = load_audio(buffer.getvalue(), 8_000, raw=RawFormat(8_000, encoding))
    tolerance = {"vox": 0.1, "mulaw": 0.02, "alaw": 0.02, "s8": 0.01, "u8": 0.01}
    assert len(found.samples) == len(TONE)
    np.testing.assert_allclose(found.samples, TONE, atol=tolerance.get(encoding, 2e-4))


def test_raw_channels_are_interleaved() -> None:
    data = (np.stack([TONE, OTHER], axis=1) * 32_767).astype("<i2").tobytes()
    found = load_audio(data, RATE_HZ, channel=2, raw=RawFormat(RATE_HZ, channels=2))
    np.testing.assert_allclose(found.samples, OTHER, atol=1e-4)


def test_raw_formats_that_cannot_be_are_refused() -> None:
    with pytest.raises(AudioError, match="the sample format is 's16'; expected one of s16le"):
        RawFormat(8_000, "s16")
    with pytest.raises(AudioError, match="has a rate of 80 Hz"):
        RawFormat(80)
    with pytest.raises(AudioError, match="begins with the header b'RIFF'") as found:
        load_audio(encode(TONE), RATE_HZ, raw=RawFormat(RATE_HZ))
    assert found.value.code == "audio.raw_header"
    with pytest.raises(AudioError, match="lasts 16.00 s, expected at most 2 s"):
        load_audio(bytes(32_000 * 8), RATE_HZ, raw=RawFormat(8_000), max_duration_s=2)


def test_a_file_without_a_header_says_how_to_read_it() -> None:
    data = (TONE * 32_767).astype("<i2").tobytes()
    with pytest.raises(AudioError, match=r"--raw-rate and --raw-format, in Python raw=RawFormat"):
        load_audio(data, RATE_HZ)


@pytest.mark.parametrize("scale", [32_767, 2_000, 2**17])
def test_small_values_in_wide_integers_are_refused(scale: int) -> None:
    array = (TONE * scale).astype(np.int32)
    with pytest.raises(AudioError, match=r"peaks at \d+ of 2147483647.* cast the array to int16"):
        load_audio(array, RATE_HZ, source_rate_hz=RATE_HZ)


def test_full_and_silent_wide_integers_are_sound() -> None:
    for array in ((TONE * (2**31 - 1)).astype(np.int32), np.zeros(800, np.int32)):
        expected = array.astype(np.float32) / 2**31
        found = load_audio(array, RATE_HZ, source_rate_hz=RATE_HZ)
        np.testing.assert_allclose(found.samples, expected, atol=1e-7)
    faint = np.array([1, -2, 3] * 99, np.int32)
    assert load_audio(faint, RATE_HZ, source_rate_hz=RATE_HZ).duration_s > 0
