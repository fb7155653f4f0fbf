"""``emovox stress`` on a tiny run: the table, its files, and what it refuses."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture
def run(tiny_runs: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return a copy of a finished run that a test may change."""
    return Path(shutil.copytree(tiny_runs[0], tmp_path / tiny_runs[0].name))


def test_stress_prints_every_test_and_keeps_the_result(
    call: Call, run: Path, tiny_corpus: Path
) -> None:
    (run / "report.html").unlink()
    answer = call("stress", run, "--data", tiny_corpus, "--clips", "8", "--jobs", "2")
    assert answer.status == 0
    assert "8 of 64 clips, evenly over speakers, 4 speakers" in answer.stdout
    assert "custom-tiny v1, speaker-independent; each fold's model hears its own" in answer.stdout
    with (run / "stress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 38
    for row in rows:
        assert f"\n  {row['test']} " in answer.stdout
    held = sum(row["passed"] == "True" for row in rows)
    assert f"{held} of 14 thresholds held" in answer.stdout
    assert "0.98 / 0.93" in answer.stdout
    assert (run / "report.html").is_file()


def test_formats_and_jobs_give_the_same_numbers(call: Call, run: Path, tiny_corpus: Path) -> None:
    options = ("--corpus", "ravdess", "--data", tiny_corpus, "--clips", "12")
    command = ("stress", run / "fold-01" / "model.onnx", *options, "--tests", "small,babble 0 dB")
    first = call(*command, "--format", "csv")
    second = call(*command, "--format", "json", "--jobs", "3")
    assert (first.status, second.status) == (0, 0)
    rows = list(csv.DictReader(io.StringIO(first.stdout)))
    content = json.loads(second.stdout)
    assert [row["test"] for row in rows] == [entry["test"] for entry in content["tests"]]
    assert [float(row["unchanged"]) for row in rows] == [e["unchanged"] for e in content["tests"]]
    assert [float(row["uar_change"]) for row in rows] == [e["uar_change"] for e in content["tests"]]
    assert len(rows) == 11
    assert call(*command, "--format", "csv", "--seed", "1").stdout != first.stdout


def test_a_quick_look_does_not_replace_a_longer_one(
    call: Call, run: Path, tiny_corpus: Path
) -> None:
    options = ("--data", tiny_corpus, "--tests", "level", "--format", "csv")
    whole = call("stress", run, *options)
    quick = call("stress", run, *options, "--clips", "4")
    assert quick.status == 0
    assert "rests on more clips or tests and is left as it is" in quick.stderr
    assert (run / "stress.csv").read_text() == whole.stdout != quick.stdout


def test_a_model_file_hears_a_corpus_and_says_what_it_may_know(
    call: Call, run: Path, tiny_corpus: Path
) -> None:
    model = run / "fold-01" / "model.onnx"
    options = ("--corpus", "ravdess", "--data", tiny_corpus, "--tests", "clip", "--clips", "6")
    answer = call("stress", model, *options)
    assert answer.status == 0
    assert "the model was trained on 48 clips of ravdess: these may be among them" in answer.stdout
    assert "6 of 96 clips" in answer.stdout
    assert not (model.parent / "stress.csv").exists()


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("fold-01/model.onnx", [], "a model file needs the clips that it shall hear: --corpus"),
        (".", ["--corpus", "ravdess"], "a run hears its own test clips"),
    ],
)
def test_a_model_needs_a_corpus_and_a_run_takes_none(
    call: Call, run: Path, target: str, options: list[str], message: str
) -> None:
    answer = call("stress", run / target, *options)
    assert (answer.status, answer.stdout) == (2, "")
    assert message in " ".join(answer.stderr.split())


def test_an_unknown_test_names_the_known_groups(call: Call, run: Path) -> None:
    answer = call("stress", run, "--tests", "echo")
    assert (answer.status, answer.stdout) == (1, "")
    assert answer.stderr.startswith("emovox: there is no stress test 'echo'; expected groups")


def test_a_model_that_knows_none_of_the_emotions_is_refused(
    call: Call, loudness_model: Path, tiny_corpus: Path
) -> None:
    answer = call("stress", loudness_model, "--corpus", "ravdess", "--data", tiny_corpus)
    assert (answer.status, answer.stdout) == (1, "")
    assert "no clip with one of the emotions of" in answer.stderr


def test_no_run_folder_is_refused(call: Call, tmp_path: Path) -> None:
    answer = call("stress", tmp_path)
    assert (answer.status, answer.stdout) == (1, "")
    assert "is no run folder" in answer.stderr
