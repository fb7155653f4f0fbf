import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emovox.audio.load import load_audio
from emovox.corpora.folds import Protocol
from emovox.corpora.protocols import make_protocol
from emovox.corpora.read import load_clips
from emovox.corpora.splits import read_split
from emovox.errors import RunError
from emovox.evaluation.calibration import fit_temperature
from emovox.experiments.finished import Run
from emovox.experiments.folds import load_protocol
from emovox.experiments.predict_clips import predict_clips
from emovox.experiments.train_and_test import run_experiment
from emovox.labels import EMOTIONS
from emovox.progress import Epoch, Watcher
from emovox.recipes.recipe import Recipe, load_recipe
from emovox.recognition.model_file import hash_clip_names, open_model
from emovox.recognition.recognizer import Recognizer
from emovox.runs.folder import lock_run
from emovox.runs.predictions import read_predictions
from emovox.training import features
from emovox.training.features import FeatureCache
from emovox.training.weights import load_network

FOLD_FILES = {
    "history.csv",
    "calibration.json",
    "predictions.csv",
    "weights.safetensors",
    "model.onnx",
}
RUN_FILES = {
    "recipe.toml",
    "corpus.json",
    "split.csv",
    "split.csv.sha256",
    "train.lock",
    "history.csv",
    "predictions.csv",
    "metrics.json",
    "report.html",
}

SUFFIXES = (".csv", ".toml", ".json", ".html", ".onnx", ".safetensors", ".sha256")


@pytest.fixture(scope="module")
def protocol(tiny_corpus: Path, tiny_split: Path) -> Protocol:
    return read_split(tiny_split, load_clips(tiny_corpus))


