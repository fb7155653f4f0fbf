"""Encoders of every kind as part of a model file: traced once each, which takes seconds."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from tests.training.tiny_encoders import WIDTH, make_voice, save_encoder

from emovox.corpora.folds import Protocol
from emovox.corpora.read import load_clips
from emovox.corpora.splits import read_split
from emovox.errors import ExportError, RunError
from emovox.experiments.finished import Run
from emovox.experiments.train_and_test import run_experiment
from emovox.recipes.recipe import Recipe, build_recipe
from emovox.recipes.settings import HuggingFaceSettings
from emovox.recognition.model_file import open_model
from emovox.recognition.recognizer import Recognizer
from emovox.runs.predictions import read_predictions
from emovox.training.features import FeatureCache, name_encoder
from emovox.training.hf_encoder import HuggingFaceEncoder, HuggingFaceFrontend
from emovox.training.networks import make_network
from emovox.training.trainer import TrainedNetwork
from emovox.training.weights import load_network, save_weights

pytest.importorskip("transformers", reason="the extra hf is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["wav2vec2", "hubert-large", "wavlm", "whisper"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an encoder; its graph is traced once for all tests below."""
    return save_encoder(tmp_path_factory.mktemp("encoders") / request.param, request.param)


@pytest.mark.parametrize("n_samples", [1, 100, 399, 400, 16_000, 40_001])
def test_the_graph_gives_what_pytorch_does_at_any_length(folder: Path, n_samples: int) -> None:
    settings = HuggingFaceSettings(name=str(folder), layers=(1, 2))
    encoder, frontend = HuggingFaceEncoder(settings), HuggingFaceFrontend(settings)
    voice = make_voice(n_samples)
    with torch.inference_mode():
        expected = frontend(torch.from_numpy(voice)[None])[0].numpy()
    embedding = encoder.embed(voice)
    assert embedding.shape == (encoder.n_features,) == (4 * WIDTH,)
    assert np.isfinite(embedding).all()
    np.testing.assert_allclose(embedding, expected, rtol=0, atol=1e-4)


def test_the_graph_takes_several_recordings_and_tells_them_apart(folder: Path) -> None:
    encoder = HuggingFaceEncoder(HuggingFaceSettings(name=str(folder), layers=(1, 2)))
    voices = [make_voice(12_000, seed) for seed in range(3)]
    session = ort.InferenceSession(encoder.read_graph(), providers=["CPUExecutionProvider"])
    (batch,) = session.run(None, {"waveform": np.stack(voices)})
    alone = np.stack([encoder.embed(voice) for voice in voices])
    np.testing.assert_allclose(batch, alone, rtol=0, atol=1e-4)
    assert np.ptp(alone, axis=0).max() > 0.05


def test_silence_has_an_embedding(folder: Path) -> None:
    encoder = HuggingFaceEncoder(HuggingFaceSettings(name=str(folder), layers=(1, 2)))
    assert np.isfinite(encoder.embed(np.zeros(8_000, np.float32))).all()


@pytest.fixture(scope="module")
def protocol(tiny_corpus: Path, tiny_split: Path) -> Protocol:
    """Return one fold: 48 clips train, 16 validate, 32 test."""
    lines = [line for line in tiny_split.read_text().splitlines() if ",02," not in line]
    split = tiny_corpus / "one-fold.csv"
    split.write_text("\n".join(lines) + "\n")
    return read_split(split, load_clips(tiny_corpus))


def make_recipe(folder: Path) -> Recipe:
    return build_recipe(
        {
            "name": "own",
            "frontend": {"kind": "hf", "name": str(folder), "layers": [1, 2]},
            "network": {"kind": "head", "hidden_units": [16]},
            "training": {"optimizer": "adamw", "learning_rate": 0.01, "epochs": 8},
        }
    )


def train(
    folder: Path, protocol: Protocol, place: Path, run: str = "run", *, keep_models: bool = True
) -> Run:
    """Train with a fresh memory, and with embeddings on disk."""
    return run_experiment(
        make_recipe(folder),
        protocol,
        place / run,
        features=FeatureCache(jobs=1, folder=place / "embeddings"),
        keep_models=keep_models,
    )


def test_a_head_is_trained_kept_and_trained_again_from_the_cache(
    folder: Path, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(folder, protocol, tmp_path)
    (history,) = (run.folder / "history.csv").read_text().splitlines()[-1:]
    # Each emotion of these clips is a tone of its own: chance is 0.125.
    assert float(history.split(",")[3]) > 0.5

    model = open_model(run.folder / "model.onnx")
    assert model.info.licence.endswith(f"contains the encoder {folder}, under a separate licence")
    predictions = read_predictions(run.folder / "predictions.csv")
    assert len(predictions.clips) == 32
    clip = next(c for c in protocol.folds[0].test if c.name == predictions.clips[0])
    heard = Recognizer.load(run.folder / "model.onnx", vad=False).predict(clip.path)
    assert heard.scores is not None
    np.testing.assert_allclose(
        list(heard.scores.values()), predictions.probabilities[0], rtol=0, atol=1e-6
    )

    def refuse(*_: object) -> None:
        raise AssertionError("embedded again")

    monkeypatch.setattr("emovox.training.embeddings.compute_rows", refuse)
    again = train(folder, protocol, tmp_path, "again", keep_models=False)
    for name in ("calibration.json", "predictions.csv"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_a_head_is_not_put_behind_another_encoder(tmp_path: Path) -> None:
    recipe = make_recipe(save_encoder(tmp_path / "mine", "hubert", seed=0))
    head = make_network(recipe, 4 * WIDTH, 8, torch.Generator().manual_seed(0))
    trained = TrainedNetwork(head, torch.zeros(4 * WIDTH), torch.ones(4 * WIDTH), (), 3)
    save_weights(tmp_path / "weights.safetensors", trained, encoder=name_encoder(recipe))
    assert load_network(tmp_path, recipe).mean.shape == (4 * WIDTH,)
    save_encoder(tmp_path / "mine", "hubert", seed=1)
    with pytest.raises(RunError, match="trained on the encoder hf-mine-.*, found hf-mine-"):
        load_network(tmp_path, recipe)


def test_an_encoder_that_no_file_can_hold_is_refused_before_any_training(
    protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_encoder(tmp_path / "large", "hubert")
    monkeypatch.setattr("emovox.training.hf_encoder.MAX_BYTES", 10_000)
    with pytest.raises(ExportError, match="up to layer 2, and an ONNX file holds at most 2; name"):
        train(folder, protocol, tmp_path)
    assert not (tmp_path / "embeddings").exists()
    assert not (tmp_path / "run" / "history.csv").exists()
