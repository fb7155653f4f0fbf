"""A run that leaves one corpus out: trained, evaluated again, and compared."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.made_corpora import write_corpora

from emovox.recognition.model_file import open_model

TABLE = ["anna", "bert", "carl", "mean"]


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the lists of three made corpora."""
    return write_corpora(tmp_path_factory.mktemp("made"))


@pytest.fixture
def corpora(lists: list[Path]) -> list[str]:
    """Return the options that name the corpora."""
    return [option for path in lists for option in ("--corpus", str(path))]


def read_table(text: str) -> list[list[str]]:
    """Return the rows of the printed table."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("left out"))
    return [line.split() for line in lines[start + 1 : start + 5]]


def test_loco_from_lists_to_a_table_again_and_compared(
    call: Any, corpora: list[str], tiny_recipe_file: Path, tmp_path: Path
) -> None:
    runs = [tmp_path / f"seed{seed}" for seed in (0, 1)]
    options = ["train", "--recipe", tiny_recipe_file, "--protocol", "loco", *corpora]
    answers = [
        call(*options, "--out", run, "--set", f"seed={seed}") for seed, run in enumerate(runs)
    ]
    for answer in answers:
        assert answer.status == 0, answer.stderr
        assert "carl: 6 clips are not tested: training has no bored" in answer.stderr
        rows = read_table(answer.stdout)
        assert [row[0] for row in rows] == TABLE
        assert [row[1:4] for row in rows[:3]] == [
            ["30", "3", "4"],
            ["30", "3", "5"],
            ["24", "3", "4"],
        ]
        assert "speakers within 3 corpora" in answer.stdout
        assert "loco v1, speaker-independent" in answer.stdout
    run = runs[0]
    folds = [run / f"fold-{name}" for name in TABLE[:3]]
    assert all((fold / "model.onnx").is_file() for fold in folds)
    assert open_model(folds[0] / "model.onnx").info.training_corpora == ("bert", "carl")
    with (run / "predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {row["fold"] for row in table} == {"anna", "bert", "carl"}
    assert {row["true"] for row in table if row["fold"] == "anna"} == {
        "neutral",
        "happy",
        "sad",
        "angry",
    }
    # No label can be predicted that the test corpus does not share with the others.
    assert {row["disgust"] for row in table if row["fold"] == "anna"} == {"0.0"}
    found = json.loads((run / "metrics.json").read_text())["over_corpora"]
    assert [entry["corpus"] for entry in found["corpora"]] == TABLE[:3]
    uar = sum(entry["UA"]["value"] for entry in found["corpora"]) / 3
    assert found["mean"]["UA"]["value"] == pytest.approx(uar)

    before = (run / "predictions.csv").read_bytes(), (run / "metrics.json").read_bytes()
    again = call("evaluate", run)
    assert again.status == 0, again.stderr
    assert read_table(again.stdout) == read_table(answers[0].stdout)
    assert before == ((run / "predictions.csv").read_bytes(), (run / "metrics.json").read_bytes())

    both = call("evaluate", *runs)
    assert both.status == 0, both.stderr
    title = "loco v1, speaker-independent, 2 seeds, 84 clips of 9 speakers in 3 corpora"
    assert both.stdout.splitlines()[0] == title
    assert [row[0] for row in read_table(both.stdout)] == TABLE
    scores = json.loads(call("evaluate", *runs, "--format", "json").stdout)
    assert scores["n_seeds"] == 2

    page = (run / "report.html").read_text()
    assert "UAR of each corpus left out" in page
    assert '<th scope="row">bert</th><td class="number">30</td>' in page
    assert "are means of the corpora left out" in page
    info = open_model(folds[0] / "model.onnx").info
    people = [f"{corpus}-{corpus}{n}" for corpus in ("bert", "carl") for n in (1, 2, 3)]
    assert list(info.training_speakers) == people
    assert info.encoder_training == "There is no encoder: the network reads spectrograms."

    compared = call("compare", *runs)
    assert compared.status == 0, compared.stderr
    names = re.findall(r"^(\w+) +[\d.]+ +[\d.]+ +[+-]", compared.stdout, flags=re.MULTILINE)
    assert names == ["WA", "UA", "F1", "UA4"]
    words = " ".join(compared.stdout.split())
    assert "paired over the speakers within 3 corpora" in words
    assert re.search(r"points UA ", words)

    stressed = call("stress", run)
    assert stressed.status == 1
    assert "test one of its model files instead" in stressed.stderr


def test_one_corpus_or_two_of_one_name_are_refused(
    call: Any, lists: list[Path], tiny_recipe_file: Path, tmp_path: Path
) -> None:
    options = ("train", "--recipe", tiny_recipe_file, "--protocol", "loco")
    answer = call(*options, "--corpus", lists[0])
    assert answer.status == 1
    assert "two or more corpora; found anna" in answer.stderr
    twin = tmp_path / "anna.csv"
    twin.write_text("file,emotion,speaker\n")
    text = lists[1].read_text().replace("bert/", f"{lists[1].parent}/bert/")
    twin.write_text(text)
    answer = call(*options, "--corpus", lists[0], "--corpus", twin)
    assert answer.status == 1
    assert "2 corpora are named anna" in answer.stderr


def test_a_recording_in_two_corpora_is_refused(
    call: Any, lists: list[Path], tiny_recipe_file: Path, tmp_path: Path
) -> None:
    header, *rows = lists[0].read_text().splitlines()
    copy = tmp_path / "copy.csv"
    rows = [row.replace("anna/", f"{lists[0].parent}/anna/") for row in rows[:6]]
    more = [
        row.replace("bert/", f"{lists[1].parent}/bert/")
        for row in lists[1].read_text().splitlines()[1:]
    ]
    copy.write_text("\n".join([header, *rows, *more]) + "\n")
    options = ("train", "--recipe", tiny_recipe_file, "--protocol", "loco")
    answer = call(*options, "--corpus", lists[0], "--corpus", copy)
    assert answer.status == 1
    assert "are in training too, so its speakers are not unseen" in answer.stderr


@pytest.mark.parametrize("more", [["--corpus", "x.csv"], []])
def test_several_targets_are_runs(call: Any, tiny_runs: tuple[Path, Path], more: list[str]) -> None:
    targets = tiny_runs if more else (tiny_runs[0], tiny_runs[0] / "missing.onnx")
    answer = call("evaluate", *targets, *more)
    assert answer.status == 2
    assert "several seeds are run folders" in " ".join(answer.stderr.split())


def test_several_runs_of_another_protocol_are_refused(
    call: Any, tiny_runs: tuple[Path, Path]
) -> None:
    answer = call("evaluate", tiny_runs[0], tiny_runs[1])
    assert answer.status == 1
    assert "differ only in seed" in answer.stderr
