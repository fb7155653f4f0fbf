"""Each part of an augmented copy is drawn as often, and does what, it should: by numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emovox.perturbations.codecs import MP3, OPUS
from emovox.perturbations.timing import change_speed
from emovox.recipes.recipe import load_recipe
from emovox.recipes.settings import AugmentationSettings
from emovox.training import augment
from emovox.training.augment import (
    CodedLine,
    PhoneLine,
    apply_augmentation,
    count_samples,
    draw_augmentation,
    draw_crop,
    draw_line,
    draw_parts,
    equalize,
    find_speech,
    make_noise,
    perturb,
)

RATE_HZ = 16_000
SHARES = ("reverberation", "equalizer", "noise", "interference", "clipping", "codec")
NOTHING = AugmentationSettings(crop=False, speed=0, parts=0).model_copy(
    update=dict.fromkeys(SHARES, 0)
)
Samples = NDArray[np.float32]


def only(**changes: Any) -> AugmentationSettings:
    return NOTHING.model_copy(update=changes)


def make_voice(n_samples: int = 8_000, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    time_s = np.arange(n_samples) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 140 * k * time_s) / k for k in range(1, 20))
    return np.asarray(0.2 * buzz + 0.01 * rng.normal(size=n_samples), np.float32)


def measure_db(values: NDArray[Any]) -> float:
    return float(10 * np.log10(np.mean(np.square(values, dtype=np.float64))))


def test_nothing_asked_nothing_changed() -> None:
    voice = make_voice()
    for seed in range(20):
        copy = perturb(voice, RATE_HZ, NOTHING, np.random.default_rng(seed))
        assert copy.tobytes() == voice.tobytes()


def test_same_generator_same_copy_other_generator_another() -> None:
    voice, settings = make_voice(), only(speed=0.1, **dict.fromkeys(SHARES, 0.5), crop=True)
    copies = [perturb(voice, RATE_HZ, settings, np.random.default_rng(n)) for n in range(8)]
    again = [perturb(voice, RATE_HZ, settings, np.random.default_rng(n)) for n in range(8)]
    assert [c.tobytes() for c in copies] == [c.tobytes() for c in again]
    assert len({c.tobytes() for c in copies}) == 8


# Stored embeddings are found again by the settings of the copies: the same draw has to give the
# same copy in every version. Each row: length, and the levels in dB of six stretches; not hashes,
# for other processors give other last bits.
LEVELS = json.loads((Path(__file__).parent / "augmented_levels.json").read_text())


@pytest.mark.parametrize("name", LEVELS)
def test_copies_are_those_of_earlier_versions(name: str) -> None:
    all_on = only(crop=True, speed=0.3, parts=1.0, **dict.fromkeys(SHARES, 1.0))
    parts = {"crop": only(crop=True), "speed": only(speed=0.2), "all": all_on}
    parts["parts"] = only(parts=1.0)
    parts |= {part: only(**{part: 1.0}) for part in SHARES}
    settings = parts.get(name, load_recipe("encoder").augmentation)
    for seed, expected in enumerate(LEVELS[name]):
        spoken = make_spoken(24_000 if name == "parts" else 8_000)
        copy = perturb(spoken, RATE_HZ, settings, np.random.default_rng([seed, 77]))
        found = [measure_db(stretch) for stretch in np.array_split(copy, 6)]
        # A codec after all the others rounds differently on other kinds of processor: 0.07 dB
        # between an AMD EPYC and an Intel Xeon.
        assert [len(copy), *found] == pytest.approx(expected, abs=0.1 if name == "all" else 0.02)


# Which copies have which parts.

STEPS = ("room", "gains_db", "noise", "interference", "clipped", "line")
NAMES = dict(zip(SHARES, STEPS, strict=True))


def draw(settings: AugmentationSettings, seed: int) -> tuple[set[str], float | None]:
    """Return the parts of a copy, and its speed."""
    drawn = draw_augmentation(make_voice(400), RATE_HZ, settings, np.random.default_rng(seed))
    return {p for p, name in NAMES.items() if getattr(drawn, name) is not None}, drawn.speed


def test_each_part_is_in_its_share_of_the_copies() -> None:
    n_copies = 400
    shares = dict(zip(SHARES, (0.1, 0.3, 0.6, 0.4, 0.2, 0.9), strict=True))
    found = [draw(only(**shares), seed)[0] for seed in range(n_copies)]
    for part, share in shares.items():
        # A standard deviation of at most 0.025.
        assert sum(part in parts for parts in found) / n_copies == pytest.approx(share, abs=0.08)
    assert draw(only(**dict.fromkeys(SHARES, 1.0)), 0)[0] == set(SHARES)
    # They are drawn apart: as many copies have both as chance alone would give.
    both = sum({"noise", "equalizer"} <= parts for parts in found) / n_copies
    assert both == pytest.approx(0.6 * 0.3, abs=0.08)


@pytest.mark.parametrize("part", SHARES)
def test_the_share_of_one_part_moves_no_other(part: str) -> None:
    settings = only(speed=0.1, **dict.fromkeys(SHARES, 0.5))
    for seed in range(40):
        parts, speed = draw(settings, seed)
        for share in (0.0, 1.0):
            others, other_speed = draw(settings.model_copy(update={part: share}), seed)
            assert others - {part} == parts - {part}
            assert (part in others) == (share == 1)
            assert other_speed == speed
        assert draw(settings.model_copy(update={"speed": 0.0}), seed) == (parts, None)


def test_speeds_are_even_between_slower_and_faster() -> None:
    speeds = [draw(only(speed=0.25), seed)[1] or 0 for seed in range(400)]
    assert 1 / 1.25 <= min(speeds) < 0.82
    assert 1.22 < max(speeds) <= 1.25
    # As many semitones up as down.
    assert np.mean(np.log(speeds)) == pytest.approx(0, abs=0.03)


def test_the_length_after_a_change_of_speed_is_known_beforehand() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        n_samples, speed = int(rng.integers(1, 4_000)), float(rng.uniform(0.5, 2))
        rate_hz = int(rng.choice([8_000, 16_000, 44_100]))
        changed = change_speed(np.ones(n_samples, np.float32), rate_hz, speed)
        assert len(changed) == count_samples(n_samples, rate_hz, speed)


def test_a_draw_can_be_applied_again_and_leaves_the_recording_alone() -> None:
    voice, settings = make_voice(), only(speed=0.1, **dict.fromkeys(SHARES, 1.0), crop=True)
    before = voice.tobytes()
    for seed in range(8):
        drawn = draw_augmentation(voice, RATE_HZ, settings, np.random.default_rng(seed))
        first, again = (apply_augmentation(voice, RATE_HZ, drawn) for _ in range(2))
        assert first.tobytes() == again.tobytes()
        expected = perturb(voice, RATE_HZ, settings, np.random.default_rng(seed))
        assert first.tobytes() == expected.tobytes()
    assert voice.tobytes() == before


# What each part does.


def test_speed_moves_pitch_and_length_alike() -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 1_000 * time_s).astype(np.float32)
    for seed in range(5):
        copy = perturb(tone, RATE_HZ, only(speed=0.3), np.random.default_rng(seed))
        speed = RATE_HZ / len(copy)
        assert 1 / 1.3 <= speed <= 1.3
        assert abs(speed - 1) > 1e-3
        pitch_hz = np.abs(np.fft.rfft(copy * np.hanning(len(copy)))).argmax() * RATE_HZ / len(copy)
        assert pitch_hz == pytest.approx(1_000 * speed, abs=1)


def test_noise_is_5_to_40_db_below_the_voice() -> None:
    voice, ratios_db = make_voice(), []
    for seed in range(60):
        drawn = draw_augmentation(voice, RATE_HZ, only(noise=1), np.random.default_rng(seed))
        copy = apply_augmentation(voice, RATE_HZ, drawn)
        assert drawn.noise is not None
        parts = np.stack([voice, drawn.noise]).astype(np.float64)
        (of_voice, of_noise), *_ = np.linalg.lstsq(parts.T, copy.astype(np.float64), rcond=None)
        np.testing.assert_allclose(of_voice * parts[0] + of_noise * parts[1], copy, atol=1e-5)
        ratios_db.append(measure_db(of_voice * parts[0]) - measure_db(of_noise * parts[1]))
        assert ratios_db[-1] == pytest.approx(drawn.snr_db, abs=1e-3)
        assert measure_db(copy) == pytest.approx(measure_db(voice), abs=1e-3)
    assert 4.99 < min(ratios_db) < 8
    assert 37 < max(ratios_db) < 40.01


def test_noises_are_coloured_or_babble_or_surroundings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds, slopes_db = [], []

    def make_coloured(n: int, _: int, __: object, *, slope_db: float) -> Samples:
        slopes_db.append(slope_db)
        return np.zeros(n, np.float32)

    monkeypatch.setattr(augment, "make_coloured_noise", make_coloured)
    for kind in ("make_babble", "make_environment"):
        monkeypatch.setattr(augment, kind, lambda *_, kind=kind: kinds.append(kind))
    for seed in range(400):
        make_noise(10, RATE_HZ, np.random.default_rng(seed))
    assert len(slopes_db) / 400 == pytest.approx(0.4, abs=0.08)
    assert kinds.count("make_babble") / 400 == pytest.approx(0.35, abs=0.08)
    assert -6 <= min(slopes_db) < -5.8
    assert -0.2 < max(slopes_db) <= 0


def test_equalizer_stays_within_6_db_and_is_smooth() -> None:
    noise = np.random.default_rng(0).normal(size=RATE_HZ).astype(np.float32)
    spread = []
    for seed in range(30):
        gains_db = np.random.default_rng(seed).uniform(-6, 6, 7)
        copy = equalize(noise, RATE_HZ, gains_db)
        assert (copy.shape, copy.dtype.name) == (noise.shape, "float32")
        response_db = 20 * np.log10(np.abs(np.fft.rfft(copy) / np.fft.rfft(noise)))[1:-1]
        assert np.abs(response_db).max() < 6.01
        # At most 12 dB from one of the frequencies to the next, the nearest being an octave apart.
        rises = np.diff(response_db[100:8_000:10])
        assert np.abs(rises).max() < 12 * 10 / 100 / np.log(2) + 0.05
        spread.append(np.ptp(response_db))
        at = np.array([60, 180, 540, 1_600, 4_000]) - 1
        assert response_db[at] == pytest.approx(gains_db[1:6], abs=0.05)
    assert np.median(spread) > 6


def test_reverberation_is_at_the_voices_level_and_not_late() -> None:
    voice = np.zeros(RATE_HZ, np.float32)
    voice[4_000:8_000] = make_voice(4_000)
    for seed in range(5):
        copy = perturb(voice, RATE_HZ, only(reverberation=1), np.random.default_rng(seed))
        assert len(copy) == len(voice)
        assert np.abs(copy[:4_000]).max() < 1e-6
        assert measure_db(copy) == pytest.approx(measure_db(voice), abs=0.01)
        assert measure_db(copy[8_000:]) > measure_db(copy) - 40


def test_clipping_holds_up_to_a_twentieth_of_the_samples_at_one_magnitude() -> None:
    noise = np.random.default_rng(0).normal(size=RATE_HZ).astype(np.float32)
    held = []
    for seed in range(200):
        copy = perturb(noise, RATE_HZ, only(clipping=1), np.random.default_rng(seed))
        changed = copy != noise
        assert np.unique(np.abs(copy[changed])).tolist() == [np.abs(copy).max()]
        held.append(changed.mean())
    assert 0.001 <= min(held) < 0.002
    assert 0.03 < max(held) <= 0.05
    # As many below the geometric mean of the two ends as above it.
    assert np.median(held) == pytest.approx(0.007, abs=0.002)


def test_copies_are_sent_by_telephone_or_coded_with_few_bits() -> None:
    lines = [draw_line(np.random.default_rng(seed)) for seed in range(400)]
    assert sum(isinstance(line, PhoneLine) for line in lines) / 400 == pytest.approx(0.4, abs=0.08)
    coded = [line for line in lines if isinstance(line, CodedLine)]
    for codec in (OPUS, MP3):
        rates = [line.bit_rate for line in coded if line.codec is codec]
        assert len(rates) / 400 == pytest.approx(0.3, abs=0.08)
        assert set(rates) == {8_000, 12_000, 16_000, 24_000}


@pytest.mark.parametrize("seed", range(6))
def test_a_sent_copy_keeps_length_and_voice(seed: int) -> None:
    voice = make_voice(RATE_HZ)
    copy = perturb(voice, RATE_HZ, only(codec=1), np.random.default_rng(seed))
    assert (copy.shape, copy.dtype.name) == (voice.shape, "float32")
    assert not np.array_equal(copy, voice)
    power = np.abs(np.fft.rfft(copy)[:1_000])
    assert power.argmax() % 140 in (0, 1, 139)


# Cropping.


def make_spoken(n_voice: int = 8_000) -> Samples:
    """Make 0.5 s of a faint hum, 0.5 s of a voice, 0.7 s of the hum."""
    return np.pad(make_voice(n_voice), (8_000, 11_200), constant_values=1e-3)


def test_crop_cuts_both_silences_anywhere_and_never_the_voice() -> None:
    spoken, starts, ends = make_spoken(), [], []
    for seed in range(300):
        start, end = draw_crop(spoken, RATE_HZ, np.random.default_rng(seed))
        starts.append(start)
        ends.append(end)
    assert 0 <= min(starts) < 200
    assert 7_800 < max(starts) <= 8_000
    assert 16_000 <= min(ends) < 16_200
    assert 27_000 < max(ends) <= 27_200
    assert abs(np.corrcoef(starts, ends)[0, 1]) < 0.2


@pytest.mark.parametrize(("level_db", "kept"), [(-34.0, True), (-36.0, False)])
def test_what_is_35_db_below_the_loudest_frame_is_silence(level_db: float, kept: bool) -> None:
    samples = np.zeros(9_600, np.float32)
    samples[3_200:6_400] = 0.5
    samples[:320] = 0.5 * 10 ** (level_db / 20)
    crops = [draw_crop(samples, RATE_HZ, np.random.default_rng(n)) for n in range(50)]
    assert all(start == 0 for start, _ in crops) == kept
    assert all(start <= 3_200 and end >= 6_400 for start, end in crops)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(8_000, np.float32), np.ones(1, np.float32), np.ones(639, np.float32)],
    ids=["silence", "one sample", "under two frames"],
)
def test_what_has_no_silence_to_cut_stays(samples: Samples) -> None:
    assert draw_crop(samples, RATE_HZ, np.random.default_rng(0)) == (0, len(samples))


def test_crop_alone_is_what_the_setting_does() -> None:
    spoken = make_spoken()
    copy = perturb(spoken, RATE_HZ, only(crop=True), np.random.default_rng(3))
    start, end = draw_crop(spoken, RATE_HZ, np.random.default_rng(3))
    assert len(copy) < len(spoken)
    assert np.array_equal(copy, spoken[start:end])


# Parts, as windows of long speech hold them.


def test_parts_are_a_stretch_of_speech_or_its_end_before_its_beginning() -> None:
    spoken = make_spoken(2 * RATE_HZ)
    speech = find_speech(spoken, RATE_HZ)
    assert speech is not None
    n_spans = []
    for seed in range(60):
        drawn = draw_augmentation(spoken, RATE_HZ, only(parts=1.0), np.random.default_rng(seed))
        copy = apply_augmentation(spoken, RATE_HZ, drawn)
        expected = np.concatenate([spoken[start:end] for start, end in drawn.spans])
        assert np.array_equal(copy, expected)
        n_spans.append(len(drawn.spans))
        if len(drawn.spans) == 1:
            ((start, end),) = drawn.spans
            assert speech[0] <= start < end <= speech[1]
            assert end - start >= RATE_HZ
        else:
            later, earlier = drawn.spans
            assert speech[0] <= later[0] < later[1] == len(spoken)
            assert 0 == earlier[0] < earlier[1] <= speech[1]
            # Both parts hold speech, and together at least two fifths of it.
            share = (speech[1] - later[0] + earlier[1] - speech[0]) / (speech[1] - speech[0])
            assert 0.4 <= share <= 2.0
    assert 15 <= n_spans.count(1) <= 45


@pytest.mark.parametrize("n_samples", [160, RATE_HZ])
def test_speech_of_less_than_a_second_has_no_parts(n_samples: int) -> None:
    span = 3, n_samples - 5
    drawn = draw_parts(make_voice(n_samples), RATE_HZ, span, np.random.default_rng(0))
    assert drawn == (span,)


# Awkward recordings.


@pytest.mark.parametrize("n_samples", [1, 2, 16, 159, 160, 640, 1_600])
@pytest.mark.parametrize("make", [np.zeros, np.ones, make_voice])
def test_short_and_silent_recordings_survive_everything(n_samples: int, make: Any) -> None:
    samples = np.asarray(make(n_samples), np.float32)
    settings = [only(**{part: 1.0}) for part in SHARES]
    settings.append(only(parts=1.0))
    settings.append(only(crop=True, speed=0.9, parts=1.0, **dict.fromkeys(SHARES, 1.0)))
    for choices in settings:
        for seed in range(3):
            copy = perturb(samples, RATE_HZ, choices, np.random.default_rng(seed))
            assert copy.dtype == np.float32
            assert copy.ndim == 1
            assert len(copy) >= 1
            assert np.isfinite(copy).all()
            # Each of three clicks is up to ten times the peak of what is there already.
            assert np.abs(copy).max() <= 6_000


def test_silence_stays_silent() -> None:
    silence = np.zeros(4_000, np.float32)
    for seed in range(10):
        settings = only(crop=True, speed=0.2, **dict.fromkeys(SHARES[:3], 1.0))
        assert not perturb(silence, RATE_HZ, settings, np.random.default_rng(seed)).any()
        # Lossy codecs decode silence to a faint noise.
        coded = perturb(silence, RATE_HZ, only(codec=1), np.random.default_rng(seed))
        assert np.abs(coded).max() < 1e-3
