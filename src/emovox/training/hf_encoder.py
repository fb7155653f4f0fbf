"""Speech encoders from Hugging Face: frozen, from waveform to one embedding.

    files (hf_files) -> transformers -> hidden states, pooled -> ONNX graph -> embeddings

The graph is traced before anything is embedded, so that an encoder that cannot be part of a model
file is refused before a training and not behind it. Training and the model file run the same graph.
"""

import contextlib
import importlib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch
from torch import Tensor, nn

from emovox.errors import EncoderError, ExportError
from emovox.training.hf_files import EncoderFiles, explain_missing, find_encoder_files
from emovox.training.settings import HuggingFaceSettings
from emovox.training.speech_encoder import ENCODER_INPUT
from emovox.training.tracing import trace_module
from emovox.training.whisper_mel import MAX_SAMPLES, WhisperLogMel

GRAPH_OUTPUT = "pooled_states"
"""Not "embedding": WavLM has a value of this name inside."""
ACTIVE_DB = 35.0
"""Frames no further below the clip's loudest one count as speech."""
FRAME_SAMPLES, HOP_SAMPLES = 400, 320
"""What a hidden state of wav2vec 2.0 and its relatives hears, and how far it is to the next."""
MAX_BYTES = 2_000_000_000
"""An ONNX file holds at most 2 GB, head and graph included (a limit of Protocol Buffers)."""
MAX_DIFFERENCE = 1e-3
"""Largest difference between a number of the traced graph's and of transformers', in units of the
embedding's standard deviation; a model file is checked again, on its probabilities."""


class HuggingFaceEncoder:
    """A speech encoder from the Hugging Face hub or a folder.

    Its embedding is the mean and standard deviation of the hidden states over the frames with
    speech, behind each layer that the recipe names.

    Args:
        settings: Its name, revision and layers.

    Raises:
        EncoderError: It cannot be had or used; the message says why.
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
    """An encoder from Hugging Face as the front end of a model, as transformers runs it.

    Args:
        settings: Its name, revision and layers.
    """

    def __init__(self, settings: HuggingFaceSettings) -> None:
        super().__init__()
        self.files = find_encoder_files(settings)

    def forward(self, waveform: Tensor) -> Tensor:
        """Turn waveforms ``(batch, samples)`` into embeddings ``(batch, features)``."""
        # Not a child: its weights belong to the encoder, not to what was trained.
        embedding: Tensor = load_encoder(self.files)(waveform)
        return embedding


class PooledEncoder(nn.Module):
    """Hidden states of an encoder, as mean and standard deviation over the frames with speech.

    Args:
        layers: Behind which blocks, from 1, in rising order.
    """

    def __init__(self, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layers

    def compute_states(self, waveform: Tensor) -> list[Tensor]:
        """Return the hidden states ``(batch, frames, width)`` behind each block."""
        raise NotImplementedError

    def compute_levels(self, waveform: Tensor) -> Tensor:
        """Return the power ``(batch, frames)`` of what each hidden state hears."""
        raise NotImplementedError

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute embeddings.

        Args:
            waveform: float32 ``(batch, samples)`` in [-1, 1] at 16 kHz.

        Returns:
            float32 ``(batch, 2 * layers * width)``.
        """
        levels = self.compute_levels(waveform - waveform.mean(1, keepdim=True))
        quietest = levels.amax(1, keepdim=True) * 10 ** (-ACTIVE_DB / 10)
        weights = (levels >= quietest).to(waveform.dtype)
        weights = (weights / weights.sum(1, keepdim=True))[..., None]  # (batch, frames, 1)
        states = self.compute_states(waveform)
        statistics = []
        for layer in self.layers:
            state = states[layer - 1]
            mean = (state * weights).sum(1)
            variance = ((state - mean[:, None]).square() * weights).sum(1)
            statistics += [mean, variance.clamp(min=1e-6).sqrt()]
        return torch.cat(statistics, dim=1)


