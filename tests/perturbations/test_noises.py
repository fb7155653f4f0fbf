"""Tones, coloured noise, babble and environments: their spectra, levels and draws."""

from collections.abc import Callable

import numpy as np
import pytest

from emovox.perturbations import babble, environment, noises
from emovox.perturbations.levels import Samples, measure_rms

RATE_HZ = 16_000


def measure_power(samples: Samples, low_hz: float, high_hz: float) -> float:
    """Return the power between two frequencies."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    frequencies_hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return float(spectrum[(frequencies_hz >= low_hz) & (frequencies_hz < high_hz)].sum())


@pytest.mark.parametrize("peak_snr_db", [40, 45, 50])
def test_tone_has_its_frequency_and_peak(peak_snr_db: float) -> None:
    speech = np.zeros(RATE_HZ, np.float32)
    speech[0] = -0.8
    noisy = noises.add_tone(speech, RATE_HZ, frequency_hz=5_500, peak_snr_db=peak_snr_db)
    tone = noisy - speech
    assert np.abs(np.fft.rfft(tone)).argmax() == 5_500
    assert np.abs(tone).max() == pytest.approx(0.8 / 10 ** (peak_snr_db / 20), rel=1e-3)


def test_tone_refuses_a_frequency_that_the_rate_cannot_hold() -> None:
    with pytest.raises(ValueError, match="tone of 6000 Hz at 8000 Hz; expected it between"):
        noises.add_tone(np.ones(8, np.float32), 8_000, frequency_hz=6_000, peak_snr_db=40)


@pytest.mark.parametrize("snr_db", [0, 20, 45])
def test_white_noise_reaches_its_ratio_and_leaves_the_speech(snr_db: float) -> None:
    speech = np.full(RATE_HZ, 0.1, np.float32)
    noise = noises.add_white_noise(speech, np.random.default_rng(0), snr_db=snr_db) - speech
    assert 20 * np.log10(0.1 / measure_rms(noise)) == pytest.approx(snr_db, abs=0.02)
    assert measure_power(noise, 0, 4_000) == pytest.approx(
        measure_power(noise, 4_000, 8_000), rel=0.05
    )


@pytest.mark.parametrize("slope_db", [0, -3, -6])
def test_coloured_noise_falls_by_the_octave(slope_db: float) -> None:
    generator = np.random.default_rng(0)
    noise = noises.make_coloured_noise(20 * RATE_HZ, RATE_HZ, generator, slope_db=slope_db)
    # An octave higher holds twice the frequencies, each softer by the slope.
    ratio = measure_power(noise, 2_000, 4_000) / measure_power(noise, 1_000, 2_000)
    assert 10 * np.log10(ratio) == pytest.approx(slope_db + 3.01, abs=0.2)
    assert np.abs(noise).max() == pytest.approx(1)


def test_coloured_noise_keeps_to_its_band() -> None:
    noise = noises.make_coloured_noise(
        RATE_HZ, RATE_HZ, np.random.default_rng(0), slope_db=0, low_hz=500, high_hz=1_000
    )
    assert measure_power(noise, 490, 1_010) > 0.999 * measure_power(noise, 0, 8_001)


def test_babble_is_made_of_four_to_seven_of_the_voices() -> None:
    # Each voice is a constant, so that the babble is a sum of gains of -20 to -13 dB.
    voices = [np.ones(700, np.float32)]
    levels_heard = []
    for seed in range(200):
        mixed = babble.make_babble(2_000, RATE_HZ, np.random.default_rng(seed), voices)
        np.testing.assert_allclose(mixed, mixed[0], rtol=1e-6)
        levels_heard.append(mixed[0])
    assert min(levels_heard) >= 4 * 10**-1 - 1e-6
    assert max(levels_heard) <= 7 * 10 ** (-13 / 20) + 1e-6
    assert max(levels_heard) > 5 * 10 ** (-13 / 20)


def test_babble_repeats_a_voice_that_is_too_short() -> None:
    voice = np.arange(1, 4, dtype=np.float32)
    mixed = babble.make_babble(9, RATE_HZ, np.random.default_rng(0), [voice])
    np.testing.assert_allclose(mixed[:3], mixed[3:6])
    np.testing.assert_allclose(mixed[:3], mixed[6:])


def test_a_synthesised_voice_has_pitch_and_syllables() -> None:
    voice = babble.make_voice(4 * RATE_HZ, RATE_HZ, np.random.default_rng(2))
    assert np.abs(voice).max() == pytest.approx(1)
    # As in speech, most of the power lies below 4 kHz, and the level keeps changing.
    assert measure_power(voice, 70, 4_000) > 0.9 * measure_power(voice, 0, 8_001)
    frames = voice[: 4 * RATE_HZ // 800 * 800].reshape(-1, 800)  # (frames, 50 ms)
    loudness = np.sqrt((frames**2).mean(axis=1))
    assert loudness.max() > 5 * np.median(loudness) or (loudness < 0.1 * loudness.max()).any()


Maker = Callable[[int, int, np.random.Generator], Samples]
MAKERS: list[Maker] = [
    environment.make_wind,
    environment.make_hum,
    environment.make_rain,
    environment.make_steps,
    environment.make_beeps,
    environment.make_environment,
    babble.make_voice,
    babble.make_babble,
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("n_samples", [1, 7, 3_000])
def test_a_noise_is_as_long_as_asked_and_drawn_from_the_seed(make: Maker, n_samples: int) -> None:
    def draw(seed: int) -> Samples:
        return make(n_samples, RATE_HZ, np.random.default_rng(seed))

    noise = draw(0)
    assert noise.shape == (n_samples,)
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()
    np.testing.assert_array_equal(noise, draw(0))
    assert n_samples < 3_000 or not np.array_equal(noise, draw(1))


def test_environments_sound_different() -> None:
    generator = np.random.default_rng(0)
    shares = [
        measure_power(sound, 0, 500) / measure_power(sound, 0, 8_001)
        for make in MAKERS[:5]
        for sound in [make(2 * RATE_HZ, RATE_HZ, generator)]
    ]
    wind, hum, rain, _, beeps = shares
    assert wind > 0.9
    assert hum > 0.7
    assert rain < 0.1
    assert beeps < 0.9
