"""Each way to disturb a copy does what it says, by numbers."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emovox.perturbations.codecs import MP3, OPUS
from emovox.recipes.settings import AugmentationSettings
from emovox.training import augment
from emovox.training.augment import crop_silence, disturb, equalize, make_noise, send

RATE_HZ = 16_000
SHARES = ("reverberation", "equalizer", "noise", "clipping", "codec")
NOTHING = AugmentationSettings(crop=False, speed=0).model_copy(update=dict.fromkeys(SHARES, 0))
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
        copy = disturb(voice, RATE_HZ, NOTHING, np.random.default_rng(seed))
        assert copy.tobytes() == voice.tobytes()


def test_same_generator_same_copy_other_generator_another() -> None:
    voice, settings = make_voice(), only(speed=0.1, **dict.fromkeys(SHARES, 0.5), crop=True)
    copies = [disturb(voice, RATE_HZ, settings, np.random.default_rng(n)) for n in range(8)]
    again = [disturb(voice, RATE_HZ, settings, np.random.default_rng(n)) for n in range(8)]
    assert [c.tobytes() for c in copies] == [c.tobytes() for c in again]
    assert len({c.tobytes() for c in copies}) == 8


# Which copies have which parts.


class Recorder:
    """Stands in for the parts, and notes which were asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parts: list[str] = []
        self.speeds: list[float] = []

        def note(part: str) -> Any:
            def add(samples: Samples, *_: object) -> Samples:
                self.parts.append(part)
                return samples

            return add

        def change_speed(samples: Samples, _: int, speed: float) -> Samples:
            self.speeds.append(speed)
            return samples

        monkeypatch.setattr(augment, "add_reverberation", note("reverberation"))
        monkeypatch.setattr(augment, "equalize", note("equalizer"))
        monkeypatch.setattr(augment, "mix_noise", note("noise"))
        monkeypatch.setattr(augment, "clip_share", note("clipping"))
        monkeypatch.setattr(augment, "send", note("codec"))
        monkeypatch.setattr(augment, "change_speed", change_speed)

    def ask(self, settings: AugmentationSettings, seed: int) -> tuple[set[str], list[float]]:
        self.parts, self.speeds = [], []
        disturb(np.ones(400, np.float32), RATE_HZ, settings, np.random.default_rng(seed))
        assert self.parts == [part for part in SHARES if part in self.parts]
        return set(self.parts), self.speeds


def test_each_part_is_in_its_share_of_the_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, n_copies = Recorder(monkeypatch), 400
    shares = {"reverberation": 0.1, "equalizer": 0.3, "noise": 0.6, "clipping": 0.2, "codec": 0.9}
    found = [recorder.ask(only(**shares), seed)[0] for seed in range(n_copies)]
    for part, share in shares.items():
        # A standard deviation of at most 0.025.
        assert sum(part in parts for parts in found) / n_copies == pytest.approx(share, abs=0.08)
    assert recorder.ask(only(**dict.fromkeys(SHARES, 1.0)), 0)[0] == set(SHARES)
    # They are drawn apart: as many copies have both as chance alone would give.
    both = sum({"noise", "equalizer"} <= parts for parts in found) / n_copies
    assert both == pytest.approx(0.6 * 0.3, abs=0.08)


@pytest.mark.parametrize("part", SHARES)
def test_the_share_of_one_part_moves_no_other(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    recorder = Recorder(monkeypatch)
    settings = only(speed=0.1, **dict.fromkeys(SHARES, 0.5))
    for seed in range(40):
        parts, speeds = recorder.ask(settings, seed)
        for share in (0.0, 1.0):
            others, other_speeds = recorder.ask(settings.model_copy(update={part: share}), seed)
            assert others - {part} == parts - {part}
            assert (part in others) == (share == 1)
            assert other_speeds == speeds
        assert recorder.ask(settings.model_copy(update={"speed": 0.0}), seed) == (parts, [])


def test_speeds_are_even_between_slower_and_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    speeds = [recorder.ask(only(speed=0.25), seed)[1][0] for seed in range(400)]
    assert 1 / 1.25 <= min(speeds) < 0.82
    assert 1.22 < max(speeds) <= 1.25
    # As many semitones up as down.
    assert np.mean(np.log(speeds)) == pytest.approx(0, abs=0.03)


# What each part does.


def test_speed_moves_pitch_and_length_alike() -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 1_000 * time_s).astype(np.float32)
    for seed in range(5):
        copy = disturb(tone, RATE_HZ, only(speed=0.3), np.random.default_rng(seed))
        speed = RATE_HZ / len(copy)
        assert 1 / 1.3 <= speed <= 1.3
        assert abs(speed - 1) > 1e-3
        pitch_hz = np.abs(np.fft.rfft(copy * np.hanning(len(copy)))).argmax() * RATE_HZ / len(copy)
        assert pitch_hz == pytest.approx(1_000 * speed, abs=1)


