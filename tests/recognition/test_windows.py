"""Windows of long recordings: where they end, that nothing is lost, and how they are weighted."""

import numpy as np
import numpy.typing as npt
import pytest

from emovox.recognition.recognizer import Recognizer
from emovox.recognition.windows import (
    average_windows,
    iterate_windows,
    measure_powers,
    measure_speech,
)

RATE_HZ = 8_000
Samples = npt.NDArray[np.float32]


def make_speech(seconds: float, amplitude: float = 0.5) -> Samples:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def cut(*blocks: Samples) -> list[Samples]:
    return [window.samples for window in iterate_windows(blocks, RATE_HZ)]


@pytest.mark.parametrize("seconds", [0.01, 3.0, 6.0])
def test_a_recording_of_a_few_seconds_is_one_window(seconds: float) -> None:
    samples = make_speech(seconds)
    (window,) = cut(samples)
    assert np.array_equal(window, samples)


def test_windows_end_in_pauses() -> None:
    pause = np.zeros(round(0.4 * RATE_HZ), np.float32)
    speech = [make_speech(s) for s in (4.0, 3.5, 5.0)]
    samples = np.concatenate([speech[0], pause, speech[1], pause, speech[2]])
    ends = np.cumsum([len(window) for window in cut(samples)])[:-1] / RATE_HZ
    # 4.0 to 4.4 s, and 7.9 to 8.3 s
    assert len(ends) == 2
    assert 4.0 < ends[0] < 4.4
    assert 7.9 < ends[1] < 8.3


def test_speech_without_a_pause_is_cut_all_the_same() -> None:
    lengths = [len(window) / RATE_HZ for window in cut(make_speech(60.0))]
    assert sum(lengths) == pytest.approx(60.0)
    assert max(lengths) <= 6.0
    assert min(lengths[:-1]) >= 3.0


def test_windows_hold_every_sample_once_whatever_the_blocks() -> None:
    generator = np.random.default_rng(0)
    samples = generator.uniform(-1, 1, 30 * RATE_HZ).astype(np.float32)
    edges = np.sort(generator.integers(0, len(samples), 50))
    whole, parts = cut(samples), cut(*np.split(samples, edges))
    assert np.array_equal(np.concatenate(whole), samples)
    assert [len(window) for window in whole] == [len(window) for window in parts]


def test_windows_count_by_how_much_speech_they_have() -> None:
    speech, quiet = make_speech(1.0), np.zeros(RATE_HZ, np.float32)
    much = measure_powers(np.concatenate([speech, speech, speech]), RATE_HZ)
    little = measure_powers(np.concatenate([speech, quiet, quiet]), RATE_HZ)
    scores = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    speech_s = measure_speech([much, little])
    assert speech_s.tolist() == [3.0, 1.0]
    assert average_windows(scores, speech_s).tolist() == [0.75, 0.25]


def test_an_offset_hides_no_pause() -> None:
    spoken = np.concatenate([make_speech(1.0), np.zeros(RATE_HZ, np.float32)]) + np.float32(0.4)
    assert measure_speech([measure_powers(spoken, RATE_HZ)]).tolist() == [1.0]


def test_a_click_does_not_take_the_weight_of_soft_speech() -> None:
    soft = make_speech(2.0, 0.01)
    clicked = soft.copy()
    clicked[100] = 1.0
    scores = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    powers = [measure_powers(samples, RATE_HZ) for samples in (soft, clicked)]
    assert average_windows(scores, measure_speech(powers)).tolist() == [0.5, 0.5]


def test_a_long_recording_is_predicted_by_the_mean_of_its_windows(loudness_model: str) -> None:
    samples = np.concatenate([make_speech(6.0, 0.2), make_speech(6.0, 0.9)])
    recognizer = Recognizer.load(loudness_model, vad=False, min_confidence=0)
    found = recognizer.predict(samples, rate_hz=RATE_HZ)
    windows = cut(samples)
    means = [float(np.abs(window).mean()) for window in windows]
    weights = [len(measure_powers(window, RATE_HZ)) for window in windows]
    assert found.scores is not None
    assert found.scores["loud"] == pytest.approx(np.average(means, weights=weights), abs=1e-4)
    assert (found.start_s, found.end_s) == (0.0, 12.0)
