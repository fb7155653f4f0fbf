"""Several corpora on the command line, from a manifest to printed scores."""

import csv
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from emovox.labels import EMOTIONS
from emovox.recognition.model_file import open_model


@pytest.fixture(scope="session")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a manifest of 3 speakers: neutral, happy, and boredom, which RAVDESS lacks."""
    folder = tmp_path_factory.mktemp("calls")
    rng = np.random.default_rng(8)
    time_s = np.arange(2_400) / 8_000
    lines = ["file,emotion,speaker,gender"]
    speakers = (("ann", "female"), ("bob", "male"), ("eve", "female"))
    for (speaker, gender), (hz, emotion) in itertools.product(
        speakers, ((500, "neutral"), (1_500, "joy"), (900, "boredom"))
    ):
        name = f"{speaker}-{emotion}.wav"
        samples = 0.3 * np.sin(2 * np.pi * hz * time_s) + 0.02 * rng.uniform(-1, 1, len(time_s))
        sf.write(folder / name, samples, 8_000, subtype="PCM_16")
        lines.append(f"{name},{emotion},{speaker},{gender}")
    manifest = folder / "calls.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def read_roles(run: Path) -> Counter[tuple[str, str]]:
    """Count the clips of each role by corpus."""
    with (run / "split.csv").open(newline="") as file:
        return Counter(
            (row["role"], "calls" if row["clip"].startswith("calls-") else "ravdess")
            for row in csv.DictReader(file)
        )


def test_further_corpora_only_train(
    call: Any, calls: Path, tiny_corpus: Path, tiny_recipe_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    answer = call(
        *("train", "--recipe", tiny_recipe_file, "--data", tiny_corpus, "--out", run),
        *("--corpus", "ravdess", "--corpus", calls, "--protocol", "loso", "--splits", "1"),
    )
    assert answer.status == 0, answer.stderr
    assert f"emovox: 9 labels: {', '.join(EMOTIONS)}, boredom" in answer.stderr.splitlines()
    assert read_roles(run) == {
        ("train", "ravdess"): 48,
        ("train", "calls"): 9,
        ("validation", "ravdess"): 32,
        ("test", "ravdess"): 16,
    }
    info = open_model(run / "model.onnx").info
    assert info.training_corpora == ("calls", "ravdess")
    assert (info.labels, info.training_clips) == ((*EMOTIONS, "boredom"), 57)
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]
    assert metrics["absent_classes"] == ["boredom"]
    assert metrics["uar"] == pytest.approx(
        np.mean([entry["recall"] for entry in metrics["per_class"] if entry["support"]])
    )
    assert "calls (licence: ask its authors)" in info.licence
    assert "CC BY-NC-SA 4.0" in info.licence


def test_across_corpora_to_printed_scores_and_again(
    call: Any, calls: Path, tiny_corpus: Path, tiny_recipe_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    name = f"cross:ravdess->{calls}"
    options = ("train", "--recipe", tiny_recipe_file, "--data", tiny_corpus, "--out", run)
    answer = call(*options, "--protocol", name)
    assert answer.status == 0, answer.stderr
    assert "3 clips are not tested: training has no boredom" in answer.stderr
    restriction = "over the 2 emotions that both corpora have, no other can be predicted: "
    assert restriction + "neutral, happy" in answer.stdout.splitlines()
    assert "v1, speaker-independent, 1 seed, 6 clips of 3 speakers" in answer.stdout
    assert read_roles(run) == {
        ("train", "ravdess"): 80,
        ("validation", "ravdess"): 16,
        ("test", "calls"): 6,
    }
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[6:] == ["neutral", "happy"]
    assert {row["predicted"] for row in rows} <= {"neutral", "happy"}
    assert sorted({(row["speaker"], row["gender"]) for row in rows}) == [
        ("calls-ann", "female"),
        ("calls-bob", "male"),
        ("calls-eve", "female"),
    ]
    before = (run / "predictions.csv").read_bytes()
    again = call("evaluate", run, "--data", tiny_corpus)
    assert again.status == 0, again.stderr
    assert (run / "predictions.csv").read_bytes() == before
    assert restriction + "neutral, happy" in again.stdout.splitlines()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--corpus", "klingon"], "no corpus named 'klingon'; known: ravdess, ravdess-song, nemo"),
        (["--corpus", "./nowhere.csv"], "no corpus named './nowhere.csv', and no such list"),
        (["--corpus", "ravdess", "--corpus", "ravdess"], "names a corpus twice"),
        (["--protocol", "cross:ravdess"], "cannot read the protocol 'cross:ravdess'"),
        (["--protocol", "cross:ravdess->tess"], "no clip of TESS found in"),
        (["--protocol", "cross:ravdess->ravdess-song"], "no clip of RAVDESS song found"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    options: list[str], message: str, call: Any, tiny_corpus: Path
) -> None:
    answer = call("train", "--data", tiny_corpus, *options)
    assert answer.status == 1
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
