"""The bundled speech encoders: frozen ONNX graphs from waveform to one embedding.

They are the first three blocks of the encoders of Whisper tiny.en and base (see
``scripts/make_speech_encoder.py``). Training and the exported model file run the same graph, so
their embeddings are identical.
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

ENCODER_TRAINING = {
    "tiny.en": (
        "The encoder is Whisper tiny.en's, trained by OpenAI on 438,000 hours of transcribed "
        "English from the internet; the recordings are not published, so no corpus is certainly "
        "unseen by it."
    ),
    "base": (
        "The encoder is Whisper base's, trained by OpenAI on 680,000 hours of transcribed speech "
        "in 97 languages from the internet; the recordings are not published, so no corpus is "
        "certainly unseen by it."
    ),
}
"""What is known of each encoder's training data (Radford et al. 2022, *Robust Speech Recognition
via Large-Scale Weak Supervision*, https://arxiv.org/abs/2212.04356)."""

ENCODER_NAMES = tuple(ENCODER_TRAINING)


def find_speech_encoder(name: str = "tiny.en") -> Path:
    """Return the path of a bundled encoder, by the name of Whisper's model."""
    return Path(str(resources.files("emovox") / "assets" / f"speech_encoder_{name}.onnx"))


class Encoder(Protocol):
    """A frozen encoder that converts a recording to one embedding."""

    @property
    def name(self) -> str:
        """Name of the cache folder of its embeddings; different weights have different names."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Expected sampling rate in Hz."""
        ...

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        ...

    def read_graph(self) -> bytes:
        """Return the encoder as an ONNX model with one input, ``waveform``, and one output."""
        ...

    def embed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Convert float32 ``(samples,)`` to float32 ``(features,)``."""
        ...


class SpeechEncoder:
    """A bundled encoder.

    Its embedding is the mean and standard deviation of the hidden states over the loud frames,
    after each block. It does not depend on the recording's gain.

    Args:
        model: Whisper's model that it is from, ``tiny.en`` or ``base``.

    Examples:
        >>> SpeechEncoder().embed(np.zeros(16_000, np.float32)).shape
        (2304,)
    """

    sample_rate_hz = 16_000

    def __init__(self, model: str = "tiny.en") -> None:
        self.model = model
        self.session = open_speech_encoder(model)

    @property
    def name(self) -> str:
        """``speech-encoder-`` and the first digits of its file's SHA-256."""
        return f"speech-encoder-{hash_speech_encoder(self.model)[:12]}"

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        return int(self.session.get_outputs()[0].shape[-1])

    def read_graph(self) -> bytes:
        """Return the encoder as an ONNX model."""
        return find_speech_encoder(self.model).read_bytes()

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


@lru_cache(maxsize=len(ENCODER_NAMES))
def hash_speech_encoder(name: str = "tiny.en") -> str:
    """Return the SHA-256 of a bundled encoder."""
    return hashlib.sha256(find_speech_encoder(name).read_bytes()).hexdigest()


@open_once
def open_speech_encoder(name: str = "tiny.en") -> ort.InferenceSession:
    """Open a bundled encoder with one thread per clip; cached."""
    return open_session(find_speech_encoder(name).read_bytes())


class EncoderFrontend(nn.Module):
    """A bundled encoder as the front end of a model; it has no trainable weights.

    Args:
        encoder: Name of the encoder.
    """

    def __init__(self, encoder: str = "tiny.en") -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, waveform: Tensor) -> Tensor:
        """Convert waveforms ``(batch, samples)`` to embeddings ``(batch, features)``."""
        # One by one, because the 8-bit products are scaled by the largest value in the batch.
        encoder = SpeechEncoder(self.encoder)
        return torch.stack([torch.from_numpy(encoder.embed(w)) for w in waveform.numpy()])
