"""Fixtures: the real corpus where it is to be had, and audio that the tests make themselves."""

import itertools
import os
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile as sf

import emovox  # noqa: F401  # before any test imports onnxruntime: it switches usage events off

if TYPE_CHECKING:
    from emovox.recipes.recipe import Recipe

TINY = """
name = "tiny"
[frontend]
sample_rate_hz = 8000
n_fft = 256
hop_samples = 128
image_height = 16
image_width = 16
[network]
conv_channels = [4]
dense_units = [8]
[training]
batch_size = 16
epochs = 2
"""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    """Count at the end what was left out, by what would bring it."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section(f"{len(skipped)} left out")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:4} {reason}")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache out of all tests: what they compute goes into a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("EMOVOX_CACHE", str(cache))
        # Commands would set it to a test's own cache, for all tests after it.
        patch.setenv("MPLCONFIGDIR", str(cache / "matplotlib"))
        yield


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    """Let PyTorch compute on one thread, so that trainings repeat exactly.

    More threads only cost time on networks as small as the tests'. Commands set their own number,
    which would otherwise remain for the tests after them.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ravdess() -> Path:
    """Return the data folder that holds RAVDESS, or skip where EMOVOX_DATA does not say.

    Where EMOVOX_REQUIRE_CORPUS is set, as in CI, it fails instead: a skip is no pass.
    """
    data = os.environ.get("EMOVOX_DATA")
    if not data and os.environ.get("EMOVOX_REQUIRE_CORPUS"):
        pytest.fail("EMOVOX_REQUIRE_CORPUS is set, but EMOVOX_DATA is not")
    if not data:
        pytest.skip("RAVDESS is missing: set EMOVOX_DATA to the folder that contains it")
    return Path(data)


@pytest.fixture(scope="session")
def reference_clips() -> Path:
    """Return the checkout's compressed copies of RAVDESS actors 1 to 4."""
    return Path(__file__).parents[1] / "reference_clips"


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Return a 1 s WAV file, 48 kHz mono 16 bit, of a 1 kHz tone at half scale."""
    path = tmp_path / "tone.wav"
    time_s = np.arange(48_000) / 48_000
    sf.write(path, 0.5 * np.sin(2 * np.pi * 1_000 * time_s), 48_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with 96 clips of 0.3 s under RAVDESS names: each emotion its own tone.

    Actors 1-6, both repetitions of every emotion, 8 kHz; a network learns them in a few epochs.
    """
    rng = np.random.default_rng(7)
    data = tmp_path_factory.mktemp("tiny")
    time_s = np.arange(2_400) / 8_000
    for actor, emotion, take in itertools.product(range(1, 7), range(1, 9), (1, 2)):
        folder = data / "ravdess" / "speech" / f"Actor_{actor:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        tone = np.sin(2 * np.pi * (400 * emotion + 10 * actor) * time_s + take)
        samples = 0.3 * tone + 0.02 * rng.uniform(-1, 1, len(time_s))
        name = f"03-01-{emotion:02d}-01-01-{take:02d}-{actor:02d}.wav"
        sf.write(folder / name, samples, 8_000, subtype="PCM_16")
    return data


@pytest.fixture(scope="session")
def tiny_split(tiny_corpus: Path) -> Path:
    """Return a custom split of ``tiny_corpus``: two folds, speaker-independent, 48/16/32 clips."""
    folds = {
        "01": {"train": "123", "validation": "4", "test": "56"},
        "02": {"train": "456", "validation": "3", "test": "12"},
    }
    lines = ["clip,fold,role"]
    for fold, roles in folds.items():
        for role, actors in roles.items():
            for path in sorted(tiny_corpus.rglob("*.wav")):
                if path.stem[-1] in actors:
                    lines.append(f"{path.stem},{fold},{role}")
    split = tiny_corpus / "tiny.csv"
    split.write_text("\n".join(lines) + "\n")
    return split


@pytest.fixture(scope="session")
def tiny_recipe() -> "Recipe":
    """Return a recipe for ``tiny_corpus`` that trains in a second, early stopping and all."""
    from emovox.recipes.recipe import build_recipe

    return build_recipe(
        {
            "name": "tiny",
            "frontend": {
                "sample_rate_hz": 8_000,
                "n_fft": 256,
                "hop_samples": 128,
                "image_height": 16,
                "image_width": 16,
            },
            "network": {"conv_channels": [4, 8], "dense_units": [8]},
            "regularization": {"l2": {"conv": 1e-4, "dense": 1e-4}, "dropout": 0.1},
            "training": {
                "optimizer": "adam",
                "learning_rate": 0.01,
                "batch_size": 8,
                "epochs": 4,
                "schedule": "plateau",
                "early_stopping_patience": 3,
            },
        }
    )


