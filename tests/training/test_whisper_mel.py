from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emovox.training.whisper_mel import MAX_SAMPLES, WhisperLogMel

transformers: Any = pytest.importorskip("transformers", reason="the extra hf is not installed")
Samples = NDArray[np.float32]


def make_sound(n_samples: int, seed: int = 0) -> Samples:
    """Make a gliding tone in noise."""
    time_s = np.arange(n_samples) / 16_000
    noise = np.random.default_rng(seed).normal(size=n_samples)
    sound = 0.3 * np.sin(2 * np.pi * (300 + 900 * time_s) * time_s) + 0.01 * noise
    return sound.astype(np.float32)


def compute_both(samples: Samples, n_mels: int) -> tuple[Samples, Samples]:
    """Return our log-mel ``(frames, mels)``, and the extractor's of the same length."""
    extractor = transformers.WhisperFeatureExtractor(feature_size=n_mels)
    features = extractor(samples, sampling_rate=16_000, return_tensors="np").input_features[0].T
    ours = WhisperLogMel(np.asarray(extractor.mel_filters))(torch.from_numpy(samples)[None])[0]
    return ours.numpy(), features[: len(ours)]


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("n_samples", [1, 159, 160, 201, 1_000, 16_000, 50_123])
def test_log_mel_is_the_extractors(n_samples: int, n_mels: int) -> None:
    ours, theirs = compute_both(make_sound(n_samples), n_mels)
    assert ours.shape == (n_samples // 160 + 1, n_mels)
    # float32 products against their float64 FFT: 2e-3 is 0.08 dB, in bands 80 dB down.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3)
    if n_samples >= 1_000:
        assert np.ptp(ours) > 1


def test_silence_and_the_longest_recording() -> None:
    ours, theirs = compute_both(np.zeros(3_000, np.float32), 80)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    ours, theirs = compute_both(make_sound(MAX_SAMPLES), 80)
    assert ours.shape == (3_000, 80)
    # The extractor mirrors the end of what fills its 30 s; for us silence follows.
    np.testing.assert_allclose(ours[:-1], theirs[:-1], rtol=0, atol=2e-3)


def test_each_recording_is_computed_by_itself() -> None:
    extractor = transformers.WhisperFeatureExtractor()
    log_mel = WhisperLogMel(np.asarray(extractor.mel_filters))
    loud, quiet = make_sound(4_000), 0.01 * make_sound(4_000, seed=1)
    both = log_mel(torch.from_numpy(np.stack([loud, quiet])))
    alone = log_mel(torch.from_numpy(quiet)[None])
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-5)
