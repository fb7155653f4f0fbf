"""Embeddings that are drawn instead of computed, as many as a test wants."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emovox.corpora.clips import Clip
from emovox.labels import EMOTIONS
from emovox.recipes.settings import AugmentationSettings
from emovox.training.embeddings import Rows
from emovox.training.speech_encoder import Encoder

COPIES = AugmentationSettings(copies=12)


@dataclass
class MadeEncoder:
    """As long embeddings as the bundled encoder's."""

    name: str = "made"
    sample_rate_hz: int = 16_000
    n_features: int = 2_304

    def embed(self, samples: Rows) -> Rows:  # noqa: ARG002
        return np.zeros(self.n_features, np.float32)

    def read_graph(self) -> bytes:
        raise NotImplementedError


def make_clips(folder: Path, n_clips: int) -> list[Clip]:
    """Make clips of all emotions, whose files hold just their names."""
    clips = []
    for number in range(n_clips):
        path = folder / f"clip-{number}"
        path.write_text(path.name)
        clips.append(Clip(path.name, path, "made", EMOTIONS[number % 8], f"speaker-{number}"))
    return clips


def make_rows(clip: Clip, encoder: Encoder, augmentation: AugmentationSettings) -> Rows:
    """Draw a clip's embeddings in place of ``compute_rows``."""
    seed = int.from_bytes(hashlib.sha256(clip.name.encode()).digest()[:8], "little")
    shape = (1 + augmentation.copies, encoder.n_features)
    return np.random.default_rng(seed).standard_normal(shape, np.float32)
