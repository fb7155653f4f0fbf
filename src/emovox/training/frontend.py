"""The front end: waveform to a standardised 64x64 dB spectrogram, as the first part of the network.

One definition serves training and the exported model file, so the two cannot drift apart. It gives
what librosa's ``stft`` and ``amplitude_to_db`` and scikit-image's ``resize`` give one after the
other, written as matrix products, which torch, ONNX Runtime and a browser all compute fast.
"""

import math

import torch
from torch import Tensor, nn

from emovox.training.recipe import FrontendSettings


class SpectrogramFrontend(nn.Module):
    """Turn a waveform into an image of its spectrum in decibels.

    Args:
        settings: Sampling rate, STFT, decibel and image settings of the recipe.

    Example:
        >>> frontend = SpectrogramFrontend(FrontendSettings())
        >>> frontend(torch.zeros(1, 48_000)).shape
        torch.Size([1, 1, 64, 64])
    """

    window: Tensor
    first_dft: Tensor
    second_dft: Tensor
    bins_to_bands: Tensor
    bands_to_rows: Tensor

    def __init__(self, settings: FrontendSettings) -> None:
        super().__init__()
        self.settings = settings
        n_fft = settings.n_fft
        # A DFT of length n_fft = n_coarse * n_fine as two small matrix products (Cooley and Tukey
        # 1965): sample n = n_fine * i + j, frequency k = p + n_coarse * q. Real input: the
        # residues p above n_coarse / 2 are mirror images of those below.
        self.n_fine = 2 ** math.ceil(math.log2(n_fft) / 2)
        self.n_coarse = n_fft // self.n_fine
        residues = torch.arange(self.n_coarse // 2 + 1, dtype=torch.float64)  # p
        coarse = torch.arange(self.n_coarse, dtype=torch.float64)  # i
        fine = torch.arange(self.n_fine, dtype=torch.float64)  # j and q
        angle = 2 * math.pi * residues[:, None] * coarse / self.n_coarse
        first_dft = torch.cat([angle.cos(), -angle.sin()])  # (2 p, i)
        bins = residues[:, None] + self.n_coarse * fine  # (p, q)
        angle = 2 * math.pi * fine[:, None] * bins[:, None, :] / n_fft  # (p, j, q)
        real = torch.cat([angle.cos(), angle.sin()], dim=1)
        imaginary = torch.cat([-angle.sin(), angle.cos()], dim=1)
        second_dft = torch.cat([real, imaginary], dim=2)  # (p, 2 j, 2 q)

        bands = torch.eye(n_fft // 2 + 1, dtype=torch.float64)
        if settings.scale == "mel":
            bands = make_mel_filters(settings)
        rows = resize_matrix(torch.arange(len(bands)), settings.image_height)
        weights = bands if settings.scale == "mel" else rows  # what sees the bins themselves
        self.register_constant("window", torch.hann_window(n_fft, dtype=torch.float64))
        self.register_constant("first_dft", first_dft)
        self.register_constant("second_dft", second_dft)
        self.register_constant("bins_to_bands", order_by_residue(weights, bins, n_fft))
        self.register_constant("bands_to_rows", rows)

    def register_constant(self, name: str, value: Tensor) -> None:
        """Keep a float32 constant that moves with the module but is no trained weight."""
        self.register_buffer(name, value.to(torch.float32), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the image.

        Args:
            waveform: float32 ``(batch, samples)`` in [-1, 1] at ``settings.sample_rate_hz``.

        Returns:
            float32 ``(batch, 1, image_height, image_width)`` in dB re 1.0, low frequencies first.
        """
        power = self.power_spectrogram(waveform)  # (p, batch, frames, q)
        if self.settings.scale == "mel":
            power = apply_by_residue(power, self.bins_to_bands)  # (batch, frames, mels)
            decibels = self.power_to_db(power, clip_dims=(1, 2))
            rows = decibels @ self.bands_to_rows.T  # (batch, frames, height)
        else:
            decibels = self.power_to_db(power, clip_dims=(0, 2, 3))
            rows = apply_by_residue(decibels, self.bins_to_bands)  # (batch, frames, height)
        frames = torch.arange(rows.shape[1], device=rows.device)
        columns = resize_matrix(frames, self.settings.image_width)  # (width, frames)
        image = rows.transpose(1, 2) @ columns.T  # (batch, height, width)
        return image.unsqueeze(1)

    def power_spectrogram(self, waveform: Tensor) -> Tensor:
        """Compute the squared STFT magnitude, centred frames, zeros beyond both ends.

        Returns:
            float32 ``(p, batch, frames, q)``, frequency bin ``p + n_coarse * q``; a bin above
            ``n_fft / 2`` stands for its mirror image.
        """
        half = self.settings.n_fft // 2
        padded = nn.functional.pad(waveform, (half, half))
        frames = padded.unfold(1, self.settings.n_fft, self.settings.hop_samples)
        frames = (frames * self.window).reshape(*frames.shape[:2], self.n_coarse, self.n_fine)
        spectrum = self.first_dft @ frames  # (batch, frames, 2 p, j)
        spectrum = spectrum.reshape(
            *frames.shape[:2], 2, -1, self.n_fine
        )  # (batch, frames, 2, p, j)
        spectrum = spectrum.permute(3, 0, 1, 2, 4).flatten(3).flatten(1, 2)
        spectrum = spectrum @ self.second_dft  # (p, batch * frames, 2 q)
        power = spectrum[..., : self.n_fine].square() + spectrum[..., self.n_fine :].square()
        return power.reshape(len(power), *frames.shape[:2], self.n_fine)

    def power_to_db(self, power: Tensor, clip_dims: tuple[int, ...]) -> Tensor:
        """Convert power to dB re 1.0, no deeper than ``top_db`` below each clip's loudest bin."""
        decibels = 10 * torch.log10(power.clamp(min=self.settings.amin**2))
        loudest = decibels.amax(clip_dims, keepdim=True)
        return torch.maximum(decibels, loudest - self.settings.top_db)


def apply_by_residue(values: Tensor, weights: Tensor) -> Tensor:
    """Sum bins in residue order into bands: ``(p, batch, frames, q)`` to ``(batch, frames, n)``."""
    return (values.flatten(1, 2) @ weights).sum(0).reshape(*values.shape[1:3], -1)


def order_by_residue(weights: Tensor, bins: Tensor, n_fft: int) -> Tensor:
    """Lay out band weights ``(n, n_fft / 2 + 1)`` as ``(p, q, n)``, each frequency counted once."""
    ordered = torch.zeros(*bins.shape, len(weights), dtype=weights.dtype)
    seen = set()
    for p, row in enumerate(bins.long().tolist()):
        for q, k in enumerate(row):
            frequency = min(k, n_fft - k)
            if frequency not in seen:
                seen.add(frequency)
                ordered[p, q] = weights[:, frequency]
    return ordered


def resize_matrix(positions: Tensor, size: int) -> Tensor:
    """Build the matrix that resizes one axis as scikit-image's ``resize`` with anti-aliasing does.

    A Gaussian of sigma ``(n / size - 1) / 2``, cut at 4 sigma, then linear interpolation, with
    mirrored edges (``skimage.transform.resize(order=1, mode="reflect", anti_aliasing=True)``).
    Rows are normalised, which is the Gaussian's own normalisation.

    Args:
        positions: ``arange(n)``; a tensor, so that the exported graph takes any length.
        size: Wanted length.

    Returns:
        float32 ``(size, n)``; each row sums to 1.
    """
    positions = positions.to(torch.float32)
    last = positions[-1]
    scale = (last + 1) / size
    centres = (torch.arange(size, device=positions.device) + 0.5) * scale - 0.5
    left = centres.floor()
    fraction = (centres - left)[:, None]
    # Below one sample per pixel nothing is smoothed: the tiny sigma leaves the middle tap alone.
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
