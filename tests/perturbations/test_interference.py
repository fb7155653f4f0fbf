"""Offsets, hum, rumble, clicks and taps: their frequencies, heights and places."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from emovox.perturbations.interference import (
    add_click,
    add_interference,
    add_offset,
    add_settling_offset,
    add_tap,
    make_mains_hum,
    make_rumble,
)
from emovox.perturbations.levels import Samples

RATES_HZ = (16_000, 48_000)


def make_speech(n_samples: int) -> Samples:
    return np.random.default_rng(5).uniform(-0.2, 0.2, n_samples).astype(np.float32)


def measure_share_below(samples: Samples, rate_hz: int, limit_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / rate_hz) < limit_hz].sum() / power.sum())


def test_an_offset_is_a_constant() -> None:
    speech = make_speech(1_000)
    np.testing.assert_allclose(add_offset(speech, 0.25) - speech, 0.25, atol=1e-7)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_settling_offset_has_died_away_after_some_seconds(rate_hz: int) -> None:
    added = add_settling_offset(np.zeros(5 * rate_hz, np.float32), rate_hz, 0.2)
    assert added[0] == np.float32(0.2)
    assert added[rate_hz // 2] == pytest.approx(0.2 / np.e, rel=1e-3)
    assert abs(added[-1]) < 1e-4
    assert (np.diff(added) <= 0).all()


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("mains_hz", [50, 60])
def test_hum_has_the_mains_frequency_and_its_harmonics(mains_hz: int, rate_hz: int) -> None:
    hum = make_mains_hum(2 * rate_hz, rate_hz, np.random.default_rng(0), mains_hz=mains_hz)
    power = np.abs(np.fft.rfft(hum)) ** 2  # half a hertz per bin
    loudest = np.sort(np.argsort(power)[-5:]) / 2
    assert loudest.tolist() == [mains_hz * harmonic for harmonic in (1, 2, 3, 5, 7)]
    assert power.argmax() / 2 == mains_hz


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_rumble_lies_below_speech(rate_hz: int) -> None:
    rumble = make_rumble(3 * rate_hz, rate_hz, np.random.default_rng(0))
    assert measure_share_below(rumble, rate_hz, 70) > 0.8
    assert measure_share_below(rumble, rate_hz, 300) > 0.99


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(("add", "lasts_s"), [(add_click, 0.002), (add_tap, 0.1)])
def test_clicks_and_taps_are_short_and_of_their_height(
    add: Callable[..., Samples], lasts_s: float, rate_hz: int
) -> None:
    speech = make_speech(2 * rate_hz)
    starts = []
    for seed in range(20):
        added = add(speech, rate_hz, np.random.default_rng(seed), height=10) - speech
        changed = np.flatnonzero(np.abs(added) > 1e-6)
        assert changed[-1] - changed[0] < lasts_s * rate_hz
        assert np.abs(added).max() == pytest.approx(10 * np.abs(speech).max(), rel=0.05)
        starts.append(changed[0] / len(speech))
    assert min(starts) < 0.2
    assert max(starts) > 0.8


@pytest.mark.parametrize("n_samples", [1, 20, 500])
def test_a_recording_shorter_than_the_click_is_covered_by_it(n_samples: int) -> None:
    for add in (add_click, add_tap):
        result = add(make_speech(n_samples), 16_000, np.random.default_rng(0), height=1)
        assert result.shape == (n_samples,)
        assert result.dtype == np.float32


def test_copies_get_every_kind_of_interference() -> None:
    speech = make_speech(16_000)
    kinds: Counter[str] = Counter()
    for seed in range(80):
        added = add_interference(speech, 16_000, np.random.default_rng(seed))
        assert added.dtype == np.float32
        assert np.isfinite(added).all()
        changed = np.abs(added - speech) > 1e-6
        assert changed.any()
        # Hum and rumble are everywhere; three clicks last 6 ms, three taps 0.3 s.
        spread = "hum or rumble" if changed.mean() > 0.5 else "taps"
        kinds["clicks" if changed.mean() < 0.01 else spread] += 1
    assert set(kinds) == {"hum or rumble", "clicks", "taps"}
    assert min(kinds.values()) >= 10
    silence = np.zeros(1_000, np.float32)
    assert not add_interference(silence, 16_000, np.random.default_rng(0)).any()
