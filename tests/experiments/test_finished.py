import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from emovox.corpora.protocols import make_protocol
from emovox.corpora.read import load_clips
from emovox.corpora.splits import read_split
from emovox.errors import ModelFileError, ProtocolError, RunError
from emovox.experiments.export import export_run
from emovox.experiments.finished import compare_runs, evaluate_run, part_seeds
from emovox.experiments.train_and_test import run_experiment
from emovox.recipes.recipe import Recipe
from emovox.recognition.model_file import open_model
from emovox.recognition.recognizer import Recognizer
from emovox.report.sources import load_report_clips
from emovox.runs.folder import open_finished_run, write_split
from emovox.runs.predictions import read_predictions
from emovox.runs.protocol import load_run_protocol, measure_test_to_train
from emovox.training.features import FeatureCache, ImageSet
from emovox.training.weights import load_network


@pytest.fixture(scope="module")
def runs(
    tiny_recipe: Recipe,
    tiny_corpus: Path,
    tiny_split: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Make three runs: tiny and other under the custom split, loso under another protocol."""
    folder = tmp_path_factory.mktemp("runs")
    clips, features = load_clips(tiny_corpus), FeatureCache()
    split = read_split(tiny_split, clips)
    run_experiment(tiny_recipe, split, folder / "tiny", features=features)
    weak = tiny_recipe.training.model_copy(update={"epochs": 1, "learning_rate": 1e-6})
    other = tiny_recipe.model_copy(update={"name": "other", "training": weak})
    run_experiment(other, split, folder / "other", features=features)
    loso = make_protocol("loso", clips, n_splits=2)
    run_experiment(other, loso, folder / "loso", features=features)
    return folder


@pytest.fixture
def tiny_run(runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs / "tiny", tmp_path / "tiny"))


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_evaluating_again_gives_the_same_predictions(tiny_run: Path, tiny_corpus: Path) -> None:
    names = ["predictions.csv", "fold-01/predictions.csv", "fold-02/predictions.csv"]
    before = {name: hash_file(tiny_run / name) for name in names}
    scores = json.loads((tiny_run / "metrics.json").read_text())
    for name in [*names, "report.html"]:
        (tiny_run / name).unlink()
    evaluation = evaluate_run(tiny_run, tiny_corpus)
    assert {name: hash_file(tiny_run / name) for name in names} == before
    assert json.loads((tiny_run / "metrics.json").read_text()) == scores
    assert (tiny_run / "report.html").is_file()
    assert evaluation.metrics.accuracy == scores["metrics"]["accuracy"]
    assert evaluation.protocol.name == "custom-tiny"


def test_evaluation_uses_the_model_files(tiny_run: Path, runs: Path, tiny_corpus: Path) -> None:
    before = read_predictions(tiny_run / "predictions.csv")
    shutil.copy(runs / "other" / "fold-02" / "model.onnx", tiny_run / "fold-02" / "model.onnx")
    evaluate_run(tiny_run, tiny_corpus)
    after = read_predictions(tiny_run / "predictions.csv")
    first = before.folds == "01"
    assert np.array_equal(after.probabilities[first], before.probabilities[first])
    other = read_predictions(runs / "other" / "predictions.csv")
    assert np.array_equal(after.probabilities[~first], other.probabilities[~first])


def test_what_is_no_finished_run_is_refused(tiny_run: Path, tiny_corpus: Path) -> None:
    with pytest.raises(RunError, match=r"not a run folder \(no recipe\.toml in it\)"):
        evaluate_run(tiny_corpus, tiny_corpus)
    (tiny_run / "fold-01" / "model.onnx").unlink()
    with pytest.raises(ModelFileError, match=r"model\.onnx: cannot be read"):
        evaluate_run(tiny_run, tiny_corpus)
    (tiny_run / "metrics.json").unlink()
    with pytest.raises(RunError, match=r"metrics\.json: cannot be read.*emovox train --resume"):
        open_finished_run(tiny_run)


def test_protocol_comes_back_from_the_folder(runs: Path, tiny_corpus: Path) -> None:
    run = open_finished_run(runs / "loso")
    assert run.label == "loso v1, speaker-independent"
    protocol = load_run_protocol(run, tiny_corpus)
    assert protocol == make_protocol("loso", load_clips(tiny_corpus), n_splits=2)
    assert measure_test_to_train(run) == 16 / 48


def test_a_corpus_without_the_runs_clips_is_refused(
    tiny_run: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_corpus, tmp_path / "data"))
    shutil.rmtree(data / "ravdess" / "speech" / "Actor_06")
    with pytest.raises(ProtocolError, match=r"split\.csv, line \d+: no clip '.*-06' in the corpus"):
        evaluate_run(tiny_run, data)


def test_a_split_changed_to_share_speakers_is_refused(tiny_run: Path, tiny_corpus: Path) -> None:
    split = tiny_run / "split.csv"
    write_split(tiny_run, split.read_text().replace("-05,01,test", "-05,01,train", 1))
    with pytest.raises(ProtocolError, match="speakers 5 are in training and in the test"):
        evaluate_run(tiny_run, tiny_corpus)


@pytest.mark.parametrize("damage", ["rows", "digest", "all"])
def test_a_split_that_lost_rows_is_refused_and_nothing_is_rewritten(
    tiny_run: Path, tiny_corpus: Path, damage: str
) -> None:
    split = tiny_run / "split.csv"
    lines = split.read_text().splitlines(keepends=True)
    if damage == "rows":
        split.write_text("".join(lines[:-5]))
    elif damage == "digest":
        (tiny_run / "split.csv.sha256").write_text("")
    else:
        split.write_text("")
    before = {p: p.read_bytes() for p in tiny_run.rglob("*") if p.is_file()}
    refusals: list[Callable[[], object]] = [
        lambda: evaluate_run(tiny_run, tiny_corpus),
        lambda: compare_runs(tiny_run, tiny_run),
        lambda: export_run(tiny_run, "onnx", data=tiny_corpus),
        lambda: load_report_clips(tiny_run, tiny_corpus),
    ]
    for refused in refusals:
        with pytest.raises(RunError, match=r"split\.csv: .* lost or changed .*restore the file"):
            refused()
    assert {p: p.read_bytes() for p in tiny_run.rglob("*") if p.is_file()} == before


def test_a_run_from_before_digests_is_evaluated(tiny_run: Path, tiny_corpus: Path) -> None:
    (tiny_run / "split.csv.sha256").unlink()
    assert evaluate_run(tiny_run, tiny_corpus).summary.n_clips == 64


def test_comparison_says_which_is_better(runs: Path) -> None:
    comparison, label = compare_runs(runs / "tiny", runs / "other")
    assert label == "custom-tiny v1, speaker-independent"
    assert comparison.names == ("tiny", "other")
    accuracies = [
        json.loads((runs / name / "metrics.json").read_text())["metrics"]["accuracy"]
        for name in ("tiny", "other")
    ]
    assert accuracies[0] > accuracies[1] + 0.1
    assert comparison.better == "tiny"
    assert comparison.wa.value == pytest.approx(accuracies[0] - accuracies[1])
    swapped, _ = compare_runs(runs / "other", runs / "tiny")
    assert (swapped.names, swapped.better) == (("other", "tiny"), "tiny")
    assert swapped.wa.value == pytest.approx(-comparison.wa.value)


def test_a_run_is_as_good_as_itself(runs: Path, tiny_run: Path) -> None:
    comparison, _ = compare_runs(runs / "tiny", tiny_run)
    assert comparison.names == (str(runs / "tiny"), str(tiny_run))
    assert comparison.better is None
    assert [difference.value for difference in comparison.differences] == [0, 0, 0]


def copy_seed(run: Path, folder: Path, seed: int) -> Path:
    """Copy a run as if it came from another seed."""
    copy = Path(shutil.copytree(run, folder))
    recipe = copy / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 0", f"seed = {seed}"))
    return copy


def test_seeds_of_two_recipes_are_compared_as_recipes(runs: Path, tmp_path: Path) -> None:
    tiny = [runs / "tiny", copy_seed(runs / "tiny", tmp_path / "tiny1", 1)]
    other = [runs / "other", copy_seed(runs / "other", tmp_path / "other1", 1)]
    comparison, _ = compare_runs(tiny, other)
    assert (comparison.names, comparison.n_seeds) == (("tiny", "other"), (2, 2))
    assert comparison.wa.value == pytest.approx(compare_runs(tiny[0], other[0])[0].wa.value)
    assert "taken over 2 seeds each" in comparison.verdict
    assert "these two trained models" not in comparison.verdict
    mixed = [tiny[0], other[1], tiny[1], other[0]]
    assert part_seeds(mixed) == (tiny, [other[1], other[0]])
    with pytest.raises(
        ProtocolError, match="found 1 training of .* and 2 of .*tiny and 1 more; expected one"
    ):
        compare_runs(tiny[0], tiny)
    with pytest.raises(RunError, match="found the seeds 0, 0"):
        compare_runs([tiny[0], tiny[0]], other)
    with pytest.raises(RunError, match="found a side without a run"):
        compare_runs(tiny, [])
    with pytest.raises(RunError, match="has another recipe than"):
        compare_runs([tiny[0], other[1]], other)


def test_runs_are_parted_into_two_recipes_or_refused(runs: Path, tmp_path: Path) -> None:
    seeds = [runs / "tiny", copy_seed(runs / "tiny", tmp_path / "tiny1", 1)]
    assert part_seeds(seeds) == ([seeds[0]], [seeds[1]])
    with pytest.raises(RunError, match=r"runs of 1 recipe \(tiny\); expected two runs, or several"):
        part_seeds([*seeds, copy_seed(runs / "tiny", tmp_path / "tiny2", 2)])
    with pytest.raises(RunError, match="runs of 1 recipe"):
        part_seeds(seeds[:1])
    with pytest.raises(RunError, match="not a run folder"):
        part_seeds([*seeds, tmp_path])


def test_runs_of_different_protocols_are_not_compared(runs: Path, tiny_run: Path) -> None:
    with pytest.raises(ProtocolError, match="loso v1, .* only compared within one protocol"):
        compare_runs(runs / "tiny", runs / "loso")
    metrics = tiny_run / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ProtocolError, match=r"custom-tiny v1.*custom-tiny v2"):
        compare_runs(runs / "tiny", tiny_run)


@pytest.mark.parametrize("fold", [None, "01", "02"])
def test_onnx_is_written_again_from_the_weights(
    runs: Path, tiny_corpus: Path, tmp_path: Path, fold: str | None
) -> None:
    source = runs / "tiny" / f"fold-{fold or '01'}"
    path, description = export_run(
        runs / "tiny", "onnx", fold=fold, out=tmp_path / "out", data=tiny_corpus
    )
    assert path == tmp_path / "out" / "model.onnx"
    assert json.loads(description.read_text())["labels"] == list(open_model(path).info.labels)
    assert open_model(path).info == open_model(source / "model.onnx").info
    clip = next(tiny_corpus.rglob("*.wav"))
    first, second = (
        Recognizer.load(p, vad=False).predict(clip) for p in (path, source / "model.onnx")
    )
    assert first == second


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_files_give_the_same_probabilities(
    runs: Path, tiny_recipe: Recipe, tiny_corpus: Path, tmp_path: Path
) -> None:
    paths = export_run(runs / "tiny", "keras", fold="02", out=tmp_path, data=tiny_corpus)
    assert [path.name for path in paths] == ["tiny_model.keras", "tiny_model.h5"]
    from emovox.export.keras import import_keras

    model = load_network(runs / "tiny" / "fold-02", tiny_recipe)
    clips = load_clips(tiny_corpus)[:8]
    images = FeatureCache().load(clips, tiny_recipe)
    assert isinstance(images, ImageSet)
    images = images.standardize(model.mean, model.std)
    with torch.inference_mode():
        expected = (model.network(images.images) / model.temperature).softmax(1).numpy()
    for path in paths:
        keras_model = import_keras().models.load_model(path)
        found = keras_model.predict(images.images.permute(0, 2, 3, 1).numpy(), verbose=0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_damaged_weights_are_not_exported_over_a_good_model(
    tiny_run: Path, tiny_corpus: Path
) -> None:
    weights, model = (tiny_run / "fold-01" / n for n in ("weights.safetensors", "model.onnx"))
    before = model.read_bytes()
    content = bytearray(weights.read_bytes())
    content[-5] ^= 0x40
    weights.write_bytes(content)
    for output in ("onnx", "keras"):
        with pytest.raises(RunError, match="weights.safetensors: damaged: .*train it again"):
            export_run(tiny_run, output, data=tiny_corpus)
    assert model.read_bytes() == before


def test_export_of_what_is_not_there_is_refused(tiny_run: Path, tiny_corpus: Path) -> None:
    with pytest.raises(RunError, match="has no fold '03'; known: 01, 02"):
        export_run(tiny_run, "onnx", fold="03", data=tiny_corpus)
    (tiny_run / "fold-01" / "weights.safetensors").unlink()
    with pytest.raises(RunError, match=r"weights\.safetensors: cannot be read .*train it again"):
        export_run(tiny_run, "keras", data=tiny_corpus)
