"""The front end: waveform to a 64x64 dB spectrogram, as the first part of the network.

Training and the exported model file share this definition, so they cannot diverge. The result
equals librosa's ``stft`` and ``amplitude_to_db`` followed by scikit-image's ``resize``; resizing is
a matrix product along each axis.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from emovox.recipes.settings import FrontendSettings
from emovox.training.fourier import FftPower, MatmulPower


class SpectrogramFrontend(nn.Module):
    """Convert a waveform to a resized spectrogram in decibels.

    Args:
        settings: Sampling rate, STFT, decibel and image settings of the recipe.
        traceable: Use only operations that can be exported: no FFT, nothing cached per length.

    Examples:
        >>> frontend = SpectrogramFrontend(FrontendSettings())
        >>> frontend(torch.zeros(1, 48_000)).shape
        torch.Size([1, 1, 64, 64])
    """

    window: Tensor
    mel_filters: Tensor
    row_matrix: Tensor

    def __init__(self, settings: FrontendSettings, *, traceable: bool = False) -> None:
        super().__init__()
        self.settings = settings
        self.traceable = traceable
        self.power = MatmulPower(settings.n_fft) if traceable else FftPower()
        n_bands = settings.n_fft // 2 + 1
        if settings.scale == "mel":
            n_bands = settings.n_mels
            filters = make_mel_filters(settings).float()
            self.register_buffer("mel_filters", filters, persistent=False)
        rows = resize_matrix(torch.arange(n_bands), settings.image_height)
        self.register_buffer("window", torch.hann_window(settings.n_fft), persistent=False)
        self.register_buffer("row_matrix", rows, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the spectrogram.

        Args:
            waveform: float32 ``(batch, samples)`` in [-1, 1] at ``settings.sample_rate_hz``.

        Returns:
            float32 ``(batch, 1, image_height, image_width)`` in dB re 1.0, low frequencies first.
        """
        half = self.settings.n_fft // 2
        # Centred frames, zero-padded at both ends.
        padded = nn.functional.pad(waveform, (half, half))
        bands = self.power(self.cut_frames(padded) * self.window)  # (batch, frames, bins)
        if self.settings.scale == "mel":
            bands = bands @ self.mel_filters.T  # (batch, frames, mels)
        decibels = self.power_to_db(bands)
        rows = decibels @ self.row_matrix.T  # (batch, frames, height)
        image = self.column_matrix(rows.shape[1]) @ rows  # (batch, width, height)
        return image.transpose(1, 2).unsqueeze(1)  # (batch, 1, height, width)

    def cut_frames(self, padded: Tensor) -> Tensor:
        """Cut overlapping frames ``(batch, frames, n_fft)``."""
        n_fft, hop = self.settings.n_fft, self.settings.hop_samples
        if not self.traceable or n_fft % hop:
            return padded.unfold(1, n_fft, hop)
        # In a graph, unfold gathers sample by sample; copying entire hops is several times faster.
        n_hops = padded.shape[1] // hop
        hops = padded[:, : n_hops * hop].reshape(len(padded), n_hops, hop)
        n_parts = n_fft // hop
        n_frames = n_hops - n_parts + 1
        return torch.cat([hops[:, i : i + n_frames] for i in range(n_parts)], dim=2)

    def power_to_db(self, power: Tensor) -> Tensor:
        """Convert power to dB re 1.0, floored ``top_db`` below each clip's loudest bin."""
        decibels = 10 * torch.log10(power.clamp(min=self.settings.amin**2))
        loudest = decibels.amax((1, 2), keepdim=True)
        return torch.maximum(decibels, loudest - self.settings.top_db)

    def column_matrix(self, n_frames: int) -> Tensor:
        """Return the matrix ``(width, frames)`` that resizes the time axis."""
        if self.traceable:
            return resize_matrix(torch.arange(n_frames), self.settings.image_width)
        return keep_resize_matrix(n_frames, self.settings.image_width)


@lru_cache(maxsize=256)
def keep_resize_matrix(n: int, size: int) -> Tensor:
    """Make a resize matrix, cached for each length."""
    with torch.inference_mode(mode=False):
        return resize_matrix(torch.arange(n), size)


def resize_matrix(positions: Tensor, size: int) -> Tensor:
    """Build a matrix that resizes one axis like scikit-image's ``resize`` with anti-aliasing.

    A Gaussian of sigma ``(n / size - 1) / 2``, cut at 4 sigma, then linear interpolation, with
    mirrored edges (``skimage.transform.resize(order=1, mode="reflect", anti_aliasing=True)``).
    Normalising the rows also normalises the Gaussian.

    Args:
        positions: ``arange(n)``; a tensor, so that the exported graph accepts any length.
        size: Target length.

    Returns:
        float32 ``(size, n)``; each row sums to 1.
    """
    positions = positions.to(torch.float32)
    last = positions[-1]
    scale = (last + 1) / size
    centres = (torch.arange(size, device=positions.device) + 0.5) * scale - 0.5
    left = centres.floor()
    fraction = (centres - left)[:, None]
    # Below one sample per pixel nothing is smoothed: a tiny sigma leaves only the centre tap.
    sigma = ((scale - 1) / 2).clamp(min=1e-3)
    radius = (4 * sigma + 0.5).floor()

    def gaussian(offset: Tensor) -> Tensor:
        return torch.exp(-0.5 * (offset / sigma).square()) * (offset.abs() <= radius)

    def weigh(sources: Tensor) -> Tensor:
        offset = sources - left[:, None]
        return (1 - fraction) * gaussian(offset) + fraction * gaussian(offset - 1)

    weights = weigh(positions)
    weights = weights + weigh(-positions) * (positions > 0)
    weights = weights + weigh(2 * last - positions) * (positions < last)
    return weights / weights.sum(1, keepdim=True)


def make_mel_filters(settings: FrontendSettings) -> Tensor:
    """Make triangular mel filters of unit height (O'Shaughnessy's scale, as in HTK).

    Returns:
        float64 ``(n_mels, n_fft / 2 + 1)``.
    """
    nyquist_hz = settings.sample_rate_hz / 2
    top_mel = 2595 * math.log10(1 + nyquist_hz / 700)
    mels = torch.linspace(0, top_mel, settings.n_mels + 2, dtype=torch.float64)
    edges_hz = 700 * (10 ** (mels / 2595) - 1)
    bins_hz = torch.linspace(0, nyquist_hz, settings.n_fft // 2 + 1, dtype=torch.float64)
    rise = (bins_hz - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    fall = (edges_hz[2:, None] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    return torch.minimum(rise, fall).clamp(min=0)
