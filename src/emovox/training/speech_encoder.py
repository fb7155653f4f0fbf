"""The bundled speech encoder: a frozen ONNX graph, waveform in, one embedding out.

It is Whisper tiny.en's encoder without its last block (see ``scripts/make_speech_encoder.py``).
Training and the exported model file run the same graph, so that nothing drifts between them.
"""

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch
from torch import Tensor, nn

from emovox.recognition.session import open_once, open_session

ENCODER_INPUT = "waveform"
ENCODER_OUTPUT = "embedding"


def find_speech_encoder() -> Path:
    """Return where the bundled encoder lies."""
    return Path(str(resources.files("emovox") / "assets" / "speech_encoder.onnx"))


class Encoder(Protocol):
    """What turns a recording into one embedding, and is not trained."""

    @property
    def name(self) -> str:
        """Name of the folder that keeps its embeddings; another for other weights."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Rate that it takes."""
        ...

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        ...

    def read_graph(self) -> bytes:
        """Return it as an ONNX model with one input, ``waveform``, and one output."""
        ...

    def embed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Turn float32 ``(samples,)`` into float32 ``(features,)``."""
        ...


class SpeechEncoder:
    """The bundled encoder.

    Its embedding is the mean and standard deviation of the hidden states over the loud frames,
    behind each block; the gain of the recording changes nothing.

    Examples:
        >>> SpeechEncoder().embed(np.zeros(16_000, np.float32)).shape
        (2304,)
    """

    sample_rate_hz = 16_000

    def __init__(self) -> None:
        self.session = open_speech_encoder()

    @property
    def name(self) -> str:
        """``speech-encoder-`` and the first digits of its file's SHA-256."""
        return f"speech-encoder-{hash_speech_encoder()[:12]}"

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        return int(self.session.get_outputs()[0].shape[-1])

    def read_graph(self) -> bytes:
        """Return the encoder as an ONNX model."""
        return find_speech_encoder().read_bytes()

    def embed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute the embedding of one recording.

        Args:
            samples: float32 ``(samples,)`` in [-1, 1] at 16 kHz.

        Returns:
            float32 ``(features,)``.
        """
        batch = samples[np.newaxis]  # (1, samples)
        (output,) = self.session.run([ENCODER_OUTPUT], {ENCODER_INPUT: batch})
        embedding: npt.NDArray[np.float32] = output[0]
        return embedding


@lru_cache(maxsize=1)
def hash_speech_encoder() -> str:
    """Return the SHA-256 of the bundled encoder."""
    return hashlib.sha256(find_speech_encoder().read_bytes()).hexdigest()


@open_once
def open_speech_encoder() -> ort.InferenceSession:
    """Open the bundled encoder once, with one thread for each clip."""
    return open_session(find_speech_encoder().read_bytes())


class EncoderFrontend(nn.Module):
    """The bundled encoder as the front end of a model; nothing of it is trained."""

    def forward(self, waveform: Tensor) -> Tensor:
        """Turn waveforms ``(batch, samples)`` into embeddings ``(batch, features)``."""
        # One by one: its 8-bit products scale by the largest value of all that they are given.
        encoder = SpeechEncoder()
        return torch.stack([torch.from_numpy(encoder.embed(w)) for w in waveform.numpy()])
