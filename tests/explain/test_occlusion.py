import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.audio.waveform import Waveform
from emovox.explain.occlusion import (
    estimate_background,
    fade_between,
    hz_to_mel,
    make_band_edges,
    make_time_windows,
    mel_to_hz,
    split_signal,
)

RATE_HZ = 8_000


def burst(frequency_hz: float, start_s: float, end_s: float, seconds: float = 1.0) -> Waveform:
    """Return a tone that sounds for a while, over faint noise."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    on = (time_s >= start_s) & (time_s < end_s)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(time_s))
    samples = 0.5 * on * np.sin(2 * np.pi * frequency_hz * time_s) + noise
    return Waveform(samples.astype(np.float32), RATE_HZ)


def test_bands_are_evenly_apart_in_mel_up_to_8_khz() -> None:
    assert make_band_edges(16_000, 2).round().tolist() == [0, 1768, 8000]
    assert make_band_edges(8_000, 3)[-1] == 4_000
    assert make_band_edges(48_000, 4)[-2:].tolist() == [8_000, 24_000]
    assert np.diff(hz_to_mel(make_band_edges(16_000, 5))) == pytest.approx(2840.02 / 5, abs=0.01)
    assert mel_to_hz(hz_to_mel([0.0, 123.0, 7_999.0])) == pytest.approx([0, 123, 7_999])


def test_a_fade_is_a_raised_cosine_around_each_inner_edge() -> None:
    weights = fade_between(np.array([0.5, 0.75, 1.0, 1.25, 1.5]), np.array([0.0, 1.0, 9.0]), 1.0)
    half = np.sqrt(0.5) / 2
    assert weights[1] == pytest.approx([0, 0.5 - half, 0.5, 0.5 + half, 1])
    assert weights.sum(axis=0) == pytest.approx(1)


@given(st.integers(1, 400), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_windows_share_every_sample_among_them(n_samples: int, n_times: int) -> None:
    edges_s = np.linspace(0, n_samples / RATE_HZ, n_times + 1)
    windows = make_time_windows(n_samples, RATE_HZ, edges_s)
    assert windows.shape == (n_times, n_samples)
    assert windows.min() >= 0
    assert windows.sum(axis=0) == pytest.approx(1)


def test_the_background_is_that_of_the_quietest_tenth() -> None:
    magnitude = np.full((2, 20), 5.0)
    magnitude[:, 7] = [3.0, 0.0]
    magnitude[:, 11] = [1.0, 0.5]
    # Root mean square of 3 and 1, of 0 and 0.5.
    assert estimate_background(magnitude)[:, 0] == pytest.approx([5**0.5, 0.125**0.5])


def test_what_is_louder_than_the_background_lies_in_its_band_and_the_rest_stays() -> None:
    waveform = burst(1_000, 0.4, 0.6)
    bands = split_signal(waveform, np.array([0.0, 500.0, 2_000.0, 4_000.0]))
    energy = (bands**2).sum(axis=1)
    assert energy[1] > 0.99 * energy.sum()
    rest = waveform.samples - bands.sum(axis=0)
    # The burst sinks to the level of the noise, not to nothing.
    inside, outside = rest[3_400:4_600], rest[:2_800]
    assert 0.3 < np.std(inside) / np.std(outside) < 2
    assert np.std(waveform.samples[3_400:4_600]) > 100 * np.std(outside)


def test_a_steady_tone_is_background() -> None:
    waveform = burst(1_000, 0.0, 1.0)
    removable = split_signal(waveform, make_band_edges(RATE_HZ, 4)).sum(axis=0)
    middle = removable[800:-800]
    assert np.std(middle) < 0.02 * np.std(waveform.samples)


@pytest.mark.parametrize("n_samples", [1, 2, 100, 255, 256, 257, 1_000])
@pytest.mark.parametrize("rate_hz", [1_000, 8_000, 44_100])
def test_short_clips_are_cut_too(n_samples: int, rate_hz: int) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, n_samples).astype(np.float32)
    bands = split_signal(Waveform(samples, rate_hz), make_band_edges(rate_hz, 3))
    assert bands.shape[1] == n_samples
    assert np.isfinite(bands).all()
    # Taking away never adds energy beyond what smooth edges ring.
    rest = samples - bands.sum(axis=0)
    assert (rest**2).sum() <= 1.001 * (samples.astype(np.float64) ** 2).sum() + 1e-12


def test_in_silence_there_is_nothing_to_take_out() -> None:
    silence = Waveform(np.zeros(4_000, np.float32), RATE_HZ)
    assert not split_signal(silence, make_band_edges(RATE_HZ, 4)).any()
