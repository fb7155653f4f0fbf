"""The map against made models, of which it is known what they listen to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from scipy.signal import firwin

from emovox.audio.waveform import Waveform
from emovox.errors import AudioError, EmovoxError
from emovox.explain.occlusion import split_signal
from emovox.explain.regions import Explanation, explain_recording, explain_waveform
from emovox.export.metadata import seal_proto
from emovox.recognition.model_file import find_default_model
from emovox.recognition.recognizer import Recognizer

RATE_HZ = 8_000
Make = Callable[..., Recognizer]


@pytest.fixture
def make_model(loudness_model: Path, tmp_path: Path) -> Make:
    """Return a function that opens a model whose P(loud) is what some ONNX nodes say."""

    def make(nodes: list[Any], **constants: Any) -> Recognizer:
        model = onnx.load(loudness_model)
        graph = model.graph
        del graph.node[:2]
        for node in reversed(nodes):
            graph.node.insert(0, node)
        graph.initializer.extend(
            numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
        )
        onnx.checker.check_model(model)
        path = tmp_path / "made.onnx"
        path.write_bytes(seal_proto(model))
        return Recognizer.load(path, vad=False)

    return make


@pytest.fixture
def band_model(make_model: Make) -> Recognizer:
    """Return a model that hears nothing but 850 to 1,000 Hz."""
    taps = firwin(401, [850, 1_000], fs=RATE_HZ, pass_zero=False)
    return make_model(
        [
            helper.make_node("Unsqueeze", ["waveform", "axes"], ["rows"]),
            helper.make_node("Conv", ["rows", "taps"], ["band"], pads=[200, 200]),
            helper.make_node("Abs", ["band"], ["rectified"]),
            helper.make_node("ReduceMean", ["rectified", "axes_all"], ["loud3"], keepdims=1),
            helper.make_node("Squeeze", ["loud3", "axes"], ["loud"]),
        ],
        taps=taps[np.newaxis, np.newaxis].astype(np.float32),
        axes_all=np.array([2]),
    )


@pytest.fixture
def time_model(make_model: Make) -> Recognizer:
    """Return a model that hears nothing but the stretch from 0.5 to 0.75 s."""
    return make_model(
        [
            helper.make_node("Slice", ["waveform", "start", "end", "axes"], ["stretch"]),
            helper.make_node("Abs", ["stretch"], ["rectified"]),
            helper.make_node("ReduceMean", ["rectified", "axes"], ["loud"], keepdims=1),
        ],
        start=np.array([4_000]),
        end=np.array([6_000]),
    )


def make_linear_model(make_model: Make, template: np.ndarray[Any, Any]) -> Recognizer:
    """Return a model whose P(loud) is 0.5 and the waveform's product with a template."""
    return make_model(
        [
            helper.make_node("MatMul", ["waveform", "template"], ["product"]),
            helper.make_node("Add", ["product", "half"], ["loud"]),
        ],
        template=template[:, np.newaxis].astype(np.float32),
        half=np.array([0.5], np.float32),
    )