@pytest.fixture(scope="module")
def run(tiny_recipe: Recipe, protocol: Protocol, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_experiment(tiny_recipe, protocol, tmp_path_factory.mktemp("runs") / "tiny")


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_history(folder: Path) -> list[str]:
    """Return the lines of history.csv without the wall time."""
    lines = (folder / "history.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_run_folder_holds_what_is_documented(run: Run) -> None:
    expected = {f"fold-{fold}/{name}" for fold in ("01", "02") for name in FOLD_FILES}
    assert list_files(run.folder) == RUN_FILES | expected


def test_a_single_fold_needs_no_folder_of_its_own(
    tiny_recipe: Recipe, tiny_corpus: Path, tiny_split: Path, tmp_path: Path
) -> None:
    lines = [line for line in tiny_split.read_text().splitlines() if ",02," not in line]
    split = tmp_path / "one.csv"
    split.write_text("\n".join(lines) + "\n")
    one = read_split(split, load_clips(tiny_corpus))
    folder = tmp_path / "run"
    run_experiment(tiny_recipe, one, folder)
    assert list_files(folder) == RUN_FILES | FOLD_FILES


def test_files_agree_with_each_other(run: Run, protocol: Protocol, tiny_recipe: Recipe) -> None:
    folder = run.folder
    assert load_recipe(folder / "recipe.toml") == tiny_recipe
    with (folder / "split.csv").open(newline="") as file:
        roles = Counter((row["fold"], row["role"]) for row in csv.DictReader(file))
    sizes = {"train": 48, "validation": 16, "test": 32}
    assert roles == {(fold, role): n for fold in ("01", "02") for role, n in sizes.items()}
    assert [line.split(",")[:2] for line in read_history(folder)[1:]] == [
        [fold, str(epoch)] for fold in ("01", "02") for epoch in (1, 2, 3, 4)
    ]
    predictions = read_predictions(folder / "predictions.csv")
    parts = [read_predictions(folder / f"fold-{fold}" / "predictions.csv") for fold in ("01", "02")]
    assert predictions.clips.tolist() == [clip for part in parts for clip in part.clips]
    assert predictions.clips.tolist() == [c.name for f in protocol.folds for c in f.test]
    truth = {c.name: c.emotion for f in protocol.folds for c in f.test}
    assert [EMOTIONS[i] for i in predictions.true] == [truth[name] for name in predictions.clips]
    metrics = json.loads((folder / "metrics.json").read_text())
    accuracy = float((predictions.predicted == predictions.true).mean())
    assert metrics["metrics"]["accuracy"] == pytest.approx(accuracy)
    assert metrics["protocol"]["name"] == "custom-tiny"
    assert metrics["protocol"]["speaker_independent"] is True
    assert (metrics["n_clips"], metrics["n_speakers"], metrics["n_folds"]) == (64, 4, 2)
    assert run.evaluation is not None
    assert run.evaluation.metrics.accuracy == pytest.approx(accuracy)


def test_nothing_in_a_run_is_a_pickle(run: Run) -> None:
    for path in run.folder.rglob("*"):
        if path.is_file():
            start = path.read_bytes()[:9]
            if path.name == "train.lock":
                assert start == b""
                continue
            # Pickles of protocol 2 and later, and torch's zips of them.
            assert not start.startswith(b"\x80"), path
            assert not start.startswith(b"PK"), path
            assert path.suffix in SUFFIXES
            if path.suffix == ".safetensors":
                assert start[8:9] == b"{"


def test_model_file_describes_the_run(run: Run, protocol: Protocol, tiny_recipe: Recipe) -> None:
    for fold in protocol.folds:
        info = open_model(run.folder / f"fold-{fold.name}" / "model.onnx").info
        assert (info.name, info.labels, info.sample_rate_hz) == ("tiny", EMOTIONS, 8_000)
        assert info.training_clips == 48
        assert info.training_clips_sha256 == hash_clip_names([c.name for c in fold.train])
        assert info.recipe == tiny_recipe.to_toml()
        assert [score.name for score in info.scores] == ["WA", "UA", "F1"]
        assert {score.protocol for score in info.scores} == {"custom-tiny v1"}
        assert run.evaluation is not None
        assert info.scores == run.evaluation.to_scores()


def test_weights_rebuild_the_network_of_the_model_file(
    run: Run, protocol: Protocol, tiny_recipe: Recipe
) -> None:
    predictions = read_predictions(run.folder / "predictions.csv")
    for fold in protocol.folds:
        folder = run.folder / f"fold-{fold.name}"
        model = load_network(folder, tiny_recipe)
        assert not model.training
        recognizer = Recognizer.load(folder / "model.onnx", vad=False, min_confidence=0)
        for clip in fold.test[:5]:
            samples = load_audio(clip.path, 8_000).samples
            with torch.inference_mode():
                answer = model(torch.from_numpy(samples)[None])[0].numpy()
            scores = list((recognizer.predict(clip.path).scores or {}).values())
            np.testing.assert_allclose(scores, answer, rtol=0, atol=1e-4)
            row = (predictions.clips == clip.name) & (predictions.folds == fold.name)
            assert predictions.probabilities[row].tolist() == [scores]


def test_each_fold_is_calibrated_on_its_validation_clips(
    run: Run, protocol: Protocol, tiny_recipe: Recipe
) -> None:
    metrics = json.loads((run.folder / "metrics.json").read_text())
    for fold, entry in zip(protocol.folds, metrics["folds"], strict=True):
        folder = run.folder / f"fold-{fold.name}"
        written = json.loads((folder / "calibration.json").read_text())
        assert written == entry["calibration"]
        assert (written["n_clips"], written["n_speakers"]) == (16, 1)
        info = open_model(folder / "model.onnx").info
        assert (info.temperature, info.min_confidence) == (
            written["temperature"],
            written["min_confidence"],
        )
        network = load_network(folder, tiny_recipe)
        assert network.temperature.item() == pytest.approx(info.temperature, rel=1e-6)
        # No other temperature makes the validation clips more probable.
        told = predict_clips(folder / "model.onnx", fold.validation, fold.name)
        assert fit_temperature(told) == pytest.approx(1, rel=1e-3)


def test_without_validation_clips_a_model_stays_as_trained(
    tiny_recipe: Recipe, tiny_corpus: Path, tiny_split: Path, tmp_path: Path
) -> None:
    lines = [line for line in tiny_split.read_text().splitlines() if ",02," not in line]
    split = tmp_path / "two-roles.csv"
    split.write_text("\n".join(line for line in lines if "validation" not in line) + "\n")
    training = {"epochs": 1, "schedule": "constant", "early_stopping_patience": 0}
    recipe = tiny_recipe.model_copy(
        update={"training": tiny_recipe.training.model_copy(update=training)}
    )
    folder = tmp_path / "run"
    done = run_experiment(recipe, read_split(split, load_clips(tiny_corpus)), folder)
    info = open_model(folder / "model.onnx").info
    assert (info.temperature, info.min_confidence) == (1.0, 0.0)
    assert done.evaluation is not None
    assert done.evaluation.abstention.own is None
    assert "not calibrated: there were no validation clips" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("missing", "cannot be read"),
        ("cut", "damaged: its content does not match"),
        ("other recipe", "cannot rebuild"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    run: Run, tiny_recipe: Recipe, tmp_path: Path, damage: str, found: str
) -> None:
    path, recipe = tmp_path / "weights.safetensors", tiny_recipe
    content = (run.folder / "fold-01" / "weights.safetensors").read_bytes()
    if damage != "missing":
        path.write_bytes(content[: -9 if damage == "cut" else None])
    if damage == "other recipe":
        network = recipe.network.model_copy(update={"dense_units": (9,)})
        recipe = recipe.model_copy(update={"network": network})
    with pytest.raises(RunError, match=rf"weights\.safetensors: {found}.*train it again"):
        load_network(tmp_path, recipe)


def test_a_run_that_another_training_writes_is_left_alone(
    tiny_recipe: Recipe, protocol: Protocol, tmp_path: Path
) -> None:
    with lock_run(tmp_path / "run"), pytest.raises(RunError, match="another training is writing"):
        run_experiment(tiny_recipe, protocol, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["train.lock"]


class Recorder(Watcher):
    """Notes which folds were trained, and may interrupt at an epoch, or before clips are heard."""

    def __init__(self, stop_at: tuple[str, int | str] = ("", 0)) -> None:
        self.stop_at = stop_at
        self.fold = ""
        self.trained: list[tuple[str, int]] = []

    def start_fold(self, name: str, n_folds: int) -> None:
        assert n_folds == 2
        self.fold = name

    def start_clips(self, action: str, n_clips: int) -> None:
        assert n_clips >= 0
        if (self.fold, action) == self.stop_at:
            raise KeyboardInterrupt

    def end_epoch(self, epoch: Epoch) -> None:
        self.trained.append((self.fold, epoch.epoch))
        if (self.fold, epoch.epoch) == self.stop_at:
            raise KeyboardInterrupt


def test_two_processes_write_the_same_bytes(
    run: Run, tiny_recipe: Recipe, protocol: Protocol, tmp_path: Path
) -> None:
    recorder = Recorder()
    run_experiment(tiny_recipe, protocol, tmp_path / "tiny", jobs=2, watcher=recorder)
    assert len(recorder.trained) == len(read_history(run.folder)) - 1
    assert list_files(tmp_path / "tiny") == list_files(run.folder)
    for path in run.folder.rglob("*"):
        if path.suffix in (".safetensors", ".onnx") or path.name == "predictions.csv":
            assert hash_file(tmp_path / "tiny" / path.relative_to(run.folder)) == hash_file(path)


def test_resume_trains_only_what_is_missing(
    run: Run, tiny_recipe: Recipe, protocol: Protocol, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    with pytest.raises(KeyboardInterrupt):
        run_experiment(tiny_recipe, protocol, folder, watcher=Recorder(("02", 2)))
    first_files = {path: path.stat().st_mtime_ns for path in (folder / "fold-01").iterdir()}
    assert not (folder / "metrics.json").exists()
    assert (folder / "fold-02" / "checkpoint").is_dir()
    recorder = Recorder()
    run_experiment(tiny_recipe, protocol, folder, resume=True, watcher=recorder)
    assert {fold for fold, _ in recorder.trained} == {"02"}
    for path, changed in first_files.items():
        if path.name != "model.onnx":  # it gets the scores at the end
            assert path.stat().st_mtime_ns == changed
    for fold in ("fold-01", "fold-02"):
        for name in ("weights.safetensors", "predictions.csv"):
            assert hash_file(folder / fold / name) == hash_file(run.folder / fold / name)
    assert read_history(folder) == read_history(run.folder)
    assert hash_file(folder / "predictions.csv") == hash_file(run.folder / "predictions.csv")
    assert list_files(folder) == list_files(run.folder)


@pytest.mark.parametrize(
    ("stop_at", "written"),
    [
        (("01", "validation clips"), {"history.csv"}),
        (("02", "test clips"), FOLD_FILES - {"predictions.csv"}),
    ],
)
def test_resume_within_a_fold(
    run: Run,
    tiny_recipe: Recipe,
    protocol: Protocol,
    tmp_path: Path,
    stop_at: tuple[str, str],
    written: set[str],
) -> None:
    folder = tmp_path / "tiny"
    with pytest.raises(KeyboardInterrupt):
        run_experiment(tiny_recipe, protocol, folder, watcher=Recorder(stop_at))
    # The model that is calibrated is in memory alone; the file is there before it is tested.
    fold_folder = folder / f"fold-{stop_at[0]}"
    assert {path.name for path in fold_folder.iterdir() if path.is_file()} == written
    run_experiment(tiny_recipe, protocol, folder, resume=True)
    assert list_files(folder) == list_files(run.folder)
    for path in ("fold-01/weights.safetensors", "fold-02/weights.safetensors", "predictions.csv"):
        assert hash_file(folder / path) == hash_file(run.folder / path)


def test_resume_after_the_last_fold(
    run: Run, tiny_recipe: Recipe, protocol: Protocol, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run.folder, tmp_path / "tiny"))
    for name in ("history.csv", "predictions.csv", "metrics.json", "report.html"):
        (folder / name).unlink()
    recorder = Recorder()
    run_experiment(tiny_recipe, protocol, folder, resume=True, watcher=recorder)
    assert recorder.trained == []
    for name in ("history.csv", "predictions.csv", "metrics.json", "fold-01/model.onnx"):
        assert hash_file(folder / name) == hash_file(run.folder / name)


def test_a_finished_run_is_left_alone(run: Run, tiny_recipe: Recipe, protocol: Protocol) -> None:
    before = hash_file(run.folder / "fold-01" / "weights.safetensors")
    with pytest.raises(RunError, match="already holds a run; continue it with --resume"):
        run_experiment(tiny_recipe, protocol, run.folder)
    recorder = Recorder()
    again = run_experiment(tiny_recipe, protocol, run.folder, resume=True, watcher=recorder)
    assert recorder.trained == []
    assert hash_file(run.folder / "fold-01" / "weights.safetensors") == before
    assert again.predictions is not None
    assert run.predictions is not None
    assert np.array_equal(again.predictions.probabilities, run.predictions.probabilities)


def test_another_recipe_or_split_is_refused(
    run: Run, tiny_recipe: Recipe, protocol: Protocol, tiny_corpus: Path
) -> None:
    other = tiny_recipe.model_copy(update={"seed": 1})
    with pytest.raises(RunError, match=r"recipe\.toml differs from the requested recipe"):
        run_experiment(other, protocol, run.folder, resume=True)
    loso = make_protocol("loso", load_clips(tiny_corpus))
    with pytest.raises(RunError, match=r"split\.csv differs from the requested split"):
        run_experiment(tiny_recipe, loso, run.folder, resume=True)


def find_kept_epochs(folder: Path) -> list[int]:
    with (folder / "history.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file) if row["kept"] == "1"]


def test_each_clip_is_decoded_once(
    run: Run,
    tiny_recipe: Recipe,
    protocol: Protocol,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: Counter[str] = Counter()

    def count(path: Path, rate_hz: int) -> Any:
        decoded[path.stem] += 1
        return load_audio(path, rate_hz)

    monkeypatch.setattr(features, "load_audio", count)
    cache = FeatureCache(jobs=1)
    run_experiment(tiny_recipe, protocol, tmp_path / "a", features=cache, keep_models=False)
    trained = {c.name for f in protocol.folds for c in (*f.train, *f.validation)}
    assert decoded == {name: 1 for name in trained}
    other = tiny_recipe.model_copy(update={"seed": 1})
    run_experiment(other, protocol, tmp_path / "b", features=cache, keep_models=False)
    assert decoded == {name: 1 for name in trained}
    # Without models, predictions and scores are still there, best epochs among them.
    names = {path.name for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert names == RUN_FILES - {"report.html"} | {"calibration.json"}
    assert hash_file(tmp_path / "a" / "predictions.csv") == hash_file(
        run.folder / "predictions.csv"
    )
    for folder in (tmp_path / "a", run.folder):
        folds = json.loads((folder / "metrics.json").read_text())["folds"]
        assert [fold["best_epoch"] for fold in folds] == find_kept_epochs(folder)


def test_everything_ends_without_scores(
    tiny_recipe: Recipe, tiny_corpus: Path, tmp_path: Path
) -> None:
    training = tiny_recipe.training.model_copy(
        update={"schedule": "constant", "early_stopping_patience": 0, "epochs": 1}
    )
    recipe = tiny_recipe.model_copy(update={"training": training})
    everything = make_protocol("everything", load_clips(tiny_corpus))
    finished = run_experiment(recipe, everything, tmp_path / "all")
    assert finished.evaluation is None
    info = open_model(tmp_path / "all" / "model.onnx").info
    assert (info.scores, info.training_clips) == ((), 96)


def test_actors_of_the_recipe_alone_take_part(tiny_recipe: Recipe, tiny_corpus: Path) -> None:
    data = tiny_recipe.data.model_copy(update={"protocol": "loso", "actors": (1, 3, 6, 5)})
    made = load_protocol(tiny_recipe.model_copy(update={"data": data}), tiny_corpus, n_splits=2)
    assert {clip.speaker for clip in made.folds[0].train} == {"5", "6"}
    assert [{clip.speaker for clip in fold.test} for fold in made.folds] == [{"1"}, {"3"}]


# Real processes, really killed.


@pytest.fixture(scope="module")
def long_recipe(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recipe that trains for some seconds: time enough to be killed in."""
    training = tiny_recipe.training.model_copy(
        update={"epochs": 60, "batch_size": 2, "early_stopping_patience": 59}
    )
    path = tmp_path_factory.mktemp("recipes") / "long.toml"
    path.write_text(tiny_recipe.model_copy(update={"training": training}).to_toml())
    return path


def start_training(
    recipe: Path, data: Path, out: Path, *more: str, jobs: int = 2
) -> subprocess.Popen[str]:
    split = data / "tiny.csv"
    command = [sys.executable, "-c", "from emovox.cli.main import main; main()", "train"]
    options = ["--recipe", recipe, "--data", data, "--split", split, "--out", out, "--jobs", jobs]
    return subprocess.Popen(
        [*command, *map(str, options), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1" if jobs == 2 else "2"},
    )


def end_training(process: subprocess.Popen[str], status: int) -> str:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == status, errors
    return errors


def wait_for_epoch(process: subprocess.Popen[str], history: Path, epoch: int) -> None:
    """Wait until an epoch is written; the process is then within the next one."""
    deadline = time.monotonic() + 300
    while not history.exists() or history.read_text().count("\n") <= epoch:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no such epoch"
        time.sleep(0.002)


@pytest.mark.slow
def test_killed_and_interrupted_process_ends_with_the_same_bytes(
    long_recipe: Path, tiny_corpus: Path, tiny_split: Path, tmp_path: Path
) -> None:
    assert tiny_split == tiny_corpus / "tiny.csv"
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    uninterrupted = start_training(long_recipe, tiny_corpus, whole, jobs=1)
    end_training(uninterrupted, 0)

    process = start_training(long_recipe, tiny_corpus, cut)
    for fold in ("fold-01", "fold-02"):
        wait_for_epoch(process, cut / fold / "history.csv", 3)
    process.send_signal(signal.SIGKILL)
    # It waits for the end of the workers too, which hold the pipes of its output.
    end_training(process, -signal.SIGKILL)
    n_rows = len(read_history(cut / "fold-02"))
    assert 4 <= n_rows < 61, "it was to be killed within training"

    process = start_training(long_recipe, tiny_corpus, cut, "--resume")
    wait_for_epoch(process, cut / "fold-02" / "history.csv", n_rows + 1)
    process.send_signal(signal.SIGINT)
    errors = end_training(process, 130)
    assert errors.endswith("what was finished is kept: continue with --resume\n"), errors
    assert "Traceback" not in errors
    assert len(read_history(cut / "fold-02")) < 61
    assert not list(cut.rglob(".*")), "half-written files"

    process = start_training(long_recipe, tiny_corpus, cut, "--resume")
    end_training(process, 0)
    for fold in ("fold-01", "fold-02"):
        for name in ("weights.safetensors", "predictions.csv"):
            assert hash_file(cut / fold / name) == hash_file(whole / fold / name)
        assert read_history(cut / fold) == read_history(whole / fold)
        assert len(read_history(cut / fold)) == 61
    assert hash_file(cut / "predictions.csv") == hash_file(whole / "predictions.csv")


def test_a_copied_run_folder_resumes_too(
    tiny_recipe: Recipe, protocol: Protocol, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_experiment(tiny_recipe, protocol, tmp_path / "a", watcher=Recorder(("01", 2)))
    shutil.move(tmp_path / "a", tmp_path / "b")
    run_experiment(tiny_recipe, protocol, tmp_path / "b", resume=True)
    path = "fold-01/weights.safetensors"
    assert hash_file(tmp_path / "b" / path) == hash_file(run.folder / path)
