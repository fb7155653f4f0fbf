"""Gain, clipping, filters and mixing: values worked out by hand."""

import numpy as np
import pytest

from emovox.perturbations import levels
from emovox.perturbations.levels import Samples

RATE_HZ = 16_000


def make_tone(frequency_hz: float, duration_s: float = 1.0) -> Samples:
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    tone: Samples = (0.5 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)
    return tone


def measure_gain_db(before: Samples, after: Samples) -> float:
    """Return the gain of the second half, where a filter has settled."""
    half = len(before) // 2
    ratio = levels.measure_rms(after[half:]) / levels.measure_rms(before[half:])
    return float(20 * np.log10(ratio))


@pytest.mark.parametrize(("gain_db", "factor"), [(0, 1), (20, 10), (-6.0206, 0.5)])
def test_gain_is_a_factor(gain_db: float, factor: float) -> None:
    samples = np.array([0.25, -0.5, 0], np.float32)
    louder = levels.apply_gain(samples, gain_db)
    np.testing.assert_allclose(louder, factor * samples, rtol=1e-5)
    assert louder.dtype == np.float32


@pytest.mark.parametrize("share", [0.001, 0.002, 0.003, 0.5])
def test_clipping_holds_the_share_asked_for(share: float) -> None:
    samples = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    clipped = levels.clip_share(samples, share)
    changed = clipped != samples
    assert changed.sum() == share * 20_000
    assert np.abs(samples[changed]).min() > np.abs(clipped).max()
    assert (np.sign(clipped) == np.sign(samples)).all()


@pytest.mark.parametrize("samples", [[0.3], [0.0, 0.0], [0.2, -0.2, 0.2]])
def test_clipping_leaves_what_has_no_peaks(samples: list[float]) -> None:
    array = np.array(samples, np.float32)
    np.testing.assert_array_equal(levels.clip_share(array, 0.003), array)


@pytest.mark.parametrize("cutoff_hz", [50, 100, 150])
def test_highpass_takes_3_db_at_its_cutoff_and_6_db_an_octave_below(cutoff_hz: int) -> None:
    def gain_db(frequency_hz: float, order: int = 1) -> float:
        tone = make_tone(frequency_hz, 4)
        return measure_gain_db(tone, levels.filter_highpass(tone, RATE_HZ, cutoff_hz, order))

    assert gain_db(cutoff_hz) == pytest.approx(-3.01, abs=0.02)
    assert gain_db(cutoff_hz / 8) - gain_db(cutoff_hz / 4) == pytest.approx(-5.8, abs=0.2)
    assert gain_db(100 * cutoff_hz if cutoff_hz < 70 else 5_000) == pytest.approx(0, abs=0.02)
    assert gain_db(cutoff_hz, order=2) == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("cutoff_hz", [6_500, 7_000, 7_500])
def test_lowpass_takes_3_db_at_its_cutoff(cutoff_hz: int) -> None:
    tone, low = make_tone(cutoff_hz), make_tone(100)
    at_cutoff = measure_gain_db(tone, levels.filter_lowpass(tone, RATE_HZ, cutoff_hz))
    assert at_cutoff == pytest.approx(-3.01, abs=0.02)
    below = measure_gain_db(low, levels.filter_lowpass(low, RATE_HZ, cutoff_hz))
    assert below == pytest.approx(0, abs=0.01)


def test_filter_refuses_a_cutoff_that_the_rate_cannot_hold() -> None:
    with pytest.raises(ValueError, match="cutoff of 7500 Hz at 8000 Hz; expected it between 0"):
        levels.filter_lowpass(make_tone(100), 8_000, 7_500)


@pytest.mark.parametrize("snr_db", [-5, 0, 20, 45])
def test_mixing_reaches_the_ratio_asked_for(snr_db: float) -> None:
    speech = make_tone(440)
    noise = np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32)
    mixed = levels.mix_noise(speech, noise, snr_db, hold_level=False)
    added = levels.measure_rms(mixed - speech)
    assert 20 * np.log10(levels.measure_rms(speech) / added) == pytest.approx(snr_db, abs=0.01)


def test_a_mix_is_as_loud_as_the_speech_was() -> None:
    speech = 0.2 * make_tone(440)
    noise = np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32)
    mixed = levels.mix_noise(speech, noise, 0)
    assert levels.measure_rms(mixed) == pytest.approx(levels.measure_rms(speech), rel=1e-4)
    assert mixed.dtype == np.float32


def test_a_mix_beyond_full_scale_is_brought_to_it() -> None:
    speech = 2 * make_tone(440)
    noise = np.zeros(RATE_HZ, np.float32)
    noise[100] = -1
    assert np.abs(levels.mix_noise(speech, noise, 0)).max() == pytest.approx(1)


def test_silence_has_no_ratio_to_noise() -> None:
    silence, noise = np.zeros(4, np.float32), np.ones(4, np.float32)
    np.testing.assert_array_equal(levels.mix_noise(silence, noise, 20), silence)
    np.testing.assert_array_equal(levels.mix_noise(noise, silence, 20), noise)
    np.testing.assert_array_equal(levels.match_level(silence, 0.5), silence)


def test_mixing_refuses_another_length() -> None:
    with pytest.raises(ValueError, match="found 4 samples and 3 of noise"):
        levels.mix_noise(np.ones(4, np.float32), np.ones(3, np.float32), 20)
