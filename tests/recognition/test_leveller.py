"""Levelling by what came before: against SciPy's filter, and at two levels."""

import numpy as np
import pytest
from scipy import signal

from emovox.recognition.leveller import HighPass, Leveller, design_high_pass

RATE_HZ, N = 16_000, 512


def test_the_filter_is_a_butterworth_filter() -> None:
    numerator, feedback = signal.butter(4, 64, "high", fs=RATE_HZ)
    found = design_high_pass(64.0, RATE_HZ)
    assert found[0] / found[1][0] == pytest.approx(numerator)
    assert found[1] / found[1][0] == pytest.approx(feedback)


def test_frames_are_filtered_as_one_signal() -> None:
    samples = (np.random.default_rng(0).standard_normal(20 * N) + 0.3).astype(np.float32)
    high_pass = HighPass(64.0, RATE_HZ)
    found = np.concatenate([high_pass.apply(frame) for frame in samples.reshape(-1, N)])
    sections = signal.butter(4, 64, "high", fs=RATE_HZ, output="sos")
    assert found == pytest.approx(signal.sosfilt(sections, samples.astype(float)), abs=1e-6)


def test_a_quiet_voice_after_a_loud_one_has_its_level_within_seconds() -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(4 * RATE_HZ) / RATE_HZ)
    samples = np.concatenate([0.5 * tone, 0.1 * tone]).astype(np.float32)
    leveller = Leveller(RATE_HZ, N, 0.1)
    levelled = leveller.apply(samples.reshape(-1, N))
    rms = np.sqrt(np.mean(np.square(levelled), axis=1))
    assert rms[100:125] == pytest.approx(0.1, rel=0.02)  # the end of the loud part
    assert rms[126] == pytest.approx(0.02, rel=0.05)
    assert rms[-10:] == pytest.approx(0.1, rel=0.1)


def test_a_quiet_room_stays_quiet() -> None:
    noise = 1e-5 * np.random.default_rng(0).standard_normal(50 * N)
    leveller = Leveller(RATE_HZ, N, 0.1)
    levelled = leveller.apply(noise.astype(np.float32).reshape(-1, N))
    assert np.abs(levelled).max() < 0.01
