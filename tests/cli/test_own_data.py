"""Anybody's own recordings: their labels, a fitting protocol, and what leads on when it fails."""

import csv
import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from emovox.recognition.model_file import open_model
from emovox.recognition.recognizer import Recognizer

LABELS = {"Positive": 500, "Negative": 1_500, "Neutral": 900, "$x<b>_1": 2_500}
OWN = ("neutral", "$x<b>_1", "negative", "positive")
"""The order of the model's outputs: the known emotion first, then by the alphabet."""

SPEAKERS = ("ann", "bob", "eve", "dan")


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two takes of every label by each speaker, a tone for each label."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(8)
    time_s = np.arange(2_400) / 8_000
    for speaker, label, take in itertools.product(SPEAKERS, LABELS, (1, 2)):
        noise = 0.02 * rng.uniform(-1, 1, len(time_s))
        samples = 0.3 * np.sin(2 * np.pi * LABELS[label] * time_s) + noise
        path = folder / label / f"{speaker}{take}.wav"
        path.parent.mkdir(exist_ok=True)
        sf.write(path, samples, 8_000, subtype="PCM_16")
    return folder


def write_manifest(
    folder: Path,
    name: str,
    recordings: Path,
    *,
    labels: Sequence[str] = tuple(LABELS),
    speakers: Sequence[str] = SPEAKERS,
    takes: Sequence[int] = (1, 2),
) -> Path:
    """Write a manifest of some of the recordings, with other column names and semicolons."""
    rows = [
        f"{recordings / label / f'{speaker}{take}.wav'};{label};{speaker};hall"
        for speaker, label, take in itertools.product(speakers, labels, takes)
    ]
    path = folder / name
    path.write_text("\n".join(["Path;Category;Speaker_ID;room", *rows]) + "\n")
    return path


@pytest.fixture
def train(call: Any, tiny_recipe_file: Path, tmp_path: Path) -> Any:
    """Return a function that trains the tiny recipe into ``run``."""

    def run(*options: str | Path) -> Any:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return call("train", "--recipe", tiny_recipe_file, "--out", tmp_path / "run", *options)

    return run


def test_own_labels_from_a_list_to_a_model_a_report_and_exports(
    train: Any, call: Any, recordings: Path, tmp_path: Path
) -> None:
    manifest = write_manifest(tmp_path, "mine.csv", recordings)
    answer = train("--corpus", manifest, "--set", "training.epochs=8")
    assert answer.status == 0, answer.stderr
    counts = ", ".join(f"{label} 8" for label in OWN)
    lines = [" ".join(line.split()) for line in answer.stderr.splitlines()]
    assert lines[:2] == [
        "check clips result found",
        f"usable 32 4 speakers, 0.2 min; 4 labels: {counts}",
    ]
    assert "columns warning mine: columns not read: room" in lines
    notes = [
        f"emovox: 4 labels: {', '.join(OWN)}",
        f"emovox: protocol loso for {manifest}: each of its 4 speakers is tested in turn (name "
        "another by --protocol; everything trains one model on all clips)",
    ]
    assert [line for line in lines if line.startswith("emovox: ")] == notes
    assert "loso v1, speaker-independent, 1 seed, 32 clips of 4 speakers" in answer.stdout
    run = tmp_path / "run"
    assert 'protocol = "loso"' in (run / "recipe.toml").read_text()
    info = open_model(run / "fold-01" / "model.onnx").info
    assert (info.labels, info.training_corpora, info.training_clips) == (OWN, ("mine",), 16)
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0])[6:] == OWN
    assert {row["true"] for row in rows} == set(OWN)
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]
    assert [entry["label"] for entry in metrics["per_class"]] == list(OWN)
    assert metrics["absent_classes"] == []
    page = (run / "report.html").read_text()
    assert "positive" in page and "$x&lt;b&gt;_1" in page and "<b>_1" not in page
    # The model file answers by itself, and what is made of the weights anew is the same.
    heard = Recognizer.load(run / "fold-01" / "model.onnx", vad=False, min_confidence=0)
    before = heard.predict(recordings / "Positive" / "ann1.wav").scores
    assert before is not None and tuple(before) == OWN
    exported = call("export", run, "--format", "onnx", "--out", tmp_path / "again")
    assert exported.status == 0, exported.stderr
    again = Recognizer.load(tmp_path / "again" / "model.onnx", vad=False, min_confidence=0)
    assert again.predict(recordings / "Positive" / "ann1.wav").scores == pytest.approx(before)
    scored = call("evaluate", run)
    assert scored.status == 0, scored.stderr
    assert "columns not read: room" in (run / "report.html").read_text()
    assert scored.stdout.splitlines()[:3] == answer.stdout.splitlines()[:3]


