"""Zeros, cropping and speed: lengths and what is left where."""

import numpy as np
import pytest

from emovox.errors import AudioError
from emovox.perturbations import timing

SAMPLES = np.linspace(0.1, 1, 10).astype(np.float32)


def test_zeros_go_where_they_are_asked_for() -> None:
    np.testing.assert_array_equal(timing.append_zeros(SAMPLES, 3)[:10], SAMPLES)
    np.testing.assert_array_equal(timing.append_zeros(SAMPLES, 3)[10:], 0)
    np.testing.assert_array_equal(timing.prepend_zeros(SAMPLES, 3)[3:], SAMPLES)
    np.testing.assert_array_equal(timing.prepend_zeros(SAMPLES, 3)[:3], 0)
    assert timing.prepend_zeros(SAMPLES, 3).dtype == np.float32


@pytest.mark.parametrize("n_samples", [0, 1, 9])
def test_cropping_removes_that_many(n_samples: int) -> None:
    np.testing.assert_array_equal(timing.crop_beginning(SAMPLES, n_samples), SAMPLES[n_samples:])
    np.testing.assert_array_equal(timing.crop_end(SAMPLES, n_samples), SAMPLES[: 10 - n_samples])


@pytest.mark.parametrize("n_samples", [10, 1_000])
def test_cropping_all_there_is_is_refused(n_samples: int) -> None:
    with pytest.raises(AudioError, match="holds 10 samples, of which"):
        timing.crop_end(SAMPLES, n_samples)
    with pytest.raises(AudioError, match="expected a longer recording"):
        timing.crop_beginning(SAMPLES, n_samples)


@pytest.mark.parametrize(("speed", "length"), [(0.9, 20_000), (1.1, 16_364), (1.0, 18_000)])
def test_speed_changes_length_and_pitch_together(speed: float, length: int) -> None:
    time_s = np.arange(18_000) / 16_000
    tone = np.sin(2 * np.pi * 1_000 * time_s).astype(np.float32)
    played = timing.change_speed(tone, 16_000, speed)
    assert len(played) == pytest.approx(length, abs=1)
    peak = np.abs(np.fft.rfft(played * np.hanning(len(played)))).argmax()
    assert peak * 16_000 / len(played) == pytest.approx(1_000 * speed, abs=1)