def syllables(*frequencies_hz: float, seconds: float = 1.0) -> Waveform:
    """Return tones that swell and fade together four times a second, and a faint noise."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tones = sum(np.sin(2 * np.pi * hz * time_s) for hz in frequencies_hz)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(time_s))
    samples = 0.3 * np.sin(4 * np.pi * time_s) ** 2 * tones + noise
    return Waveform(samples.astype(np.float32), RATE_HZ)


def test_the_weight_is_on_the_band_that_the_model_hears(band_model: Recognizer) -> None:
    explanation = explain_waveform(band_model, syllables(300, 920, 2_500), emotion="loud")
    heard = 3
    low, high = explanation.band_edges_hz[heard : heard + 2]
    assert low < 850 < 1_000 < high
    assert explanation.band_drops[heard] > 0.95 * explanation.probability
    share = np.abs(explanation.drops[heard]).sum() / np.abs(explanation.drops).sum()
    assert share > 0.95
    assert explanation.find_regions(1, min_drop=0.001)[0].low_hz == low


def test_the_weight_is_on_the_time_that_the_model_hears(time_model: Recognizer) -> None:
    explanation = explain_waveform(
        time_model, syllables(300, 1_050, 2_500), emotion="loud", n_times=8
    )
    assert explanation.time_edges_s.tolist() == [i / 8 for i in range(9)]
    inside = np.abs(explanation.drops[:, 4:6]).sum()
    assert inside > 0.95 * np.abs(explanation.drops).sum()
    assert explanation.time_drops[4:6].sum() > 0.9 * explanation.probability
    # Beyond the fade of 20 ms nothing is touched at all.
    assert not explanation.drops[:, [0, 1, 2, 7]].any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_parts_of_a_linear_model_sum_to_the_whole(
    make_model: Make, seed: int, n_times: int, n_bands: int
) -> None:
    rng = np.random.default_rng(seed)
    waveform = syllables(*rng.uniform(100, 3_900, 3), seconds=0.25)
    template = rng.normal(0, 1, len(waveform.samples))
    # Probabilities have to stay ones: 0.2 either way.
    template *= 0.2 / np.abs(template * np.abs(waveform.samples)).sum()
    recognizer = make_linear_model(make_model, template)
    found = explain_waveform(recognizer, waveform, emotion="loud", n_times=n_times, n_bands=n_bands)
    removed = split_signal(waveform, found.band_edges_hz).sum(axis=0)
    assert found.drops.sum() == pytest.approx(removed @ template, abs=1e-5)
    assert found.drops.sum(axis=0) == pytest.approx(found.time_drops, abs=1e-5)
    assert found.drops.sum(axis=1) == pytest.approx(found.band_drops, abs=1e-5)


def test_what_speaks_for_one_of_two_emotions_speaks_against_the_other(
    loudness_model: Path,
) -> None:
    recognizer = Recognizer.load(loudness_model, vad=False)
    loud = explain_waveform(recognizer, syllables(500), emotion="loud", n_times=4, n_bands=3)
    quiet = explain_waveform(recognizer, syllables(500), n_times=4, n_bands=3)
    assert quiet.emotion == "quiet"
    assert loud.probability + quiet.probability == pytest.approx(1)
    assert loud.drops == pytest.approx(-quiet.drops)
    assert loud.time_drops.min() > 0.01
    # A clip of four equal syllables: each matters as much.
    assert np.ptp(loud.time_drops) < 0.15 * loud.time_drops.mean()


def test_the_same_clip_gives_the_same_numbers(band_model: Recognizer) -> None:
    first, second = (explain_waveform(band_model, syllables(1_050)).to_dict() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.parametrize("n_samples", [1, 100, 4_000])
def test_in_silence_nothing_speaks_for_anything(loudness_model: Path, n_samples: int) -> None:
    silence = Waveform(np.zeros(n_samples, np.float32), RATE_HZ)
    found = explain_waveform(Recognizer.load(loudness_model, vad=False), silence)
    assert (found.emotion, found.probability) == ("quiet", 1)
    assert not found.drops.any()
    assert not found.time_drops.any()
    assert not found.band_drops.any()
    assert found.find_regions() == ()


@pytest.mark.parametrize("n_samples", [1, 7, 300])
def test_short_clips_are_explained(loudness_model: Path, n_samples: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    found = explain_waveform(Recognizer.load(loudness_model, vad=False), Waveform(samples, RATE_HZ))
    assert found.drops.shape == (8, 16)
    assert np.isfinite(found.drops).all()
    assert np.abs(found.drops).max() <= 1


def test_regions_are_the_strongest_cells_either_way() -> None:
    found = Explanation(
        "sad",
        0.8,
        np.array([[0.1, -0.4], [0.004, 0.213]]),
        np.array([0.3, -0.005]),
        np.array([-0.2, 0.25]),
        np.array([0.0, 0.5, 1.0]),
        np.array([0.0, 1_000.0, 4_000.0]),
    )
    assert [str(region) for region in found.find_regions()] == [
        "0.50-1.00 s, 0-1,000 Hz: -40 points",
        "0.50-1.00 s, 1,000-4,000 Hz: +21 points",
        "0.00-0.50 s, 0-1,000 Hz: +10 points",
    ]
    assert [region.drop for region in found.find_regions(1)] == [-0.4]
    assert [str(region) for region in found.find_stretches()] == [
        "0.00-0.50 s, 0-4,000 Hz: +30 points"
    ]
    assert [str(region) for region in found.find_bands(2)] == [
        "0.00-1.00 s, 1,000-4,000 Hz: +25 points",
        "0.00-1.00 s, 0-1,000 Hz: -20 points",
    ]


def test_what_cannot_be_explained_is_refused(loudness_model: Path, tmp_path: Path) -> None:
    recognizer = Recognizer.load(loudness_model)
    waveform = syllables(500)
    with pytest.raises(EmovoxError, match="has no emotion 'sad'; expected one of quiet, loud"):
        explain_waveform(recognizer, waveform, emotion="sad")
    for n_times, n_bands in ((0, 8), (16, 0), (5_000, 3)):
        with pytest.raises(EmovoxError, match=f"a grid of {n_times} by {n_bands}; expected"):
            explain_waveform(recognizer, waveform, n_times=n_times, n_bands=n_bands)
    with pytest.raises(AudioError, match=r"found 16\.0 s; expected at most 6 s"):
        explain_waveform(recognizer, syllables(500, seconds=16.0))
    path = tmp_path / "tone.wav"
    sf.write(path, waveform.samples, RATE_HZ)
    with pytest.raises(AudioError, match=r"tone\.wav: no speech detected"):
        explain_recording(recognizer, path)
    found = explain_recording(Recognizer.load(loudness_model, vad=False), path, n_times=2)
    assert found.drops.shape == (8, 2)


def test_the_shipped_model_listens_where_somebody_speaks(reference_clips: Path) -> None:
    path = reference_clips / "Actor_01" / "03-01-05-02-01-01-01.opus"
    recognizer = Recognizer.load(find_default_model())
    found = explain_recording(recognizer, path, n_times=8, n_bands=4)
    assert found.probability == recognizer.predict(path).confidence
    # Of 4.1 s, the actor speaks from 1.0 to 3.1.
    strength = np.abs(found.drops).sum(axis=0)
    assert strength[2:6].sum() > 0.8 * strength.sum()