def test_a_folder_without_speakers_is_never_called_speaker_independent(
    train: Any, recordings: Path, tmp_path: Path
) -> None:
    answer = train("--corpus", recordings, "--splits", "1")
    assert answer.status == 0, answer.stderr
    assert "protocol random-10 for" in answer.stderr
    assert "0 of its speakers are known, too few to test unseen ones" in answer.stderr
    assert "random-10 v1, speaker-dependent, 1 seed, 4 clips of unknown speakers" in answer.stdout
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Speakers unknown" in page
    assert "speaker-independent" not in page.replace("speaker-independent protocol", "")


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ("loso", "loso needs at least 3 known speakers; found 0 among 32 clips: say who speaks"),
        ("speaker-folds", "at least 5 known speakers; found 0 among 32 clips: say who speaks"),
        ("emobox-6", "needs RAVDESS' speakers 1, 2, .*; for another corpus, name loso, speaker-f"),
        ("reference", "needs RAVDESS actors 1-4; found none; for another corpus, name loso"),
    ],
)
def test_a_named_protocol_that_does_not_fit_names_the_next_step(
    train: Any, recordings: Path, protocol: str, message: str
) -> None:
    import re

    for options in (["--protocol", protocol], ["--set", f"data.protocol={protocol}"]):
        answer = train("--corpus", recordings, *options)
        assert (answer.status, answer.stdout) == (1, "")
        assert re.search(message, answer.stderr), answer.stderr


def test_labels_of_the_recipe_alone_take_part(train: Any, recordings: Path, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, "mine.csv", recordings)
    options = ("--corpus", manifest, "--protocol", "loso", "--splits", "1")
    answer = train(*options, "--set", 'data.labels=["Positive", "Negative"]')
    assert answer.status == 0, answer.stderr
    assert "emovox: left out by data.labels: neutral 8, $x<b>_1 8" in answer.stderr.splitlines()
    info = open_model(tmp_path / "run" / "model.onnx").info
    assert info.labels == ("negative", "positive")
    answer = train(*options, "--set", 'data.labels=["positive", "envy"]')
    assert answer.status == 1
    assert "no clip is labelled envy, which data.labels names; found neutral, $x" in answer.stderr
    answer = train(*options, "--set", 'data.labels=["joy", "Happy"]')
    assert "expected two or more different labels, or none for all" in answer.stderr


def test_one_label_is_refused_and_a_rare_one_is_warned_of(
    train: Any, recordings: Path, tmp_path: Path
) -> None:
    alone = write_manifest(tmp_path, "alone.csv", recordings, labels=["Positive"])
    answer = train("--corpus", alone)
    assert answer.status == 1
    assert "training clips are labelled positive; expected two labels or more" in answer.stderr
    assert not (tmp_path / "run").exists()
    rare = write_manifest(tmp_path, "rare.csv", recordings, labels=["Positive", "Negative"])
    rare.write_text(f"{rare.read_text()}{recordings / 'Neutral' / 'ann1.wav'};Stress;ann;hall\n")
    answer = train("--corpus", rare, "--splits", "1")
    assert answer.status == 0, answer.stderr
    assert "fewer than two training clips in at least one fold: stress; no model" in answer.stderr


def test_everything_is_calibrated_on_whole_speakers_and_trained_on_all(
    train: Any, recordings: Path, tmp_path: Path
) -> None:
    manifest = write_manifest(tmp_path, "mine.csv", recordings)
    answer = train("--corpus", manifest, "--protocol", "everything")
    assert answer.status == 0, answer.stderr
    run = tmp_path / "run"
    found = json.loads((run / "calibration.json").read_text())
    assert (found["n_clips"], found["n_speakers"]) == (8, 1)
    info = open_model(run / "model.onnx").info
    assert info.training_clips == 32
    assert (info.temperature, info.min_confidence) == (
        found["temperature"],
        found["min_confidence"],
    )
    assert answer.stdout.splitlines()[0] == (
        f"nothing tested; temperature {found['temperature']:.3g}, fitted on 8 clips of 1 speaker, "
        "held out for this"
    )
    # Trained twice; the second time there is nothing to validate on, and no figure of it.
    first, second = [line for line in answer.stderr.splitlines() if "2 epochs, loss" in line]
    assert "validation loss" in first
    assert second.count("loss") == 1
    assert "nan" not in answer.stderr


