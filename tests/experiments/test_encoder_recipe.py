"""Recipe `encoder` from clips to a finished run, and again from what is kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from emovox.audio.load import load_audio
from emovox.corpora.clips import Clip
from emovox.corpora.folds import Protocol
from emovox.corpora.read import load_clips
from emovox.corpora.splits import read_split
from emovox.experiments.train_and_test import run_experiment
from emovox.recipes.recipe import load_recipe
from emovox.recognition.model_file import hash_clip_names, open_model
from emovox.recognition.recognizer import Recognizer
from emovox.runs.predictions import read_predictions
from emovox.training import embeddings
from emovox.training.features import FeatureCache
from emovox.training.weights import load_network

RECIPE = load_recipe(
    "encoder",
    [
        "network.hidden_units=[16]",
        "augmentation.copies=1",
        "training.batch_size=8",
        "training.epochs=6",
        "training.learning_rate=0.003",
    ],
)


@pytest.fixture
def protocol(tiny_corpus: Path, tiny_split: Path, tmp_path: Path) -> Protocol:
    """Return the first fold of the tiny split alone."""
    lines = [line for line in tiny_split.read_text().splitlines() if ",02," not in line]
    split = tmp_path / "one.csv"
    split.write_text("\n".join(lines) + "\n")
    return read_split(split, load_clips(tiny_corpus))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Note for which clips rows are computed, and how many copies of each."""
    calls: list[tuple[str, int]] = []
    compute = embeddings.compute_rows

    def note(clip: Clip, encoder: object, augmentation: object) -> object:
        rows = compute(clip, encoder, augmentation)  # type: ignore[arg-type]
        calls.append((clip.name, len(rows) - 1))
        return rows

    monkeypatch.setattr(embeddings, "compute_rows", note)
    return calls


def test_a_run_of_the_encoder_recipe(
    protocol: Protocol, computed: list[tuple[str, int]], tmp_path: Path
) -> None:
    folder, cache = tmp_path / "run", tmp_path / "cache"
    run = run_experiment(RECIPE, protocol, folder, features=FeatureCache(folder=cache))
    (fold,) = protocol.folds
    # Copies of what trains; a validation clip is heard as it is, and again with copies for the
    # refit. Test clips are heard by the model file alone.
    expected = [(c.name, 1) for c in (*fold.train, *fold.validation)]
    expected += [(c.name, 0) for c in fold.validation]
    assert sorted(computed) == sorted(expected)
    assert len(list(cache.rglob("*.npy"))) == len(expected)

    predictions = read_predictions(folder / "predictions.csv")
    assert predictions.clips.tolist() == [c.name for c in fold.test]
    assert run.evaluation is not None
    # Eight tones that any network tells apart; by chance 0.125 would be right.
    assert run.evaluation.metrics.accuracy > 0.5
    calibration = json.loads((folder / "calibration.json").read_text())
    assert calibration["n_clips"] == len(fold.validation)
    assert not (folder / "checkpoint").exists()
    assert not (folder / "refit" / "checkpoint").exists()

    info = open_model(folder / "model.onnx").info
    assert (info.name, info.sample_rate_hz) == ("encoder", 16_000)
    assert load_recipe(folder / "recipe.toml") == RECIPE
    trained = [c.name for c in (*fold.train, *fold.validation)]
    assert info.training_clips_sha256 == hash_clip_names(trained)
    model = load_network(folder, RECIPE)
    recognizer = Recognizer.load(folder / "model.onnx", vad=False, min_confidence=0)
    for clip, row in zip(fold.test[:4], predictions.probabilities.tolist(), strict=False):
        scores = list((recognizer.predict(clip.path).scores or {}).values())
        assert scores == row
        samples = load_audio(clip.path, 16_000).samples
        with torch.inference_mode():
            answer = model(torch.from_numpy(samples)[None])[0].numpy()
        np.testing.assert_allclose(scores, answer, rtol=0, atol=1e-3)

    computed.clear()
    again = run_experiment(
        RECIPE, protocol, tmp_path / "again", features=FeatureCache(folder=cache)
    )
    assert computed == []
    assert again.evaluation is not None
    for name in ("predictions.csv", "weights.safetensors", "calibration.json", "model.onnx"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(("augment", "n_rows"), [(False, 1), (True, 2)])
def test_only_training_clips_have_copies(
    protocol: Protocol, tmp_path: Path, augment: bool, n_rows: int
) -> None:
    features = FeatureCache(folder=tmp_path / "cache")
    clips = protocol.folds[0].test[:3]
    assert features.count_unknown(clips, RECIPE, augment=augment) == 3
    data = features.load(clips, RECIPE, augment=augment)
    assert isinstance(data, embeddings.EmbeddingSet)
    assert [rows.shape for rows in data.embeddings] == [(n_rows, 2_304)] * 3
    assert features.count_unknown(clips, RECIPE, augment=augment) == 0
    assert features.count_unknown(clips, RECIPE, augment=not augment) == 3


def test_without_a_folder_the_cache_of_the_tests_is_used(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = FeatureCache().embeddings.folder
    assert folder.is_relative_to(tmp_path_factory.getbasetemp())
