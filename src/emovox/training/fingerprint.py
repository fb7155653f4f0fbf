"""What embeddings depend on besides the clip and the settings: decoding, copies, arithmetic.

The arithmetic of the encoder and the code of the augmented copies are identified by what they do: a
made signal is copied and embedded once per process, and the results are hashed. The hash differs
whenever the numbers do, be it through an edit, another version of a library or other instructions
of the processor, and there is no version number to raise. Decoding has too many formats for that:
it is identified by its source code and the versions of its libraries.
"""

import hashlib
from functools import lru_cache
from importlib import resources

import av
import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from emovox.audio.load import load_audio
from emovox.recipes.settings import AugmentationSettings
from emovox.training.speech_encoder import Encoder

N_COPIES, SEED = 24, 15
"""With this seed, so few copies suffice to apply every perturbation; a test checks each."""

PROBE_S = 0.5
COPIED_S = 1.1
"""Longer than the shortest part of a clip, so that parts are drawn too."""


def fingerprint_embeddings(encoder: Encoder, *, copies: bool) -> str:
    """Hash everything but clip, encoder file and settings that cached embeddings depend on.

    Args:
        encoder: The encoder; it embeds one signal of 0.5 s.
        copies: Whether augmented copies are among the embeddings.

    Returns:
        A SHA-256 in hexadecimal; equal in every process on one machine.
    """
    digest = hashlib.sha256(fingerprint_decoding().encode())
    probe = make_probe(48_000, PROBE_S)
    samples = load_audio(probe, encoder.sample_rate_hz, source_rate_hz=48_000).samples
    digest.update(encoder.embed(samples).tobytes())
    if copies:
        digest.update(fingerprint_copies(encoder.sample_rate_hz).encode())
    return digest.hexdigest()


def make_probe(rate_hz: int, duration_s: float) -> npt.NDArray[np.float32]:
    """Make a buzz with noise that becomes louder, at half scale, float32 ``(samples,)``."""
    time_s = np.arange(round(rate_hz * duration_s)) / rate_hz
    noise = np.random.default_rng(0).uniform(-1, 1, len(time_s))
    buzz = 2 * (150 * time_s % 1) - 1
    return np.asarray((0.4 * buzz + 0.1 * noise) * time_s / duration_s, np.float32)


@lru_cache(maxsize=1)
def fingerprint_decoding() -> str:
    """Hash the source of ``emovox.audio`` and the versions of its libraries."""
    versions = [sf.__libsndfile_version__, soxr.__libsoxr_version__]
    versions += [f"{name} {version}" for name, version in sorted(av.library_versions.items())]
    digest = hashlib.sha256("\n".join(versions).encode())
    for path in sorted(resources.files("emovox.audio").iterdir(), key=lambda path: path.name):
        if path.name.endswith(".py"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def fingerprint_copies(rate_hz: int) -> str:
    """Hash augmented copies of a made signal, each step applied to about half of them."""
    # Importing scipy's filters takes half a second, so it is imported only for copies.
    from emovox.training.augment import perturb

    settings = AugmentationSettings(
        parts=0.5,
        reverberation=0.5,
        equalizer=0.5,
        noise=0.9,
        interference=0.5,
        clipping=0.5,
        codec=0.5,
    )
    probe = make_probe(rate_hz, COPIED_S)
    digest = hashlib.sha256()
    for copy in range(N_COPIES):
        generator = np.random.default_rng([SEED, copy])
        digest.update(perturb(probe, rate_hz, settings, generator).tobytes())
    return digest.hexdigest()
