"""A head behind the bundled encoder, as one file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from tests.export.model_parts import make_info, make_voice, run_file

from emovox.errors import ExportError
from emovox.export import onnx as onnx_export
from emovox.export.onnx import export_onnx, require_reference
from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe, load_recipe
from emovox.recognition.model_file import open_model
from emovox.recognition.model_info import ReferencePrior
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.session import open_session
from emovox.training.networks import (
    EmbeddingHead,
    WaveformClassifier,
    make_frontend,
    make_network,
)
from emovox.training.rounding import round_weights
from emovox.training.speech_encoder import SpeechEncoder, find_speech_encoder

RECIPE = load_recipe("encoder", ["network.hidden_units=[16]", "network.members=3"])
RATE_HZ = RECIPE.frontend.sample_rate_hz
MEAN, STD = torch.linspace(-1, 1, 2_304), torch.linspace(0.5, 2, 2_304)


def make_model(seed: int, temperature: float = 1.0, recipe: Recipe = RECIPE) -> WaveformClassifier:
    generator = torch.Generator().manual_seed(seed)
    head = make_network(recipe, 2_304, 8, generator)
    frontend = make_frontend(recipe)
    return WaveformClassifier(frontend, head, MEAN.clone(), STD.clone(), temperature).eval()


def export(model: WaveformClassifier, path: Path) -> Path:
    assert export_onnx(model, RECIPE, make_info(RECIPE), path, [make_voice(9_000, RATE_HZ)]) <= 1e-4
    return path


def apply_head(
    model: WaveformClassifier, embedding: NDArray[np.float32], temperature: float
) -> NDArray[np.float64]:
    """Compute the head in double precision, from its weights alone."""
    hidden, output = model.network.linear_layers()
    x = (torch.from_numpy(embedding).double() - MEAN.double()) / STD.double()
    x = (hidden.weight.double() @ x + hidden.bias.double()).relu()
    members = zip(output.weight.double(), x.chunk(3), output.bias.double(), strict=True)
    logits = torch.stack([kernel @ part + bias for kernel, part, bias in members]).mean(0)
    return np.asarray((logits / temperature).softmax(0).detach().numpy(), np.float64)


def test_the_file_is_the_head_on_the_encoders_embedding(tmp_path: Path) -> None:
    models = [make_model(1), make_model(2), make_model(1, temperature=2.5)]
    paths = [export(model, tmp_path / f"{i}.onnx") for i, model in enumerate(models)]
    encoder = SpeechEncoder()
    answers = []
    for n_samples in (1, 159, 160, 4_000, 16_000, 59_200, 100_003):
        voice = make_voice(n_samples, RATE_HZ, seed=n_samples % 5)
        embedding = encoder.embed(voice)
        for model, path in zip(models, paths, strict=True):
            expected = apply_head(model, embedding, model.temperature.item())
            answer = run_file(path, voice[None])[0]
            np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-4)
            answers.append(answer)
            with torch.inference_mode():
                torchs = model(torch.from_numpy(voice)[None])[0].numpy()
            np.testing.assert_allclose(answer, torchs, rtol=0, atol=1e-4)
    # Other weights, another temperature and another recording each change the answer.
    first, other, cool = (np.stack(answers[i::3]) for i in range(3))
    assert np.abs(first - other).max(axis=1).min() > 0.05
    assert (cool.max(axis=1) < first.max(axis=1) - 0.01).all()
    assert np.ptp(first, axis=0).max() > 0.05


def test_metadata_is_ours_and_the_encoders_weights_are_untouched(tmp_path: Path) -> None:
    path = export(make_model(1), tmp_path / "model.onnx")
    assert open_model(path).info == make_info(RECIPE)
    assert Recognizer.load(path).info.labels == EMOTIONS
    joined = {t.name: t for t in onnx.load(path).graph.initializer}
    bundled = onnx.load(find_speech_encoder()).graph.initializer
    weights = [t for t in bundled if t.name.endswith("weight_packed")]
    assert len(weights) == 2 + 3 * 4
    for tensor in weights:
        assert joined[f"encoder/{tensor.name}"].raw_data == tensor.raw_data


def test_one_trace_serves_all_heads_of_a_shape(tmp_path: Path) -> None:
    export(make_model(1), tmp_path / "a.onnx")
    misses = onnx_export.trace_graph.cache_info().misses
    export(make_model(3), tmp_path / "b.onnx")
    export(make_model(1), tmp_path / "c.onnx")
    assert onnx_export.trace_graph.cache_info().misses == misses
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "c.onnx").read_bytes()
    assert (tmp_path / "a.onnx").read_bytes() != (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("hidden", ["[]", "[24, 12]"])
@pytest.mark.parametrize("members", [1, 5])
def test_heads_of_other_depths_are_exported_too(tmp_path: Path, hidden: str, members: int) -> None:
    changes = [f"network.hidden_units={hidden}", f"network.members={members}"]
    recipe = load_recipe("encoder", changes)
    model, path, voice = (
        make_model(1, recipe=recipe),
        tmp_path / "model.onnx",
        make_voice(20_000, RATE_HZ),
    )
    assert export_onnx(model, recipe, make_info(RECIPE), path, [voice]) <= 1e-4
    embedding = (torch.from_numpy(SpeechEncoder().embed(voice)) - MEAN) / STD
    with torch.inference_mode():
        expected = model.network(embedding[None])[0].softmax(0).numpy()
    np.testing.assert_allclose(run_file(path, voice[None])[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["mean", "std", "temperature", "network.layers.1.weight"])
def test_a_wrong_number_of_the_head_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    model, insert = make_model(1), onnx_export.insert_weights

    def insert_wrong(proto: onnx.ModelProto, _: WaveformClassifier) -> None:
        wrong = make_model(1)
        wrong.state_dict()[name].mul_(1.5).add_(0.1)
        insert(proto, wrong)

    monkeypatch.setattr(onnx_export, "insert_weights", insert_wrong)
    with pytest.raises(ExportError, match=r"model\.onnx: .* differ by"):
        export_onnx(
            model, RECIPE, make_info(RECIPE), tmp_path / "model.onnx", [make_voice(9_000, RATE_HZ)]
        )
    assert list(tmp_path.iterdir()) == []


def test_weights_that_8_bits_hold_are_stored_in_them(tmp_path: Path) -> None:
    exact, rounded = make_model(seed=0), make_model(seed=0)
    round_weights(rounded.network)
    weight = rounded.network.linear_layers()[0].weight.detach().numpy()
    assert not np.array_equal(exact.network.linear_layers()[0].weight.detach().numpy(), weight)
    files = {}
    for name, model in (("exact", exact), ("rounded", rounded)):
        files[name] = export(model, tmp_path / f"{name}.onnx")
    tensors = {t.name: t for t in onnx.load(files["rounded"]).graph.initializer}
    name = "network.layers.1.weight"
    steps, scales = (
        onnx.numpy_helper.to_array(tensors[f"{name}/{part}"]) for part in ("steps", "scales")
    )
    assert steps.dtype == np.dtype(np.int8)
    assert (steps.shape, scales.shape) == (weight.shape, (len(weight), 1))
    assert np.array_equal(steps * scales, weight)
    # Nothing is rounded by the export itself.
    tensors = {t.name: t for t in onnx.load(files["exact"]).graph.initializer}
    stored = onnx.numpy_helper.to_array(tensors[name])
    assert np.array_equal(stored, exact.network.linear_layers()[0].weight.detach().numpy())
    saved = files["exact"].stat().st_size - files["rounded"].stat().st_size
    assert saved == pytest.approx(3 * weight.size, rel=0.05)


def test_a_reference_is_taken_off_before_the_head(tmp_path: Path) -> None:
    recipe = load_recipe(
        "encoder", ["network.hidden_units=[16]", "network.members=3", "training.references=5"]
    )
    model = make_model(1, recipe=recipe)
    network = model.network
    assert isinstance(network, EmbeddingHead)
    assert network.baseline is not None
    network.baseline.class_offsets.normal_(generator=torch.Generator().manual_seed(4))
    of_labels = network.baseline.class_offsets.numpy() * STD.numpy()
    labels = np.array([[0.1, 0, 0.4, 0, 0.2, 0, 0, 0]], np.float32)
    model.sharpening.fill_(0.25)
    info = replace(make_info(recipe), reference=ReferencePrior())
    first, second = make_voice(16_000, RATE_HZ), make_voice(20_000, RATE_HZ, seed=3)
    path = tmp_path / "model.onnx"
    assert export_onnx(model, recipe, info, path, [first, second]) <= 1e-4
    embedding, reference = (SpeechEncoder().embed(voice) for voice in (first, second))
    session = open_model(path).session
    for weight in (0.0, 0.6, 1.0):
        # As if the speaker spoke like the average of the training clips.
        shifted = embedding - weight * (reference - MEAN.numpy() - labels[0] @ of_labels)
        expected = apply_head(model, shifted, 1 / (1 + 0.25 * weight))
        feeds = {
            "waveform": first[None],
            "reference": reference[None],
            "reference_weight": np.array([weight], np.float32),
            "reference_labels": labels,
        }
        answer, embedded = session.run(["probabilities", "embedding"], feeds)
        np.testing.assert_allclose(answer[0], expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(embedded[0], embedding, rtol=1e-5, atol=1e-5)
        if weight == 0:
            # Without a reference, the same as with none of it.
            np.testing.assert_array_equal(run_file(path, first[None]), answer)
        else:
            assert np.abs(answer - run_file(path, first[None])).max() > 0.01
    # A browser's runtime has to be given all.
    required = open_session(require_reference(path.read_bytes()))
    assert [entry.name for entry in required.get_inputs()] == list(feeds)
    np.testing.assert_array_equal(required.run(["probabilities"], feeds)[0], answer)


def test_the_embedding_is_an_output_of_a_model_without_references(tmp_path: Path) -> None:
    path = export(make_model(1), tmp_path / "model.onnx")
    model, voice = open_model(path), make_voice(16_000, RATE_HZ)
    assert model.n_features == 2_304
    (embedded,) = model.session.run(["embedding"], {"waveform": voice[None]})
    np.testing.assert_allclose(embedded[0], SpeechEncoder().embed(voice), rtol=1e-5, atol=1e-5)