class PooledWaveformEncoder(PooledEncoder):
    """wav2vec 2.0, HuBERT or WavLM.

    Args:
        model: The model of transformers.
        layers: Behind which blocks, from 1, in rising order.
        normalize: Whether it takes waveforms of zero mean and unit variance.
    """

    def __init__(self, model: Any, layers: tuple[int, ...], *, normalize: bool) -> None:
        super().__init__(layers)
        self.model = model
        self.normalize = normalize
        # What is behind the last layer asked for costs time and half of the file.
        del model.encoder.layers[layers[-1] :]
        self.states: list[Tensor] = []
        for block in model.encoder.layers:
            block.register_forward_hook(self.keep_state)

    def keep_state(self, _block: nn.Module, _inputs: Any, output: Any) -> None:
        """Keep what a block gives; transformers' own list ends with a normalised state."""
        self.states.append(output[0] if isinstance(output, tuple) else output)

    def compute_states(self, waveform: Tensor) -> list[Tensor]:
        """Return the hidden states ``(batch, frames, width)`` behind each block."""
        if self.normalize:
            # As Wav2Vec2FeatureExtractor does.
            mean = waveform.mean(1, keepdim=True)
            variance = (waveform - mean).square().mean(1, keepdim=True)
            waveform = (waveform - mean) / torch.sqrt(variance + 1e-7)
        self.states.clear()
        self.model(pad_frame(waveform))
        return list(self.states)

    def compute_levels(self, waveform: Tensor) -> Tensor:
        """Return the power ``(batch, frames)`` of what each hidden state hears."""
        power = pad_frame(waveform).square()[:, None]  # (batch, 1, samples)
        return nn.functional.avg_pool1d(power, FRAME_SAMPLES, HOP_SAMPLES)[:, 0]


class PooledWhisperEncoder(PooledEncoder):
    """The encoder of Whisper, without its padding to 30 s; it hears the first 30 s.

    Args:
        encoder: The encoder of transformers' model.
        layers: Behind which blocks, from 1, in rising order.
        mel_filters: Of its feature extractor, ``(201, mels)``.
    """

    def __init__(
        self, encoder: Any, layers: tuple[int, ...], mel_filters: npt.NDArray[np.floating]
    ) -> None:
        super().__init__(layers)
        self.log_mel = WhisperLogMel(mel_filters)
        self.convolutions = nn.ModuleList([encoder.conv1, encoder.conv2])
        self.positions = encoder.embed_positions.weight
        self.blocks = encoder.layers[: layers[-1]]

    def compute_states(self, waveform: Tensor) -> list[Tensor]:
        """Return the hidden states ``(batch, frames, width)`` behind each block."""
        x = self.log_mel(waveform[:, :MAX_SAMPLES]).transpose(1, 2)  # (batch, mels, frames)
        for convolution in self.convolutions:
            x = nn.functional.gelu(convolution(x))
        x = x.transpose(1, 2)  # (batch, frames, width)
        x = x + self.positions[: x.shape[1]]
        states = []
        for block in self.blocks:
            output = block(x, None)
            x = output[0] if isinstance(output, tuple) else output
            states.append(x)
        return states

    def compute_levels(self, waveform: Tensor) -> Tensor:
        """Return the power ``(batch, frames)`` of what each hidden state hears."""
        half = HOP_SAMPLES // 2
        padded = nn.functional.pad(waveform[:, :MAX_SAMPLES], (half, half))
        power = padded.square()[:, None]  # (batch, 1, samples)
        return nn.functional.avg_pool1d(power, HOP_SAMPLES, HOP_SAMPLES)[:, 0]