@pytest.fixture(scope="session")
def tiny_recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a recipe that trains in a moment."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_runs(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_corpus: Path,
    tiny_split: Path,
    tiny_recipe_file: Path,
) -> tuple[Path, Path]:
    """Return two finished runs on the same split, by RMSprop and by Adam."""
    from emovox.experiments.folds import load_protocol
    from emovox.experiments.train_and_test import run_experiment
    from emovox.recipes.recipe import load_recipe

    folder = tmp_path_factory.mktemp("runs")
    for optimizer in ("rmsprop", "adam"):
        changes = [f"training.optimizer={optimizer}", f"name=tiny-{optimizer}"]
        recipe = load_recipe(tiny_recipe_file, changes)
        protocol = load_protocol(recipe, tiny_corpus, split=tiny_split)
        run_experiment(recipe, protocol, folder / optimizer)
    return folder / "rmsprop", folder / "adam"


@pytest.fixture(scope="session")
def loudness_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model file at 8 kHz whose answer is known: P(loud) is the mean of ``|samples|``."""
    from onnx import TensorProto, helper

    from emovox.export.metadata import seal_proto
    from emovox.recognition.model_file import ModelInfo, ProtocolScore, hash_clip_names

    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(
        [
            helper.make_node("Abs", ["waveform"], ["rectified"]),
            helper.make_node("ReduceMean", ["rectified", "axes"], ["loud"], keepdims=1),
            helper.make_node("Sub", ["one", "loud"], ["quiet"]),
            helper.make_node("Concat", ["quiet", "loud"], ["probabilities"], axis=1),
        ],
        "loudness",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])],
        [one, axes],
    )
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    info = ModelInfo(
        name="loudness",
        labels=("quiet", "loud"),
        sample_rate_hz=8_000,
        temperature=1.0,
        min_confidence=0.0,
        training_corpora=("none",),
        training_clips=2,
        training_clips_sha256=hash_clip_names(["b", "a"]),
        scores=(
            ProtocolScore(
                name="UA",
                value=0.5,
                low=0.25,
                high=0.75,
                protocol="reference v1",
                speaker_independent=False,
                n_seeds=1,
                n_clips=36,
                n_speakers=4,
            ),
        ),
        recipe='name = "loudness"\n',
        licence="CC0",
    )
    helper.set_model_props(model, info.to_metadata())
    path = tmp_path_factory.mktemp("loudness") / "model.onnx"
    path.write_bytes(seal_proto(model))
    return path


@pytest.fixture(scope="session")
def voice_model(loudness_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model file at 8 kHz that takes a voice, and whose answer is known.

    The embedding is the mean of ``|samples|`` and its double. P(loud) is the logistic function of
    20 times what is left of the mean after the reference is taken off.
    """
    from dataclasses import replace

    from onnx import TensorProto, helper

    from emovox.export.metadata import seal_proto
    from emovox.recognition.model_file import open_model
    from emovox.recognition.model_info import CorpusCredit, ReferencePrior

    def describe(name: str, *shape: str | int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    kernel = helper.make_tensor("kernel", TensorProto.FLOAT, [2, 2], [0.0, 20.0, 0.0, 0.0])
    graph = helper.make_graph(
        [
            helper.make_node("Abs", ["waveform"], ["rectified"]),
            helper.make_node("ReduceMean", ["rectified", "axes"], ["loud"], keepdims=1),
            helper.make_node("Add", ["loud", "loud"], ["double"]),
            helper.make_node("Concat", ["loud", "double"], ["embedding"], axis=1),
            helper.make_node("MatMul", ["reference_labels", "class_offsets"], ["of_labels"]),
            helper.make_node("Sub", ["reference", "of_labels"], ["of_speaker"]),
            helper.make_node("Mul", ["of_speaker", "reference_weight"], ["baseline"]),
            helper.make_node("Sub", ["embedding", "baseline"], ["left"]),
            helper.make_node("MatMul", ["left", "kernel"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "voice",
        [describe("waveform", 1, "samples"), describe("reference", 1, 2)]
        + [describe("reference_weight", 1), describe("reference_labels", 1, 2)],
        [describe("probabilities", 1, 2), describe("embedding", 1, 2)],
        [
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
            kernel,
            helper.make_tensor("reference", TensorProto.FLOAT, [1, 2], [0.0, 0.0]),
            helper.make_tensor("reference_weight", TensorProto.FLOAT, [1], [0.0]),
            helper.make_tensor("reference_labels", TensorProto.FLOAT, [1, 2], [0.0, 0.0]),
            helper.make_tensor("class_offsets", TensorProto.FLOAT, [2, 2], [0.0] * 4),
        ],
    )
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    info = replace(
        open_model(loudness_model).info,
        name="voice",
        reference=ReferencePrior(
            neutral_prior=1.0,
            unlabelled_prior=3.0,
            neutral_weight=0.8,
            unlabelled_weight=1.0,
            one_sided_weight=0.4,
            low_spread=0.1,
            high_spread=0.3,
        ),
        corpora=(CorpusCredit("none", "CC0 1.0", "Nobody (2000)", "https://example.org"),),
        encoder_licence="MIT",
    )
    helper.set_model_props(model, info.to_metadata())
    path = tmp_path_factory.mktemp("voice") / "voice.onnx"
    path.write_bytes(seal_proto(model))
    return path
