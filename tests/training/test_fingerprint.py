"""The fingerprint of decoding, copies and arithmetic in the names of cached embeddings."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from emovox.perturbations import babble, codecs, environment, interference, levels
from emovox.recognition.session import open_session
from emovox.training import augment, fingerprint
from emovox.training.fingerprint import (
    fingerprint_copies,
    fingerprint_decoding,
    fingerprint_embeddings,
    make_probe,
)
from emovox.training.speech_encoder import SpeechEncoder

Samples = NDArray[np.float32]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Compute fingerprints as a new process does, and leave none of a patched process."""
    cached = (fingerprint_copies, fingerprint_decoding)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


def test_every_process_has_the_same_fingerprint() -> None:
    script = (
        "from emovox.training.fingerprint import fingerprint_embeddings\n"
        "from emovox.training.speech_encoder import SpeechEncoder\n"
        "print(fingerprint_embeddings(SpeechEncoder(), copies=True))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)  # noqa: S603
    expected = fingerprint_embeddings(SpeechEncoder(), copies=True)
    assert found.stdout.strip() == expected, found.stderr
    assert fingerprint_embeddings(SpeechEncoder(), copies=False) != expected


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *((environment, f"make_{kind}") for kind in ("wind", "hum", "rain", "steps", "beeps")),
        *((augment, f"make_{kind}") for kind in ("coloured_noise", "babble", "impulse_response")),
        *((augment, name) for name in ("add_reverberation", "equalize", "mix_noise", "clip_share")),
        *((augment, name) for name in ("change_speed", "simulate_phone", "code_samples")),
        (babble, "make_voice"),
        (babble, "filter_resonance"),
        (codecs, "compress_dynamics"),
        (levels, "match_level"),
        *((interference, f"make_{kind}") for kind in ("mains_hum", "rumble")),
        *((interference, f"add_{kind}") for kind in ("click", "tap")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_perturbation_counts(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    before = fingerprint_copies(16_000)
    fingerprint_copies.cache_clear()
    function = getattr(module, name)

    def change(*args: object, **kwargs: object) -> Samples:
        changed: Samples = function(*args, **kwargs)[::-1].copy()
        return changed

    monkeypatch.setattr(module, name, change)
    assert fingerprint_copies(16_000) != before


@pytest.mark.parametrize("codec", [codecs.OPUS, codecs.MP3], ids=lambda codec: codec.encoder)
def test_every_codec_counts(monkeypatch: pytest.MonkeyPatch, codec: codecs.Codec) -> None:
    used = []

    def note(samples: Samples, rate_hz: int, codec: codecs.Codec, bit_rate: int) -> Samples:
        used.append(codec)
        return codecs.code_samples(samples, rate_hz, codec, bit_rate)

    monkeypatch.setattr(augment, "code_samples", note)
    fingerprint_copies(16_000)
    assert codec in used


def test_the_order_of_the_draws_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint_copies(16_000)
    fingerprint_copies.cache_clear()
    draw_crop = augment.draw_crop

    def draw_more(samples: Samples, rate_hz: int, generator: np.random.Generator) -> object:
        generator.random()
        return draw_crop(samples, rate_hz, generator)

    monkeypatch.setattr(augment, "draw_crop", draw_more)
    assert fingerprint_copies(16_000) != before


def test_the_arithmetic_of_the_encoder_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SpeechEncoder()
    before = fingerprint_embeddings(encoder, copies=False)
    # The last bit of one value, as other instructions of a processor round it.
    embed = SpeechEncoder.embed

    def round_otherwise(self: SpeechEncoder, samples: Samples) -> Samples:
        embedding = embed(self, samples)
        embedding[7] = np.nextafter(embedding[7], np.float32(9))
        return embedding

    monkeypatch.setattr(SpeechEncoder, "embed", round_otherwise)
    assert fingerprint_embeddings(encoder, copies=False) != before


def test_another_scale_of_one_product_counts() -> None:
    encoder = SpeechEncoder()
    before = fingerprint_embeddings(encoder, copies=False)
    model = onnx.ModelProto.FromString(encoder.read_graph())
    scales = [t for t in model.graph.initializer if t.name.endswith("_output_scales")]
    scales[-1].raw_data = bytes(len(scales[-1].raw_data))
    encoder.session = open_session(model.SerializeToString())
    assert fingerprint_embeddings(encoder, copies=False) != before


@pytest.mark.parametrize("library", ["sf.__libsndfile_version__", "soxr.__libsoxr_version__"])
def test_another_version_of_a_decoder_counts(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    before = fingerprint_decoding()
    fingerprint_decoding.cache_clear()
    monkeypatch.setattr(f"{fingerprint.__name__}.{library}", "99.0")
    assert fingerprint_decoding() != before


def test_the_probe_is_the_same_everywhere() -> None:
    probe = make_probe(16_000, 0.1)
    assert probe.dtype == np.float32
    assert probe.shape == (1_600,)
    assert 0.4 < np.abs(probe).max() < 0.5
    assert np.array_equal(probe, make_probe(16_000, 0.1))
