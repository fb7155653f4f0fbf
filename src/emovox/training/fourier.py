"""Power spectra of frames: by FFT for training, by matrix products for the model file.

ONNX has an FFT, but runtimes compute it slowly or, in browsers, not at all; matrix products are
fast everywhere. Both agree within float32 rounding, which the export checks.
"""

import math

import torch
from torch import Tensor, nn


class FftPower(nn.Module):
    """Squared magnitude of each frame's spectrum, by FFT."""

    def forward(self, frames: Tensor) -> Tensor:
        """Turn real frames ``(batch, frames, n_fft)`` into ``(batch, frames, n_fft / 2 + 1)``."""
        spectrum = torch.view_as_real(torch.fft.rfft(frames))  # (batch, frames, bins, 2)
        return spectrum[..., 0].square().addcmul_(spectrum[..., 1], spectrum[..., 1])


class MatmulPower(nn.Module):
    """The same as ``FftPower``, by two small matrix products (Cooley and Tukey 1965).

    With ``n_fft = n_coarse * n_fine``, sample ``n = n_fine * i + j`` and frequency
    ``k = p + n_coarse * q``, a DFT over ``i`` and one over ``j`` replace the one over ``n``. For
    real input only the residues ``p`` up to ``n_coarse / 2`` are computed, because the other
    frequencies mirror these.

    Args:
        n_fft: Frame length, even; fastest if its two factors are similar.
    """

    coarse_dft: Tensor
    fine_dft: Tensor
    order: Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        divisors = [n for n in range(1, n_fft + 1) if n_fft % n == 0]
        self.n_fine = next(n for n in divisors if n * n >= n_fft)
        self.n_coarse = n_fft // self.n_fine
        p = torch.arange(self.n_coarse // 2 + 1, dtype=torch.float64)
        i = torch.arange(self.n_coarse, dtype=torch.float64)
        j = torch.arange(self.n_fine, dtype=torch.float64)
        angle = 2 * math.pi * p[:, None] * i / self.n_coarse
        coarse_dft = torch.cat([angle.cos(), -angle.sin()])  # (2 p, i)
        frequencies = p[:, None] + self.n_coarse * j  # (p, q)
        angle = 2 * math.pi * j[:, None] * frequencies[:, None] / n_fft  # (p, j, q)
        real = torch.cat([angle.cos(), angle.sin()], dim=1)
        imaginary = torch.cat([-angle.sin(), angle.cos()], dim=1)
        fine_dft = torch.cat([real, imaginary], dim=2)  # (p, 2 j, 2 q)
        place = {int(k): at for at, k in enumerate(frequencies.flatten().tolist())}
        bins = range(n_fft // 2 + 1)
        order = torch.tensor([place[k] if k in place else place[n_fft - k] for k in bins])
        self.register_buffer("coarse_dft", coarse_dft.float(), persistent=False)
        self.register_buffer("fine_dft", fine_dft.float(), persistent=False)
        self.register_buffer("order", order, persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Turn real frames ``(batch, frames, n_fft)`` into ``(batch, frames, n_fft / 2 + 1)``."""
        batch, n_frames, _ = frames.shape
        grid = frames.reshape(batch * n_frames, self.n_coarse, self.n_fine)
        partial = self.coarse_dft @ grid  # (frames, 2 p, j)
        partial = partial.reshape(batch * n_frames, 2, -1, self.n_fine)  # (frames, 2, p, j)
        partial = partial.permute(2, 0, 1, 3).flatten(2)  # (p, frames, 2 j)
        spectrum = partial @ self.fine_dft  # (p, frames, 2 q)
        power = spectrum[..., : self.n_fine].square() + spectrum[..., self.n_fine :].square()
        power = power.permute(1, 0, 2).flatten(1)  # (frames, p q)
        return power.index_select(1, self.order).reshape(batch, n_frames, -1)
