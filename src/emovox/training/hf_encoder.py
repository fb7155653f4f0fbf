"""Frozen speech encoders from Hugging Face: from waveform to one embedding.

    files (hf_files) -> hidden states, pooled (hf_states) -> ONNX graph -> embeddings

The graph is traced before anything is embedded, so an encoder that cannot be part of a model file
is refused before training, not after it. Training and the model file run the same graph.
"""

import re

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch
from torch import Tensor, nn

from emovox.errors import ExportError
from emovox.recipes.settings import HuggingFaceSettings
from emovox.recognition.session import open_once, open_session
from emovox.training.hf_files import EncoderFiles, find_encoder_files
from emovox.training.hf_states import PooledEncoder, load_encoder
from emovox.training.speech_encoder import ENCODER_INPUT
from emovox.training.tracing import trace_module

GRAPH_OUTPUT = "pooled_states"
"""Not "embedding": WavLM has an internal value of this name."""
MAX_BYTES = 2_000_000_000
"""An ONNX file holds at most 2 GB, head and graph included (a limit of Protocol Buffers)."""
MAX_DIFFERENCE = 1e-3
"""Largest difference between embeddings of the traced graph and of transformers, in standard
deviations of the embedding; a model file's probabilities are checked separately."""


class HuggingFaceEncoder:
    """A speech encoder from the Hugging Face hub or a folder.

    Its embedding is the mean and standard deviation of the hidden states over the frames with
    speech, after each layer that the recipe lists.

    Args:
        settings: Its name, revision and layers.

    Raises:
        EncoderError: The encoder cannot be obtained or used.
    """

    sample_rate_hz = 16_000

    def __init__(self, settings: HuggingFaceSettings) -> None:
        self.files = find_encoder_files(settings)
        slug = re.sub(r"[^A-Za-z0-9.-]+", "-", settings.name.rstrip("/").rpartition("/")[2])
        self.name = f"hf-{slug}-{self.files.digest[:12]}"

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        return self.files.n_features

    def read_graph(self) -> bytes:
        """Return the encoder as an ONNX model."""
        return trace_encoder(self.files)

    def embed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute the embedding of one recording.

        Args:
            samples: float32 ``(samples,)`` in [-1, 1] at 16 kHz.

        Returns:
            float32 ``(features,)``.
        """
        session = open_encoder(self.files)
        (output,) = session.run([GRAPH_OUTPUT], {ENCODER_INPUT: samples[np.newaxis]})
        embedding: npt.NDArray[np.float32] = output[0]
        return embedding


class HuggingFaceFrontend(nn.Module):
    """An encoder from Hugging Face as the front end of a model, run by transformers.

    Args:
        settings: Its name, revision and layers.
    """

    def __init__(self, settings: HuggingFaceSettings) -> None:
        super().__init__()
        self.files = find_encoder_files(settings)

    def forward(self, waveform: Tensor) -> Tensor:
        """Convert waveforms ``(batch, samples)`` to embeddings ``(batch, features)``."""
        # Not a child module: its weights belong to the encoder, not to the trained network.
        embedding: Tensor = load_encoder(self.files)(waveform)
        return embedding


@open_once
def trace_encoder(files: EncoderFiles) -> bytes:
    """Trace an encoder into an ONNX model and compare the two.

    Raises:
        ExportError: The encoder is too large for an ONNX file, or cannot be traced.
    """
    encoder = load_encoder(files)
    n_bytes = sum(weight.numel() * weight.element_size() for weight in encoder.parameters())
    if n_bytes > MAX_BYTES:
        raise ExportError(
            f"{files.folder.name} takes {n_bytes / 1e9:.1f} GB up to layer {files.layers[-1]}, and "
            "an ONNX file holds at most 2; name lower layers by frontend.layers, or a smaller model"
        )
    any_size = torch.export.Dim.DYNAMIC
    # Noise of odd length, because zeros would hide a wrong normalisation.
    example = 0.1 * torch.randn(2, 16_333, generator=torch.Generator().manual_seed(0))
    try:
        content = trace_module(
            encoder, example, {0: any_size, 1: any_size}, ENCODER_INPUT, GRAPH_OUTPUT
        )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(
            f"{files.folder.name}: PyTorch cannot write it as ONNX, which a model file needs "
            f"({str(error).strip().partition(chr(10))[0]}); use another encoder"
        ) from None
    check_graph(content, encoder, files)
    return content


def check_graph(content: bytes, encoder: PooledEncoder, files: EncoderFiles) -> None:
    """Refuse a graph whose embeddings differ from PyTorch's at a different length."""
    waveform = 0.1 * torch.randn(1, 7_919, generator=torch.Generator().manual_seed(1))
    session = open_session(content)
    (found,) = session.run([GRAPH_OUTPUT], {ENCODER_INPUT: waveform.numpy()})
    with torch.inference_mode():
        expected = encoder(waveform).numpy()
    difference = float(np.abs(found - expected).max() / max(expected.std(), 1e-6))
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"{files.folder.name}: its ONNX graph differs by {difference:.2g} standard deviations "
            f"from PyTorch; expected at most {MAX_DIFFERENCE:g}. Please report this with its name"
        )


@open_once
def open_encoder(files: EncoderFiles) -> ort.InferenceSession:
    """Open an encoder's graph; cached."""
    return open_session(trace_encoder(files))
