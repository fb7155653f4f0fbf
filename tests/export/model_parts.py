"""What exported models are described by, made of, and asked."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe
from emovox.recognition.model_file import ModelInfo, open_model


def make_info(recipe: Recipe) -> ModelInfo:
    """Describe a model of a recipe, its licence in letters beyond ASCII."""
    return ModelInfo(
        name=recipe.name,
        labels=EMOTIONS,
        sample_rate_hz=recipe.frontend.sample_rate_hz,
        temperature=1.0,
        min_confidence=0.25,
        training_corpora=("ravdess",),
        training_clips=3,
        training_clips_sha256="0" * 64,
        scores=(),
        recipe=recipe.to_toml(),
        licence="mine; “quoted”, ž",
    )


def make_voice(n_samples: int, rate_hz: int, seed: int = 0) -> NDArray[np.float32]:
    """Make harmonics of a gliding pitch in noise, with pauses."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(n_samples) / rate_hz
    cycles = (120 + 20 * seed) * time_s + 3 * np.sin(2 * np.pi * 0.7 * time_s)
    tone = sum(np.sin(2 * np.pi * order * cycles) / order for order in range(1, 9))
    speaking = np.sin(2 * np.pi * 3 * time_s) > -0.5
    voice = 0.2 * tone * speaking + 1e-3 * rng.normal(size=n_samples)
    return np.asarray(voice, dtype=np.float32)


def run_file(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a model file's probabilities of waveforms ``(batch, samples)``."""
    (answer,) = open_model(path).session.run(["probabilities"], {"waveform": batch})
    return np.asarray(answer, dtype=np.float32)
