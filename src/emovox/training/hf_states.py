"""Hidden states of a speech encoder from Hugging Face, pooled to one embedding in PyTorch."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from emovox.errors import EncoderError
from emovox.recognition.session import open_once
from emovox.training.hf_files import EncoderFiles, explain_missing
from emovox.training.whisper_mel import MAX_SAMPLES, WhisperLogMel

ACTIVE_DB = 35.0
"""Frames at most this far below the clip's loudest frame, in dB, count as speech."""
FRAME_SAMPLES, HOP_SAMPLES = 400, 320
"""Receptive field and hop of a hidden state of wav2vec 2.0 and its relatives."""


class PooledEncoder(nn.Module):
    """Mean and standard deviation of an encoder's hidden states over the frames with speech.

    Args:
        layers: Blocks whose outputs are used, from 1, in ascending order.
    """

    def __init__(self, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layers

    def compute_states(self, waveform: Tensor) -> list[Tensor]:
        """Return the hidden states ``(batch, frames, width)`` after each block."""
        raise NotImplementedError

    def compute_levels(self, waveform: Tensor) -> Tensor:
        """Return the power ``(batch, frames)`` in each hidden state's receptive field."""
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
        model: The transformers model.
        layers: Blocks whose outputs are used, from 1, in ascending order.
        normalize: Whether it expects waveforms of zero mean and unit variance.
    """

    def __init__(self, model: Any, layers: tuple[int, ...], *, normalize: bool) -> None:
        super().__init__(layers)
        self.model = model
        self.normalize = normalize
        # Layers after the last one used would only cost time and half of the file size.
        del model.encoder.layers[layers[-1] :]
        self.states: list[Tensor] = []
        for block in model.encoder.layers:
            block.register_forward_hook(self.keep_state)

    def keep_state(self, _block: nn.Module, _inputs: Any, output: Any) -> None:
        """Keep a block's output; the last state in transformers' own list is normalised."""
        self.states.append(output[0] if isinstance(output, tuple) else output)

    def compute_states(self, waveform: Tensor) -> list[Tensor]:
        """Return the hidden states ``(batch, frames, width)`` after each block."""
        if self.normalize:
            # As Wav2Vec2FeatureExtractor does.
            mean = waveform.mean(1, keepdim=True)
            variance = (waveform - mean).square().mean(1, keepdim=True)
            waveform = (waveform - mean) / torch.sqrt(variance + 1e-7)
        self.states.clear()
        self.model(pad_frame(waveform))
        return list(self.states)

    def compute_levels(self, waveform: Tensor) -> Tensor:
        """Return the power ``(batch, frames)`` in each hidden state's receptive field."""
        power = pad_frame(waveform).square()[:, None]  # (batch, 1, samples)
        return nn.functional.avg_pool1d(power, FRAME_SAMPLES, HOP_SAMPLES)[:, 0]


class PooledWhisperEncoder(PooledEncoder):
    """Whisper's encoder without padding to 30 s; it processes the first 30 s only.

    Args:
        encoder: The encoder of the transformers model.
        layers: Blocks whose outputs are used, from 1, in ascending order.
        mel_filters: Mel filters of its feature extractor, ``(201, mels)``.
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
        """Return the hidden states ``(batch, frames, width)`` after each block."""
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
        """Return the power ``(batch, frames)`` in each hidden state's receptive field."""
        half = HOP_SAMPLES // 2
        padded = nn.functional.pad(waveform[:, :MAX_SAMPLES], (half, half))
        power = padded.square()[:, None]  # (batch, 1, samples)
        return nn.functional.avg_pool1d(power, HOP_SAMPLES, HOP_SAMPLES)[:, 0]


def pad_frame(waveform: Tensor) -> Tensor:
    """Add half a frame of silence at both ends, so even the shortest recording has a frame."""
    return nn.functional.pad(waveform, (FRAME_SAMPLES // 2, FRAME_SAMPLES // 2))


@open_once
def load_encoder(files: EncoderFiles) -> PooledEncoder:
    """Load an encoder with transformers, from safetensors only, with all its weights.

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
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise EncoderError(f"{files.folder}: transformers cannot load it ({reason})") from None
    # This weight only matters in pre-training, and fine-tuned models omit it.
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
    """Import transformers, or raise an error that says how to install it."""
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        raise explain_missing(error) from None


def check_frames(config: Any, name: str) -> None:
    """Refuse an encoder whose frame and hop lengths differ from wav2vec 2.0."""
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
    """Silence transformers' report of unused weights and its progress bars."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