def test_noise_is_5_to_40_db_below_the_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    voice, noises = make_voice(), []

    def keep_noise(*arguments: Any) -> Samples:
        noises.append(make_noise(*arguments))
        return noises[-1]

    monkeypatch.setattr(augment, "make_noise", keep_noise)
    ratios_db = []
    for seed in range(60):
        copy = disturb(voice, RATE_HZ, only(noise=1), np.random.default_rng(seed))
        parts = np.stack([voice, noises[-1]]).astype(np.float64)
        (of_voice, of_noise), *_ = np.linalg.lstsq(parts.T, copy.astype(np.float64), rcond=None)
        np.testing.assert_allclose(of_voice * parts[0] + of_noise * parts[1], copy, atol=1e-5)
        ratios_db.append(measure_db(of_voice * parts[0]) - measure_db(of_noise * parts[1]))
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
        copy = equalize(noise, RATE_HZ, np.random.default_rng(seed))
        assert (copy.shape, copy.dtype.name) == (noise.shape, "float32")
        response_db = 20 * np.log10(np.abs(np.fft.rfft(copy) / np.fft.rfft(noise)))[1:-1]
        assert np.abs(response_db).max() < 6.01
        # At most 12 dB from one of the frequencies to the next, the nearest being an octave apart.
        rises = np.diff(response_db[100:8_000:10])
        assert np.abs(rises).max() < 12 * 10 / 100 / np.log(2) + 0.05
        spread.append(np.ptp(response_db))
        gains_db = np.random.default_rng(seed).uniform(-6, 6, 7)
        at = np.array([60, 180, 540, 1_600, 4_000]) - 1
        assert response_db[at] == pytest.approx(gains_db[1:6], abs=0.05)
    assert np.median(spread) > 6


def test_reverberation_is_at_the_voices_level_and_not_late() -> None:
    voice = np.zeros(RATE_HZ, np.float32)
    voice[4_000:8_000] = make_voice(4_000)
    for seed in range(5):
        copy = disturb(voice, RATE_HZ, only(reverberation=1), np.random.default_rng(seed))
        assert len(copy) == len(voice)
        assert np.abs(copy[:4_000]).max() < 1e-6
        assert measure_db(copy) == pytest.approx(measure_db(voice), abs=0.01)
        assert measure_db(copy[8_000:]) > measure_db(copy) - 40


def test_clipping_holds_up_to_a_twentieth_of_the_samples_at_one_magnitude() -> None:
    noise = np.random.default_rng(0).normal(size=RATE_HZ).astype(np.float32)
    held = []
    for seed in range(200):
        copy = disturb(noise, RATE_HZ, only(clipping=1), np.random.default_rng(seed))
        changed = copy != noise
        assert np.unique(np.abs(copy[changed])).tolist() == [np.abs(copy).max()]
        held.append(changed.mean())
    assert 0.001 <= min(held) < 0.002
    assert 0.03 < max(held) <= 0.05
    # As many below the geometric mean of the two ends as above it.
    assert np.median(held) == pytest.approx(0.007, abs=0.002)


