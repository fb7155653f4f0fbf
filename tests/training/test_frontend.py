import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage, signal

from emovox.recipes.settings import FrontendSettings
from emovox.training.frontend import SpectrogramFrontend, make_mel_filters, resize_matrix

Array = NDArray[np.float64]

HERE = Path(__file__).parent
GOLDEN = np.load(HERE / "golden_features.npz")
SIGNALS = runpy.run_path(str(HERE / "golden_signals.py"))["make_golden_signals"]()


def compute_image(samples: NDArray[np.float32], choices: FrontendSettings) -> Array:
    with torch.inference_mode():
        image = SpectrogramFrontend(choices)(torch.from_numpy(samples)[None])
    assert image.shape == (1, 1, choices.image_height, choices.image_width)
    assert image.dtype == torch.float32
    return np.asarray(image[0, 0].numpy(), dtype=np.float64)


def make_noise(n_samples: int, seed: int) -> NDArray[np.float32]:
    """Return noise that swells and fades, so that frames differ by some 40 dB."""
    rng = np.random.default_rng(seed)
    swell = 10 ** (-1 - np.cos(np.linspace(0, 9, n_samples)))
    return (swell * rng.uniform(-1, 1, n_samples)).astype(np.float32)


def compute_by_scipy(samples: NDArray[np.float32], choices: FrontendSettings) -> Array:
    """Compute the image in double precision, from scipy's STFT, filter and zoom alone."""
    n_fft, hop = choices.n_fft, choices.hop_samples
    padded = np.pad(samples.astype(np.float64), n_fft // 2)
    _, _, spectrum = signal.stft(
        padded, window="hann", nperseg=n_fft, noverlap=n_fft - hop, boundary=None, padded=False
    )
    power = np.abs(spectrum * n_fft / 2) ** 2  # (n_fft / 2 + 1, frames)
    if choices.scale == "mel":
        power = compute_mel_filters(choices) @ power
    decibels = 10 * np.log10(np.maximum(power, choices.amin**2))
    decibels = np.maximum(decibels, decibels.max() - choices.top_db)
    factors = np.array(decibels.shape) / (choices.image_height, choices.image_width)
    smooth = ndimage.gaussian_filter(
        decibels, np.maximum(0, (factors - 1) / 2), mode="mirror", truncate=4
    )
    image: Array = ndimage.zoom(smooth, 1 / factors, order=1, mode="mirror", grid_mode=True)
    return image


def compute_mel_filters(choices: FrontendSettings) -> Array:
    """Compute each triangle by linear interpolation between its three corners."""
    nyquist_hz = choices.sample_rate_hz / 2
    top_mel = 2595 * np.log10(1 + nyquist_hz / 700)
    corners_hz = 700 * (10 ** (np.linspace(0, top_mel, choices.n_mels + 2) / 2595) - 1)
    bins_hz = np.fft.rfftfreq(choices.n_fft, 1 / choices.sample_rate_hz)
    return np.array(
        [
            np.interp(bins_hz, corners_hz[i : i + 3], [0, 1, 0], left=0, right=0)
            for i in range(choices.n_mels)
        ]
    )


@pytest.mark.parametrize("name", ["chirp", "bursts", "voiced"])
def test_image_is_librosas_and_skimages(name: str) -> None:
    samples = SIGNALS[name]
    # Were the signal another, the comparison would say nothing about the front end.
    assert float(np.abs(samples, dtype=np.float64).sum()) == pytest.approx(
        float(GOLDEN[f"samples_sum_{name}"]), abs=1e-4
    )
    image = compute_image(samples, FrontendSettings())
    np.testing.assert_allclose(image, GOLDEN[name], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "n_samples",
    [1, 2, 511, 512, 513, 2_047, 2_048, 20_000, 32_256, 32_767, 32_768, 48_000, 201_123],
)
def test_any_length_is_scipys(n_samples: int) -> None:
    samples = make_noise(n_samples, seed=n_samples)
    choices = FrontendSettings()
    expected = compute_by_scipy(samples, choices)
    np.testing.assert_allclose(compute_image(samples, choices), expected, rtol=0, atol=5e-3)


@settings(max_examples=15, deadline=None)
@given(n_samples=st.integers(1, 12_000), seed=st.integers(0, 99))
def test_random_lengths_are_scipys(n_samples: int, seed: int) -> None:
    samples = make_noise(n_samples, seed)
    choices = FrontendSettings(sample_rate_hz=16_000, n_fft=512, hop_samples=160)
    expected = compute_by_scipy(samples, choices)
    np.testing.assert_allclose(compute_image(samples, choices), expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("n_fft", "hop_samples"),
    [(64, 64), (64, 7), (128, 50), (256, 128), (512, 512), (1_024, 333), (4_096, 1_024)],
)
@pytest.mark.parametrize("scale", ["linear", "mel"])
def test_other_stft_sizes_are_scipys(n_fft: int, hop_samples: int, scale: str) -> None:
    choices = FrontendSettings.model_validate(
        {
            "sample_rate_hz": 16_000,
            "n_fft": n_fft,
            "hop_samples": hop_samples,
            "scale": scale,
            "n_mels": 12,
        }
    )
    samples = make_noise(9_999, seed=3)
    expected = compute_by_scipy(samples, choices)
    np.testing.assert_allclose(compute_image(samples, choices), expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 100), (257, 9), (3, 64)])
