"""Exact values from every kind of sample, resampling, arrays, and whatever is not a recording."""

import hashlib
import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.audio.load import load_audio
from emovox.audio.waveform import Waveform
from emovox.errors import AudioError

RATE_HZ = 48_000


def make_tone(
    duration_s: float = 0.5, frequency_hz: float = 1_000, rate_hz: int = RATE_HZ
) -> npt.NDArray[np.float64]:
    """Return a sine at half scale."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return np.asarray(0.5 * np.sin(2 * np.pi * frequency_hz * time_s))


def encode(
    samples: npt.NDArray[Any], kind: str, subtype: str | None = None, rate_hz: int = RATE_HZ
) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, samples, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def find_peak(samples: npt.NDArray[np.float32], rate_hz: int) -> tuple[float, float]:
    """Return frequency in Hz and amplitude of the strongest partial, edges left out."""
    middle = samples[len(samples) // 10 : -len(samples) // 10].astype(np.float64)
    window = np.hanning(len(middle))
    spectrum = np.abs(np.fft.rfft(middle * window, 1 << 20))
    peak = int(spectrum.argmax())
    return peak * rate_hz / (1 << 20), float(spectrum[peak] / window.sum() * 2)


@pytest.mark.parametrize(
    ("kind", "subtype", "step"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-24),
        ("WAV", "FLOAT", 2**-24),
        ("WAV", "DOUBLE", 2**-24),
        ("WAVEX", "PCM_16", 2**-15),
        ("WAVEX", "PCM_24", 2**-23),
        ("RF64", "PCM_16", 2**-15),
        ("W64", "PCM_16", 2**-15),
        ("AIFF", "PCM_16", 2**-15),
        ("AIFF", "PCM_24", 2**-23),
        ("AU", "PCM_16", 2**-15),
        ("CAF", "PCM_16", 2**-15),  # codespell:ignore caf
        ("FLAC", "PCM_S8", 2**-7),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
    ],
)
def test_lossless_formats_differ_by_one_quantisation_step_at_most(
    kind: str, subtype: str, step: float
) -> None:
    tone = make_tone()
    waveform = load_audio(encode(tone, kind, subtype), RATE_HZ)
    assert waveform.samples.dtype == np.float32
    assert waveform.samples.flags.c_contiguous
    assert waveform.rate_hz == RATE_HZ
    assert waveform.duration_s == 0.5
    np.testing.assert_allclose(waveform.samples, tone, rtol=0, atol=step)


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)])
def test_lossy_formats_keep_length_frequency_and_level(kind: str, subtype: str | None) -> None:
    waveform = load_audio(encode(make_tone(), kind, subtype), RATE_HZ)
    frequency_hz, level = find_peak(waveform.samples, RATE_HZ)
    assert len(waveform.samples) == RATE_HZ // 2
    assert frequency_hz == pytest.approx(1_000, abs=1)
    assert level == pytest.approx(0.5, rel=0.02)


def test_channels_are_averaged() -> None:
    left, right = np.full(480, 0.5), np.full(480, -0.25)
    stereo = encode(np.stack([left, right], axis=1), "WAV", "PCM_16")
    assert np.array_equal(load_audio(stereo, RATE_HZ).samples, np.full(480, 0.125, np.float32))


def test_long_many_channel_file_is_the_same_in_several_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (10_000, 6))
    data = encode(noise, "FLAC", "PCM_16")
    whole = load_audio(data, RATE_HZ).samples
    monkeypatch.setattr("emovox.audio.soundfile_decoder.BLOCK_VALUES", 6 * 999)
    assert np.array_equal(load_audio(data, RATE_HZ).samples, whole)
    np.testing.assert_allclose(whole, noise.mean(axis=1), atol=2**-15)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"),
    [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (22_050, 48_000), (96_000, 16_000)],
)
def test_resampling_keeps_frequency_level_and_duration(from_hz: int, to_hz: int) -> None:
    data = encode(make_tone(1.0, rate_hz=from_hz), "WAV", "PCM_24", from_hz)
    waveform = load_audio(data, to_hz)
    frequency_hz, level = find_peak(waveform.samples, to_hz)
    assert abs(len(waveform.samples) - to_hz) <= 1
    assert frequency_hz == pytest.approx(1_000, abs=0.1)
    assert level == pytest.approx(0.5, rel=1e-3)


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    above = encode(make_tone(1.0, frequency_hz=9_500), "WAV", "PCM_24")
    assert np.abs(load_audio(above, 16_000).samples[1_000:-1_000]).max() < 1e-4


def test_path_bytes_and_file_object_agree(tone: Path) -> None:
    expected = load_audio(tone, RATE_HZ).samples
    with tone.open("rb") as file:
        assert np.array_equal(load_audio(file, RATE_HZ).samples, expected)
    assert np.array_equal(load_audio(str(tone), RATE_HZ).samples, expected)
    assert np.array_equal(load_audio(tone.read_bytes(), RATE_HZ).samples, expected)


@pytest.mark.parametrize("name", ["a.mp3", "a.raw", "a.au", "a", "ä \n.wav"])
def test_format_is_reported_by_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encode(make_tone(), "FLAC", "PCM_16"))
    np.testing.assert_allclose(load_audio(path, RATE_HZ).samples, make_tone(), atol=2**-15)


@pytest.mark.parametrize("name", ["a.raw", "a.au", "a.gsm", "a.vox", "a.snd", "a.wav"])
def test_text_is_never_decoded_for_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"hello world, " * 100)
    with pytest.raises(AudioError, match=rf"{name}: is damaged, or not audio .*b'hello wo'"):
        load_audio(path, RATE_HZ)


def test_silence_and_slight_overs_are_sound() -> None:
    assert not load_audio(encode(np.zeros(480), "WAV", "PCM_16"), RATE_HZ).samples.any()
    over = np.array([0.5, 1.25, -1.5])
    assert load_audio(encode(over, "WAV", "FLOAT"), RATE_HZ).samples.tolist() == over.tolist()


def test_unknown_chunks_are_passed_over() -> None:
    data = encode(make_tone(), "WAV", "PCM_16")
    place = data.index(b"data")
    filler = b"FLLR" + struct.pack("<I", 4_000) + bytes(4_000)
    after = b"SAUR" + struct.pack("<I", 30_001) + bytes(30_002)
    odd = data[:4] + struct.pack("<I", len(data) + 34_010) + data[8:place]
    waveform = load_audio(odd + filler + data[place:] + after, RATE_HZ)
    assert np.array_equal(waveform.samples, load_audio(data, RATE_HZ).samples)


def set_sizes(data: bytes, riff_bytes: int, data_bytes: int) -> bytes:
    """Return a WAV file whose header gives other sizes."""
    place = data.index(b"data") + 4
    sized = data[:4] + struct.pack("<I", riff_bytes) + data[8:place]
    return sized + struct.pack("<I", data_bytes) + data[place + 4 :]


@pytest.mark.parametrize(
    ("riff_bytes", "data_bytes"),
    [(2**32 - 1, 2**32 - 1), (0, 0), (36, 0), (2**31 - 4060, 2**31 - 4096), (2**32 - 1, 0)],
)
def test_wav_from_a_pipe_is_read_to_its_end(riff_bytes: int, data_bytes: int) -> None:
    data = encode(make_tone(), "WAV", "PCM_16")
    piped = load_audio(set_sizes(data, riff_bytes, data_bytes), RATE_HZ)
    assert np.array_equal(piped.samples, load_audio(data, RATE_HZ).samples)


def test_flac_from_a_pipe_is_read_to_its_end() -> None:
    data = bytearray(encode(make_tone(), "FLAC", "PCM_16"))
    data[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    data[22:26] = bytes(4)
    expected = load_audio(encode(make_tone(), "FLAC", "PCM_16"), RATE_HZ).samples
    assert np.array_equal(load_audio(bytes(data), RATE_HZ).samples, expected)


def test_header_that_is_off_by_a_few_bytes_is_tolerated() -> None:
    data = encode(make_tone(), "WAV", "PCM_16")
    assert len(load_audio(set_sizes(data, len(data), 48_044), RATE_HZ).samples) == 24_000


@pytest.mark.parametrize(
    ("kind", "subtype", "kept", "found"),
    [
        ("WAV", "PCM_16", 0.5, r"cut short: .* promises 1\.00 s, the file holds 0\.50 s"),
        ("WAV", "PCM_24", 0.9, r"cut short: .* promises 1\.00 s, the file holds 0\.90 s"),
        ("AIFF", "PCM_16", 0.5, r"cut short: .* promises 1\.00 s, the file holds 0\.50 s"),
        ("FLAC", "PCM_16", 0.5, "damaged or cut short .*48000 samples, decoding fails before"),
        ("OGG", "VORBIS", 0.5, "cut short: .* end mid-page"),
        ("OGG", "OPUS", 0.9, "cut short: .* end mid-page"),
        ("MP3", None, 0.5, r"cut short: .* promises 1\.0\d s, the file holds 0\.4"),
        ("FLAC", "PCM_16", 0.002, "damaged"),
    ],
)
def test_cut_file_is_refused(
    tmp_path: Path, kind: str, subtype: str | None, kept: float, found: str
) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ)
    data = encode(noise, kind, subtype)
    path = tmp_path / "cut.wav"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(AudioError, match=rf"cut\.wav: is {found}"):
        load_audio(path, RATE_HZ)


def test_wav_that_claims_four_gigabytes_is_refused() -> None:
    data = set_sizes(encode(make_tone(), "WAV", "PCM_16"), 4_000_000_036, 4_000_000_000)
    with pytest.raises(AudioError, match=r"^<bytes>: is cut short: .* 41666\.67 s, .* 0\.50 s"):
        load_audio(data, RATE_HZ)


@pytest.mark.parametrize(
    ("place", "value", "found"),
    [
        (24, struct.pack("<I", 10_000_000), "rate of 10000000 Hz, expected 1,000 to 384,000 Hz"),
        (24, struct.pack("<I", 100), "rate of 100 Hz"),
        (24, struct.pack("<I", 0), "damaged"),
        (22, struct.pack("<H", 500), "has 500 channels, expected 1 to 32"),
        (22, struct.pack("<H", 0), "damaged"),
    ],
)
def test_absurd_header_is_refused(place: int, value: bytes, found: str) -> None:
    data = encode(make_tone(), "WAV", "PCM_16")
    with pytest.raises(AudioError, match=found):
        load_audio(data[:place] + value + data[place + len(value) :], RATE_HZ)


@pytest.mark.parametrize("kind", ["WAV", "OGG", "AIFF"])
def test_header_without_samples_is_refused(kind: str) -> None:
    with pytest.raises(AudioError, match="<bytes>: (holds no samples|is damaged)"):
        load_audio(encode(np.zeros(0), kind), RATE_HZ)


def test_chunk_after_no_samples_is_not_heard_as_sound() -> None:
    data = encode(np.zeros(0), "WAV", "PCM_16") + b"LIST" + struct.pack("<I", 200) + bytes(200)
    with pytest.raises(AudioError, match="holds no samples, only a header"):
        load_audio(set_sizes(data, len(data) - 8, 0), RATE_HZ)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(bad: float) -> None:
    tone = make_tone()
    tone[4_800] = bad
    with pytest.raises(AudioError, match=r"<bytes>: holds NaN or infinite .*first at 0\.100 s"):
        load_audio(encode(tone, "WAV", "FLOAT"), RATE_HZ)
    with pytest.raises(AudioError, match=r"<array>: holds NaN or infinite .*first at 0\.100 s"):
        load_audio(np.stack([tone, -tone], axis=1), 16_000, source_rate_hz=RATE_HZ)


def test_floats_that_are_integers_are_refused() -> None:
    with pytest.raises(AudioError, match="peaks at 16384, expected full scale at 1"):
        load_audio(encode(make_tone() * 32_768, "WAV", "FLOAT"), RATE_HZ)


def test_length_limit_is_checked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(make_tone(2.0), "FLAC", "PCM_16")
    assert load_audio(data, RATE_HZ, max_duration_s=2.0).duration_s == 2.0
    monkeypatch.setattr(sf.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(AudioError, match=r"lasts 2\.00 s, expected at most 1\.5 s; cut it"):
        load_audio(data, RATE_HZ, max_duration_s=1.5)


def test_missing_folder_and_empty_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: no such file; check the path"):
        load_audio(tmp_path / "gone.wav", RATE_HZ)
    with pytest.raises(AudioError, match="is a folder, expected an audio file"):
        load_audio(tmp_path, RATE_HZ)
    with pytest.raises(AudioError, match="cannot be opened .*null"):
        load_audio("a\0b.wav", RATE_HZ)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"empty\.wav: is empty \(0 bytes\)"):
        load_audio(tmp_path / "empty.wav", RATE_HZ)
    with pytest.raises(AudioError, match="^<bytes>: is empty"):
        load_audio(b"", RATE_HZ)


def test_message_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"two\\nlines\.wav: no such file") as caught:
        load_audio(tmp_path / "two\nlines.wav", RATE_HZ)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate_hz", [0, -16_000, 10_000_000])
def test_wanted_rate_out_of_range_is_refused(rate_hz: int) -> None:
    with pytest.raises(AudioError, match="the requested rate is .* expected 1,000 to 384,000"):
        load_audio(b"", rate_hz)
    with pytest.raises(AudioError, match="the requested rate is"):
        load_audio(np.zeros(9), rate_hz, source_rate_hz=RATE_HZ)
    with pytest.raises(AudioError, match="<array>: has a rate of"):
        load_audio(np.zeros(9), RATE_HZ, source_rate_hz=rate_hz)


def test_limit_must_be_positive() -> None:
    with pytest.raises(AudioError, match="max_duration_s is nan, expected more than 0"):
        load_audio(b"", RATE_HZ, max_duration_s=float("nan"))


@pytest.mark.parametrize(
    ("dtype", "given_values", "expected"),
    [
        ("int16", [-32_768, 16_384, 32_767], [-1, 0.5, 32_767 / 32_768]),
        (">i2", [-32_768, 16_384, 0], [-1, 0.5, 0]),
        ("int32", [-(2**31), 2**30, 0], [-1, 0.5, 0]),
        ("uint8", [0, 128, 192], [-1, 0, 0.5]),
        ("float16", [-1, 0.5, 1], [-1, 0.5, 1]),
        ("float64", [-1, 0.25, 1], [-1, 0.25, 1]),
    ],
)
def test_array_is_scaled_by_its_type(
    dtype: str, given_values: list[int], expected: list[float]
) -> None:
    array = np.array(given_values, dtype=dtype)
    waveform = load_audio(array, 16_000, source_rate_hz=16_000)
    assert waveform.samples.dtype == np.float32
    assert waveform.samples.tolist() == np.asarray(expected, np.float32).tolist()


def test_array_equals_file(tone: Path) -> None:
    samples, rate_hz = sf.read(tone, dtype="int16")
    from_array = load_audio(np.stack([samples, samples], axis=1), 16_000, source_rate_hz=rate_hz)
    assert np.array_equal(from_array.samples, load_audio(tone, 16_000).samples)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros(0), r"holds no samples \(shape \(0,\)\)"),
        (np.float32(0.5), r"has shape \(\), expected \(samples,\) or \(samples, channels\)"),
        (np.zeros((2, 2, 2)), r"has shape \(2, 2, 2\)"),
        (
            np.zeros((2, 48_000)),
            r"has shape \(2, 48000\): fewer samples than channels.*transpose it",
        ),
        (np.zeros((480, 33)), "has 33 channels, expected 1 to 32"),
        (np.zeros(480, np.int64), "has type int64, expected float, int16, int32 or uint8"),
        (np.zeros(480, bool), "has type bool"),
        (np.zeros(480, complex), "has type complex128"),
        (np.array(["a"] * 9), "has type <U1"),
        ([[0.0], [0.0, 1.0]], "is not an array of numbers"),
        (np.full(480, 1e300), "holds NaN or infinite samples"),
        (make_tone() * 32_768, "peaks at 16384"),
        (np.zeros(48_000 * 301, np.int16), r"lasts 301\.00 s, expected at most 300 s"),
    ],
)
def test_array_that_is_no_sound_is_refused(array: npt.ArrayLike, found: str) -> None:
    with pytest.raises(AudioError, match=f"^<array>: {found}"):
        load_audio(array, 16_000, source_rate_hz=RATE_HZ)


def test_one_sample_is_kept_or_refused_when_too_few_to_resample() -> None:
    one = np.array([0.5], np.float32)
    assert load_audio(one, RATE_HZ, source_rate_hz=RATE_HZ).samples.tolist() == [0.5]
    with pytest.raises(AudioError, match="holds 1 sample.* too few to resample to 16000 Hz"):
        load_audio(one, 16_000, source_rate_hz=RATE_HZ)


def test_import_takes_numpy_and_soundfile_only() -> None:
    code = (
        "import sys, emovox.audio.load as a; a.load_audio(sys.stdin.buffer, 48_000);"
        "heavy = {'av', 'soxr', 'onnxruntime', 'torch', 'scipy', 'sklearn', 'matplotlib'};"
        "print(*sorted(heavy & set(sys.modules)), 'loaded')"
    )
    data = encode(make_tone(), "FLAC", "PCM_16")
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)
    assert (done.stdout.split(), done.stderr) == ([b"loaded"], b"")


VALID = [
    encode(make_tone(0.1), "WAV", "PCM_16"),
    encode(make_tone(0.1), "WAVEX", "PCM_24"),
    encode(make_tone(0.1), "WAV", "FLOAT"),
    encode(make_tone(0.1), "WAV", "IMA_ADPCM"),
    encode(make_tone(0.1), "AIFF", "PCM_16"),
    encode(make_tone(0.1), "CAF", "ALAC_16"),  # codespell:ignore caf
    encode(make_tone(0.1), "FLAC", "PCM_16"),
    encode(make_tone(0.1), "OGG", "VORBIS"),
    encode(make_tone(0.1), "OGG", "OPUS"),
    encode(make_tone(0.1), "MP3"),
]


def load_or_refuse(data: bytes) -> Waveform | None:
    """Load the bytes; an AudioError is an answer, anything else a failure."""
    try:
        waveform = load_audio(data, 16_000, max_duration_s=2.0)
    except AudioError as error:
        assert "\n" not in str(error)
        return None
    assert np.isfinite(waveform.samples).all()
    assert 0 < waveform.duration_s <= 2.1
    return waveform


@given(
    data=st.binary(max_size=200),
    magic=st.sampled_from(
        [b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVE", b"FORM", b"fLaC", b"OggS", b"ID3", b"\xff\xfb"]
        + [b"\xff\xf1", b"\0\0\0\x18ftypM4A ", b"\x1a\x45\xdf\xa3", b"#!AMR\n", b".snd", b"caff"]
    ),
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_waveform_or_an_audio_error(data: bytes, magic: bytes) -> None:
    load_or_refuse(magic + data)


@given(
    valid=st.sampled_from(VALID),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255), st.booleans()),
        max_size=8,
    ),
    kept=st.floats(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_damaged_files_give_a_waveform_or_an_audio_error(
    valid: bytes, changes: list[tuple[float, int, bool]], kept: float
) -> None:
    data = bytearray(valid)
    for place, value, in_header in changes:
        data[int(place * (min(200, len(data)) if in_header else len(data)))] = value
    load_or_refuse(bytes(data[: max(1, int(kept * len(data)))]))


@pytest.mark.corpus
def test_original_wav_equals_flac_copy_bit_for_bit(ravdess: Path) -> None:
    folder = ravdess / "ravdess"
    lines = (folder / "speech.sha256").read_text().splitlines()
    digests = {Path(name).stem: digest for digest, name in (line.split() for line in lines)}
    mono = 0
    with zipfile.ZipFile(folder / "original_wav_samples.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".wav")]
        for name in names:
            original = load_audio(archive.read(name), RATE_HZ).samples
            copy = folder / "speech" / Path(name).with_suffix(".flac")
            assert np.array_equal(original, load_audio(copy, RATE_HZ).samples)
            values = original * 32_768  # exact: a power of two
            if sf.info(copy).channels == 1:
                digest = hashlib.sha256(values.astype("<i2").tobytes()).hexdigest()
                assert digest == digests[Path(name).stem]
                mono += 1
            else:
                stereo = sf.read(copy, dtype="int16")[0].astype(np.int32)
                assert np.array_equal(values * 2, stereo.sum(axis=1))
    assert (len(names), mono) == (10, 8)