def test_copies_are_sent_by_telephone_or_coded_with_few_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(augment, "simulate_phone", lambda *_: sent.append("phone"))
    monkeypatch.setattr(
        augment, "code_samples", lambda _, __, codec, bit_rate: sent.append((codec, bit_rate))
    )
    for seed in range(400):
        send(np.ones(10, np.float32), RATE_HZ, np.random.default_rng(seed))
    assert sent.count("phone") / 400 == pytest.approx(0.4, abs=0.08)
    coded = [entry for entry in sent if entry != "phone"]
    for codec in (OPUS, MP3):
        share = sum(entry[0] is codec for entry in coded) / 400
        assert share == pytest.approx(0.3, abs=0.08)
        assert {rate for found, rate in coded if found is codec} == {8_000, 12_000, 16_000, 24_000}


@pytest.mark.parametrize("seed", range(6))
def test_a_sent_copy_keeps_length_and_voice(seed: int) -> None:
    voice = make_voice(RATE_HZ)
    copy = disturb(voice, RATE_HZ, only(codec=1), np.random.default_rng(seed))
    assert (copy.shape, copy.dtype.name) == (voice.shape, "float32")
    assert not np.array_equal(copy, voice)
    power = np.abs(np.fft.rfft(copy)[:1_000])
    assert power.argmax() % 140 in (0, 1, 139)


# Cropping.


def make_spoken() -> Samples:
    """Make 0.5 s of a faint hum, 0.5 s of a voice, 0.7 s of the hum."""
    samples = np.full(27_200, 1e-3, np.float32)
    samples[8_000:16_000] = make_voice()
    return samples


def test_crop_cuts_both_silences_anywhere_and_never_the_voice() -> None:
    spoken, starts, ends = make_spoken(), [], []
    for seed in range(300):
        copy = crop_silence(spoken, RATE_HZ, np.random.default_rng(seed))
        # The voice's first sample tells where the copy starts.
        start = 8_000 - int(np.flatnonzero(copy != np.float32(1e-3))[0])
        assert np.array_equal(copy, spoken[start : start + len(copy)])
        starts.append(start)
        ends.append(start + len(copy))
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
    copies = [crop_silence(samples, RATE_HZ, np.random.default_rng(n)) for n in range(50)]
    assert all(copy[0] == samples[0] for copy in copies) == kept
    assert all((copy == 0.5).sum() == 3_200 for copy in copies)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(8_000, np.float32), np.ones(1, np.float32), np.ones(639, np.float32)],
    ids=["silence", "one sample", "under two frames"],
)
def test_what_has_no_silence_to_cut_stays(samples: Samples) -> None:
    assert crop_silence(samples, RATE_HZ, np.random.default_rng(0)) is samples


def test_crop_alone_is_what_the_setting_does() -> None:
    spoken = make_spoken()
    copy = disturb(spoken, RATE_HZ, only(crop=True), np.random.default_rng(3))
    expected = crop_silence(spoken, RATE_HZ, np.random.default_rng(3))
    assert len(copy) < len(spoken)
    assert np.array_equal(copy, expected)


# Awkward recordings.


@pytest.mark.parametrize("n_samples", [1, 2, 16, 159, 160, 640, 1_600])
@pytest.mark.parametrize("make", [np.zeros, np.ones, make_voice])
def test_short_and_silent_recordings_survive_everything(n_samples: int, make: Any) -> None:
    samples = np.asarray(make(n_samples), np.float32)
    settings = [only(**{part: 1.0}) for part in SHARES]
    settings.append(only(crop=True, speed=0.9, **dict.fromkeys(SHARES, 1.0)))
    for choices in settings:
        for seed in range(3):
            copy = disturb(samples, RATE_HZ, choices, np.random.default_rng(seed))
            assert copy.dtype == np.float32
            assert copy.ndim == 1
            assert len(copy) >= 1
            assert np.isfinite(copy).all()
            assert np.abs(copy).max() <= 6


def test_silence_stays_silent() -> None:
    silence = np.zeros(4_000, np.float32)
    for seed in range(10):
        settings = only(crop=True, speed=0.2, **dict.fromkeys(SHARES[:3], 1.0))
        assert not disturb(silence, RATE_HZ, settings, np.random.default_rng(seed)).any()
        # Lossy codecs decode silence to a faint noise.
        coded = disturb(silence, RATE_HZ, only(codec=1), np.random.default_rng(seed))
        assert np.abs(coded).max() < 1e-3