def pad_frame(waveform: Tensor) -> Tensor:
    """Add half a frame of silence at both ends, so that the shortest recording has a frame too."""
    return nn.functional.pad(waveform, (FRAME_SAMPLES // 2, FRAME_SAMPLES // 2))


@lru_cache(maxsize=1)
def load_encoder(files: EncoderFiles) -> PooledEncoder:
    """Load an encoder by transformers, from safetensors alone, with all its weights.

    Raises:
        EncoderError: transformers is not installed or cannot load it, or weights are missing.
    """
    transformers = import_transformers()
    kinds = {
        "wav2vec2": transformers.Wav2Vec2Model,
        "hubert": transformers.HubertModel,
        "wavlm": transformers.WavLMModel,
        "whisper": transformers.WhisperModel,
    }
    name = files.folder.name
    with quiet_transformers(transformers.utils.logging):
        try:
            model, report = kinds[files.model_type].from_pretrained(
                files.folder,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise EncoderError(f"{files.folder}: transformers cannot load it ({reason})") from None
    # This one only matters in pre-training, and fine-tuned models leave it out.
    missing = sorted(key for key in report["missing_keys"] if key != "masked_spec_embed")
    if missing:
        raise EncoderError(
            f"{name}: its weights lack {missing[0]} and {len(missing) - 1} more, which would stay "
            f"random; expected all weights of a {files.model_type} model"
        )
    model.eval().requires_grad_(False)
    if files.model_type == "whisper":
        extractor = transformers.WhisperFeatureExtractor(feature_size=model.config.num_mel_bins)
        filters = np.asarray(extractor.mel_filters)
        return PooledWhisperEncoder(model.get_encoder(), files.layers, filters).eval()
    check_frames(model.config, name)
    return PooledWaveformEncoder(model, files.layers, normalize=files.normalize).eval()


def import_transformers() -> Any:
    """Import transformers, or say how to get it."""
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        raise explain_missing(error) from None


def check_frames(config: Any, name: str) -> None:
    """Refuse an encoder whose convolutions are not those of wav2vec 2.0."""
    frame, hop = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        frame += (kernel - 1) * hop
        hop *= stride
    if (frame, hop) != (FRAME_SAMPLES, HOP_SAMPLES):
        raise EncoderError(
            f"{name}: frames of {frame} samples every {hop}; expected {FRAME_SAMPLES} every "
            f"{HOP_SAMPLES}, as in wav2vec 2.0"
        )


@contextlib.contextmanager
def quiet_transformers(logging: Any) -> Iterator[None]:
    """Silence transformers' report of unused weights, and its progress bars."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@lru_cache(maxsize=1)
def trace_encoder(files: EncoderFiles) -> bytes:
    """Trace an encoder into an ONNX model and compare the two.

    Raises:
        ExportError: It is too large for an ONNX file, or cannot be traced.
    """
    encoder = load_encoder(files)
    n_bytes = sum(weight.numel() * weight.element_size() for weight in encoder.parameters())
    if n_bytes > MAX_BYTES:
        raise ExportError(
            f"{files.folder.name} takes {n_bytes / 1e9:.1f} GB up to layer {files.layers[-1]}, and "
            "an ONNX file holds at most 2; name lower layers by frontend.layers, or a smaller model"
        )
    any_size = torch.export.Dim.DYNAMIC
    # Noise of odd length: zeros would hide a wrong normalisation.
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
    """Refuse a graph that gives other embeddings than PyTorch does, at another length."""
    waveform = 0.1 * torch.randn(1, 7_919, generator=torch.Generator().manual_seed(1))
    session = make_session(content)
    (found,) = session.run([GRAPH_OUTPUT], {ENCODER_INPUT: waveform.numpy()})
    with torch.inference_mode():
        expected = encoder(waveform).numpy()
    difference = float(np.abs(found - expected).max() / max(expected.std(), 1e-6))
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"{files.folder.name}: its ONNX graph differs by {difference:.2g} standard deviations "
            f"from PyTorch; expected at most {MAX_DIFFERENCE:g}. Please report this with its name"
        )


@lru_cache(maxsize=1)
def open_encoder(files: EncoderFiles) -> ort.InferenceSession:
    """Open an encoder's graph once."""
    return make_session(trace_encoder(files))


def make_session(content: bytes) -> ort.InferenceSession:
    """Open a graph, with one thread for each clip."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