def test_other_image_sizes_are_scipys(height: int, width: int) -> None:
    choices = FrontendSettings(
        sample_rate_hz=16_000, n_fft=512, hop_samples=128, image_height=height, image_width=width
    )
    samples = make_noise(8_000, seed=5)
    expected = compute_by_scipy(samples, choices)
    np.testing.assert_allclose(compute_image(samples, choices), expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("amin", "top_db", "floor_db"),
    [(1e-5, 80.0, -80.0), (1e-5, 300.0, -100.0), (0.1, 300.0, -20.0)],
)
def test_silence_beside_a_click_is_the_floor(amin: float, top_db: float, floor_db: float) -> None:
    samples = np.zeros(48_000, dtype=np.float32)
    samples[0] = 1.0  # in the middle of the first window, where Hann is 1: 0 dB in every bin
    choices = FrontendSettings(amin=amin, top_db=top_db)
    image = compute_image(samples, choices)
    np.testing.assert_allclose(image[:, 30:], floor_db, atol=1e-3)
    np.testing.assert_allclose(image, compute_by_scipy(samples, choices), rtol=0, atol=5e-3)
    assert image[:, 0].min() > floor_db + 10


@pytest.mark.parametrize("n_samples", [1, 100, 48_000])
def test_silence_is_amin_everywhere(n_samples: int) -> None:
    image = compute_image(np.zeros(n_samples, dtype=np.float32), FrontendSettings())
    np.testing.assert_allclose(image, -100.0, atol=1e-3)


@pytest.mark.parametrize("frequency_hz", [750.0, 3_000.0, 12_000.0, 20_250.0])
def test_tone_is_as_high_and_as_loud_as_computed_by_hand(frequency_hz: float) -> None:
    # One bin a row: n_fft 128 has 65 bins of 375 Hz. A tone of amplitude a on a bin gives the
    # magnitude a * 128 / 2 / 2 (half the window's sum); here 0.25 * 32 = 8, i.e. 18.06 dB.
    choices = FrontendSettings(n_fft=128, hop_samples=128, image_height=65)
    time_s = np.arange(65 * 128) / 48_000
    samples = (0.25 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)
    column = compute_image(samples, choices)[:, 32]
    assert column.argmax() == frequency_hz / 375
    assert column.max() == pytest.approx(20 * np.log10(8), abs=1e-3)


@pytest.mark.parametrize("scale", ["linear", "mel"])
def test_batch_is_each_clip_alone(scale: str) -> None:
    choices = FrontendSettings.model_validate({"scale": scale, "sample_rate_hz": 16_000})
    frontend = SpectrogramFrontend(choices)
    loud, faint = make_noise(30_000, seed=1), 1e-3 * make_noise(30_000, seed=2)
    batch = torch.from_numpy(np.stack([loud, faint, np.zeros_like(loud)]))
    with torch.inference_mode():
        together = frontend(batch)
        alone = torch.cat([frontend(row[None]) for row in batch])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)
    # The loud clip's top_db must not lift the faint one's floor.
    assert together[1].min().item() < together[0].max().item() - choices.top_db


def test_mel_filters_are_those_computed_directly() -> None:
    choices = FrontendSettings(sample_rate_hz=16_000, n_fft=1_024, scale="mel", n_mels=40)
    filters = make_mel_filters(choices).numpy()
    np.testing.assert_allclose(filters, compute_mel_filters(choices), rtol=0, atol=1e-12)
    assert filters.shape == (40, 513)
    assert filters.max() <= 1
    # The scale's anchor: 1,000 mel are 1,000 Hz.
    assert 700 * (10 ** (1_000 / 2595) - 1) == pytest.approx(1_000, abs=0.1)


def test_constants_are_no_weights() -> None:
    frontend = SpectrogramFrontend(FrontendSettings())
    assert list(frontend.parameters()) == []
    assert frontend.state_dict() == {}


@given(n=st.integers(1, 3_000), size=st.integers(1, 130))
@settings(max_examples=100, deadline=None)
def test_resize_rows_sum_to_one(n: int, size: int) -> None:
    matrix = resize_matrix(torch.arange(n), size)
    assert matrix.shape == (size, n)
    assert matrix.dtype == torch.float32
    assert matrix.min() >= 0
    torch.testing.assert_close(matrix.sum(1), torch.ones(size), rtol=0, atol=1e-5)


@given(n=st.integers(1, 1_000), size=st.integers(3, 130), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_resize_is_a_gaussian_and_a_zoom(n: int, size: int, seed: int) -> None:
    values = np.random.default_rng(seed).uniform(-100, 0, n)
    sigma = max(0, (n / size - 1) / 2)
    smooth = (
        ndimage.gaussian_filter1d(values, sigma, mode="mirror", truncate=4) if sigma else values
    )
    expected = ndimage.zoom(smooth, size / n, order=1, mode="mirror", grid_mode=True)
    found = resize_matrix(torch.arange(n), size).double().numpy() @ values
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_resize_to_the_same_size_changes_nothing(n: int) -> None:
    torch.testing.assert_close(resize_matrix(torch.arange(n), n), torch.eye(n))