def test_everything_that_stops_early_keeps_its_validation_clips(
    train: Any, recordings: Path, tmp_path: Path
) -> None:
    options = ("--protocol", "everything", "--set", "training.early_stopping_patience=1")
    answer = train("--corpus", recordings, *options)
    assert answer.status == 0, answer.stderr
    assert "fitted on 4 clips of unknown speakers" in answer.stdout
    assert open_model(tmp_path / "run" / "model.onnx").info.training_clips == 28


def test_halves_of_a_list_are_not_tested_on_each_other_unless_that_is_meant(
    train: Any, recordings: Path, tmp_path: Path
) -> None:
    write_manifest(tmp_path, "a.csv", recordings, takes=(1,), speakers=("ann", "bob", "eve"))
    write_manifest(tmp_path, "b.csv", recordings, takes=(2,), speakers=("dan", "eve"))
    cross = f"cross:{tmp_path}/a.csv->{tmp_path}/b.csv"
    answer = train("--protocol", cross)
    assert answer.status == 1
    assert "speakers b-eve are in training and in the test" in answer.stderr
    answer = train("--protocol", cross, "--allow-speaker-overlap")
    assert answer.status == 0, answer.stderr
    assert "v1, speaker-dependent, 1 seed, 8 clips of 2 speakers" in answer.stdout


def test_equal_recordings_are_neither_tested_nor_counted_twice(
    train: Any, recordings: Path, tmp_path: Path
) -> None:
    write_manifest(tmp_path, "a.csv", recordings, speakers=("ann", "bob"))
    shutil.copytree(recordings, tmp_path / "copies")
    copies = write_manifest(tmp_path, "b.csv", tmp_path / "copies", speakers=("bob", "dan"))
    copies.write_text(copies.read_text().replace(";bob;", ";robert;"))
    cross = f"cross:{tmp_path}/a.csv->{copies}"
    answer = train("--protocol", cross)
    assert answer.status == 1
    assert f"8 recordings of {copies} are in training too" in answer.stderr
    answer = train("--protocol", cross, "--allow-speaker-overlap")
    assert answer.status == 0, answer.stderr
    assert "8 clips of 1 speaker" in answer.stdout
    # Within one list, the first copy counts.
    twice = write_manifest(tmp_path, "twice.csv", recordings)
    shutil.copyfile(recordings / "Neutral" / "ann1.wav", tmp_path / "copy.wav")
    rows = twice.read_text()
    twice.write_text(f"{rows}copy.wav;Neutral;ann;hall\n")
    answer = train("--corpus", twice, "--splits", "1")
    assert answer.status == 0, answer.stderr
    assert "equal audio is one clip" in " ".join(answer.stderr.split())
    for row, expected in (("Positive;ann", "one label"), ("Neutral;dan", "one speaker")):
        twice.write_text(f"{rows}copy.wav;{row};hall\n")
        answer = train("--corpus", twice)
        assert answer.status == 1
        assert "copy.wav, the same audio, is " in answer.stderr
        assert f"expected {expected} per recording" in answer.stderr


def test_boredom_is_learned_where_its_corpus_trains_and_untested_elsewhere(
    train: Any, recordings: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_corpus / "ravdess", data / "ravdess")
    (data / "emodb").mkdir()
    for speaker, label, source in itertools.product(
        ("03", "08", "09"), "LWN", ("Positive", "Negative")
    ):
        version = source[0].lower()
        target = data / "emodb" / f"{speaker}a01{label}{version}.wav"
        shutil.copyfile(recordings / source / "ann1.wav", target)
    answer = train("--data", data, "--corpus", "emodb")
    assert answer.status == 0, answer.stderr
    labels = open_model(tmp_path / "run" / "fold-01" / "model.onnx").info.labels
    assert labels == ("neutral", "angry", "boredom")
    answer = train("--data", data, "--protocol", "cross:ravdess->emodb")
    assert answer.status == 0, answer.stderr
    assert "6 clips are not tested: training has no boredom" in answer.stderr
    assert "12 clips of 3 speakers" in answer.stdout
    assert len(open_model(tmp_path / "run" / "model.onnx").info.labels) == 8
