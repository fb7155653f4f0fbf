import math

import pytest
import torch

from emovox.recipes.settings import FrontendSettings
from emovox.training.fourier import FftPower, MatmulPower
from emovox.training.frontend import SpectrogramFrontend

# 400 is Whisper's: 20 x 20, no power of two. Of an odd number of coarse steps: 90 = 9 x 10.
SIZES = [64, 90, 128, 256, 400, 512, 1024, 2048, 4096]


@pytest.mark.parametrize("n_fft", SIZES)
def test_both_forms_agree_with_a_transform_in_double_precision(n_fft: int) -> None:
    frames = torch.randn(2, 3, n_fft, generator=torch.Generator().manual_seed(n_fft))
    expected = torch.fft.rfft(frames.double()).abs().square()
    for power in (FftPower(), MatmulPower(n_fft)):
        found = power(frames)
        assert found.shape == (2, 3, n_fft // 2 + 1)
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("n_fft", [64, 400, 2048])
@pytest.mark.parametrize("frequency", [0, 1, 17, 31, 32])
def test_a_cosine_has_its_power_in_its_own_bin(n_fft: int, frequency: int) -> None:
    angle = 2 * math.pi * frequency * torch.arange(n_fft, dtype=torch.float64) / n_fft
    frames = angle.cos().float()[None, None]
    found = MatmulPower(n_fft)(frames)[0, 0]
    alone = frequency in (0, n_fft // 2)  # elsewhere half of it lies in the mirror image
    assert found[frequency].item() == pytest.approx((n_fft if alone else n_fft / 2) ** 2, rel=1e-5)
    assert found.sum().item() == pytest.approx(found[frequency].item(), rel=1e-5)


@pytest.mark.parametrize("hop_samples", [512, 256, 300])
@pytest.mark.parametrize("scale", ["linear", "mel"])
@pytest.mark.parametrize("n_samples", [1, 511, 512, 513, 5_000, 48_001])
def test_the_traceable_front_end_gives_the_same_image(
    hop_samples: int, scale: str, n_samples: int
) -> None:
    settings = FrontendSettings.model_validate({"hop_samples": hop_samples, "scale": scale})
    waveform = torch.rand(2, n_samples, generator=torch.Generator().manual_seed(0)) - 0.5
    found = SpectrogramFrontend(settings, traceable=True)(waveform)
    expected = SpectrogramFrontend(settings)(waveform)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)
