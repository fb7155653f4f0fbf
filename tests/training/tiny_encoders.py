"""Small speech encoders with random weights, as transformers writes them."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

WIDTH = 16
SHARED = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
# The large models of each family normalise elsewhere than the base ones.
LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
WHISPER = {
    "vocab_size": 16,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2", SHARED),
    "wav2vec2-large": ("Wav2Vec2", SHARED | LARGE),
    "hubert": ("Hubert", SHARED),
    "hubert-large": ("Hubert", SHARED | LARGE),
    "wavlm": ("WavLM", SHARED),
    "wavlm-large": ("WavLM", SHARED | LARGE),
    "whisper": ("Whisper", WHISPER),
}


def make_model(kind: str, seed: int = 0, **changes: Any) -> Any:
    """Make a model; changes are of its configuration."""
    transformers = importlib.import_module("transformers")
    family, settings = KINDS[kind]
    config = getattr(transformers, f"{family}Config")(**(settings | changes))
    torch.manual_seed(seed)
    model = getattr(transformers, f"{family}Model")(config).eval()
    with torch.no_grad():
        # Fresh weights are so small that every sound gives nearly the same.
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(4)
    return model


def save_encoder(folder: Path, kind: str, seed: int = 0, **changes: Any) -> Path:
    """Write a model as a folder of the Hugging Face hub has it."""
    make_model(kind, seed, **changes).save_pretrained(folder)
    if kind != "whisper":
        preprocessor = {"do_normalize": True, "sampling_rate": 16_000}
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def make_voice(n_samples: int, seed: int = 0) -> NDArray[np.float32]:
    """Make harmonics of a gliding pitch in noise, with pauses."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(n_samples) / 16_000
    cycles = (120 + 30 * seed) * time_s + 3 * np.sin(2 * np.pi * 0.7 * time_s)
    tone = sum(np.sin(2 * np.pi * order * cycles) / order for order in range(1, 9))
    speaking = np.sin(2 * np.pi * 3 * time_s) > -0.5
    return np.asarray(0.2 * tone * speaking + 1e-3 * rng.normal(size=n_samples), np.float32)
