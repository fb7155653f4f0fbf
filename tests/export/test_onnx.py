"""A CNN behind its front end, as one file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from tests.export.model_parts import make_info, make_voice, run_file

from emovox.errors import ExportError, ModelFileError
from emovox.export import onnx as onnx_export
from emovox.export.metadata import write_scores
from emovox.export.onnx import export_onnx
from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe
from emovox.recognition.model_file import ProtocolScore, open_model
from emovox.recognition.recognizer import Recognizer
from emovox.training.networks import SpectrogramCnn, WaveformClassifier, make_frontend

SCORE = ProtocolScore("WA", 0.5, 0.4, 0.6, "loso v1", True, 1, 36, 4)


def make_model(recipe: Recipe, seed: int) -> WaveformClassifier:
    generator = torch.Generator().manual_seed(seed)
    cnn = SpectrogramCnn(recipe, 8, generator)
    with torch.no_grad():
        for weight in cnn.parameters():
            weight.uniform_(-0.4, 0.4, generator=generator)
    frontend = make_frontend(recipe)
    return WaveformClassifier(
        frontend, cnn, torch.tensor(-45.0 - seed), torch.tensor(15.0 + seed)
    ).eval()


def ask_torch(model: WaveformClassifier, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.asarray(model(torch.from_numpy(batch)).numpy(), dtype=np.float32)


@pytest.fixture
def voices(tiny_recipe: Recipe) -> list[NDArray[np.float32]]:
    return [make_voice(n, tiny_recipe.frontend.sample_rate_hz, n) for n in (2_000, 9_000)]


@pytest.mark.parametrize("scale", ["linear", "mel"])
def test_answers_are_torchs_at_any_length_and_batch(
    tiny_recipe: Recipe, voices: list[NDArray[np.float32]], tmp_path: Path, scale: str
) -> None:
    frontend = tiny_recipe.frontend.model_copy(update={"scale": scale, "n_mels": 24})
    recipe = tiny_recipe.model_copy(update={"frontend": frontend})
    model, path = make_model(recipe, 1), tmp_path / "model.onnx"
    difference = export_onnx(model, recipe, make_info(recipe), path, voices)
    assert 0 <= difference <= 1e-4
    answers = []
    for n_samples in (1, 127, 128, 2_048, 2_049, 8_000, 40_001):
        for n_clips in (1, 2, 5):
            rows = [make_voice(n_samples, 8_000, seed) for seed in range(n_clips)]
            batch = np.stack(rows)
            answer = run_file(path, batch)
            assert answer.shape == (n_clips, 8)
            np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
            np.testing.assert_allclose(answer, ask_torch(model, batch), rtol=0, atol=1e-4)
            alone = np.concatenate([run_file(path, row[None]) for row in batch])
            np.testing.assert_allclose(answer, alone, rtol=0, atol=1e-4)
            answers.append(answer[0])
    # Answers that were all alike would agree with anything.
    assert np.ptp(np.stack(answers), axis=0).max() > 0.1


def test_metadata_comes_back(
    tiny_recipe: Recipe, voices: list[NDArray[np.float32]], tmp_path: Path
) -> None:
    info, path = make_info(tiny_recipe), tmp_path / "new" / "model.onnx"
    export_onnx(make_model(tiny_recipe, 1), tiny_recipe, info, path, voices)
    assert open_model(path).info == info
    assert Recognizer.load(path).info.recipe == tiny_recipe.to_toml()
    entries = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert json.loads(entries["emovox.labels"]) == list(EMOTIONS)
    assert json.loads(entries["emovox.sample_rate_hz"]) == 8_000


def test_two_networks_of_one_architecture_give_their_own_answers(
    tiny_recipe: Recipe, voices: list[NDArray[np.float32]], tmp_path: Path
) -> None:
    onnx_export.trace_graph.cache_clear()
    models = [make_model(tiny_recipe, seed) for seed in (1, 2, 3)]
    for i, model in enumerate(models):
        export_onnx(model, tiny_recipe, make_info(tiny_recipe), tmp_path / f"{i}.onnx", voices)
    assert onnx_export.trace_graph.cache_info().misses == 1
    batch = voices[1][None]
    answers = [run_file(tmp_path / f"{i}.onnx", batch) for i in range(3)]
    for model, answer in zip(models, answers, strict=True):
        np.testing.assert_allclose(answer, ask_torch(model, batch), rtol=0, atol=1e-4)
    assert np.abs(answers[0] - answers[1]).max() > 0.01
    assert np.abs(answers[1] - answers[2]).max() > 0.01


def test_same_network_gives_the_same_file(
    tiny_recipe: Recipe, voices: list[NDArray[np.float32]], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        path = tmp_path / f"{name}.onnx"
        export_onnx(make_model(tiny_recipe, 1), tiny_recipe, make_info(tiny_recipe), path, voices)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize(
    "name",
    ["network.layers.0.weight", "network.layers.0.bias", "network.layers.10.bias", "mean", "std"],
)
@pytest.mark.parametrize("value", [0.5, float("nan")])
def test_a_wrong_weight_is_found_and_nothing_written(
    tiny_recipe: Recipe,
    voices: list[NDArray[np.float32]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: float,
) -> None:
    model, path = make_model(tiny_recipe, 1), tmp_path / "model.onnx"
    path.write_bytes(b"the last one")
    insert = onnx_export.insert_weights

    def insert_wrong(proto: onnx.ModelProto, _: WaveformClassifier) -> None:
        wrong = make_model(tiny_recipe, 1)
        weights = wrong.state_dict()
        assert name in weights
        weights[name] = weights[name] * 2 + value
        wrong.load_state_dict(weights)
        insert(proto, wrong)

    monkeypatch.setattr(onnx_export, "insert_weights", insert_wrong)
    with pytest.raises(
        ExportError, match=r"model\.onnx: .* differ by .*; expected at most 0\.0001"
    ):
        export_onnx(model, tiny_recipe, make_info(tiny_recipe), path, voices)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == b"the last one"


def test_a_network_of_nan_is_refused(
    tiny_recipe: Recipe, voices: list[NDArray[np.float32]], tmp_path: Path
) -> None:
    model = make_model(tiny_recipe, 1)
    with torch.no_grad():
        model.network.linear_layers()[-1].weight.fill_(float("nan"))
    with pytest.raises(ExportError, match="differ by nan"):
        export_onnx(model, tiny_recipe, make_info(tiny_recipe), tmp_path / "model.onnx", voices)
    assert list(tmp_path.iterdir()) == []


def test_without_recordings_nothing_is_checked_nor_written(
    tiny_recipe: Recipe, tmp_path: Path
) -> None:
    model = make_model(tiny_recipe, 1)
    with pytest.raises(ExportError, match=r"model\.onnx: no recordings to check the model on"):
        export_onnx(model, tiny_recipe, make_info(tiny_recipe), tmp_path / "model.onnx", [])
    assert list(tmp_path.iterdir()) == []


def test_a_weight_that_the_graph_lacks_is_named(tiny_recipe: Recipe) -> None:
    with pytest.raises(ExportError, match="no weight mean; the exporter renamed it"):
        onnx_export.insert_weights(onnx.ModelProto(), make_meanless(tiny_recipe))


def make_meanless(recipe: Recipe) -> WaveformClassifier:
    model = make_model(recipe, 1)
    model.network = torch.nn.Identity()  # type: ignore[assignment]
    return model


def test_scores_are_written_and_weights_kept(
    tiny_recipe: Recipe, voices: list[NDArray[np.float32]], tmp_path: Path
) -> None:
    info, path = make_info(tiny_recipe), tmp_path / "model.onnx"
    export_onnx(make_model(tiny_recipe, 1), tiny_recipe, info, path, voices)
    before = run_file(path, voices[0][None])
    write_scores(path, [SCORE])
    assert open_model(path).info == replace(info, scores=(SCORE,))
    write_scores(path, [SCORE, replace(SCORE, name="UA")])
    assert [score.name for score in open_model(path).info.scores] == ["WA", "UA"]
    write_scores(path, [])
    assert open_model(path).info == info
    assert np.array_equal(run_file(path, voices[0][None]), before)
    keys = [p.key for p in onnx.load(path).metadata_props]
    assert len(keys) == len(set(keys))


def test_scores_are_not_written_into_another_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match="not a usable ONNX model"):
        write_scores(path, [SCORE])
    assert path.read_bytes() == b"not a model"
