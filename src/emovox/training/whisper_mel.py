"""Whisper's log-mel spectrogram in PyTorch, equivalent to its NumPy feature extractor."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emovox.training.fourier import MatmulPower

MAX_SAMPLES = 479_999
"""Whisper processes 30 s, and has no positional embeddings for more frames."""


class WhisperLogMel(nn.Module):
    """Waveform to log-mel, the same numbers as ``WhisperFeatureExtractor``, without its padding.

    The extractor pads every recording to 30 s with silence. Here the frames end with the recording;
    the last ones include some of that silence.

    Args:
        mel_filters: The extractor's mel filters, float ``(201, mels)``.
        n_hop: Hop in samples.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, mel_filters: npt.NDArray[np.floating], n_hop: int = 160) -> None:
        super().__init__()
        self.n_hop = n_hop
        self.n_window = 2 * (len(mel_filters) - 1)
        self.power = MatmulPower(self.n_window)
        self.register_buffer("filters", torch.from_numpy(mel_filters.astype(np.float32)))
        self.register_buffer("window", torch.hann_window(self.n_window))

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute log-mel frames.

        Args:
            waveform: float32 ``(batch, samples)`` at 16 kHz, up to ``MAX_SAMPLES``.

        Returns:
            float32 ``(batch, samples // n_hop + 1, mels)``.
        """
        half = self.n_window // 2
        n_frames = waveform.shape[1] // self.n_hop + 1
        # Append silence first, so a recording shorter than half a window can be mirrored.
        quiet = nn.functional.pad(waveform, (0, self.n_window + self.n_hop))
        padded = torch.cat([quiet[:, 1 : half + 1].flip(1), quiet], dim=1)
        # Concatenate slices whose length divides window and hop: runtimes extract frames slowly.
        n_part = int(np.gcd(self.n_window, self.n_hop))
        step = self.n_hop // n_part
        n_parts = padded.shape[1] // n_part
        parts = padded[:, : n_parts * n_part].reshape(waveform.shape[0], n_parts, n_part)
        last = step * (n_frames - 1) + 1
        shifted = [parts[:, i : i + last : step] for i in range(self.n_window // n_part)]
        frames = torch.cat(shifted, dim=2)  # (batch, frames, window)
        bands = self.power(frames * self.window) @ self.filters  # (batch, frames, mels)
        decades = torch.log10(bands.clamp(min=1e-10))
        loudest = decades.amax((1, 2), keepdim=True)
        return (torch.maximum(decades, loudest - 8) + 4) / 4
