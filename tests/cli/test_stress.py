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


@pytest.fixture
def second_seed(
    run: Path, tiny_corpus: Path, tiny_split: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a finished run of the same recipe and another seed."""
    from emovox.experiments.folds import load_protocol
    from emovox.experiments.train_and_test import run_experiment
    from emovox.recipes.recipe import load_recipe

    recipe = load_recipe(run / "recipe.toml", ["seed=7"])
    protocol = load_protocol(recipe, tiny_corpus, split=tiny_split)
    return run_experiment(recipe, protocol, tmp_path_factory.mktemp("seed") / "rmsprop-7").folder


def test_stress_prints_every_test_and_keeps_the_result(
    call: Call, run: Path, tiny_corpus: Path
) -> None:
    (run / "report.html").unlink()
    answer = call("stress", run, "--data", tiny_corpus, "--clips", "8", "--jobs", "2")
    assert answer.status == 0
    assert "8 of 64 clips, evenly over speakers, 4 speakers" in answer.stdout
    assert "custom-tiny v1, speaker-independent; each fold's model is tested on" in answer.stdout
    rows = read_rows(run / "stress.csv")
    assert len(rows) == 49
    for row in rows:
        assert f"\n  {row['test']} " in answer.stdout
    assert "4 speakers, 1 seed, 1 draw of each random perturbation; plain UAR" in answer.stdout
    results = [row["result"] for row in rows]
    passed = results.count("pass") + results.count("pass?")
    assert f"{passed} of 25 tests passed" in answer.stdout
    assert passed + results.count("FAIL") == 25
    table = answer.stdout.splitlines()[3:-3]
    assert max(map(len, table)) <= 100
    # The tiny recipe trains on no copies.
    assert "copies from the generators" not in answer.stdout
    assert answer.stdout.endswith("--format csv or json, or docs/stress.md.\n")
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


def test_of_several_seeds_the_mean_is_printed_and_each_keeps_its_own(
    call: Call, run: Path, second_seed: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    options = ("--data", tiny_corpus, "--tests", "level,babble 0 dB")
    table = tmp_path / "means" / "stress.csv"
    answer = call("stress", run, second_seed, *options, "--out", table)
    assert answer.status == 0
    assert "tiny-rmsprop: custom-tiny v1, speaker-independent; mean over 2 seeds" in answer.stdout
    assert "64 of 64 clips, 4 speakers, 2 seeds, 1 draw" in answer.stdout
    kept = [read_rows(path) for path in (run / "stress.csv", second_seed / "stress.csv", table)]
    assert [{row["trainings"] for row in rows} for rows in kept] == [{"1"}, {"1"}, {"2"}]
    for first, second, mean in zip(*kept, strict=True):
        assert first["test"] == second["test"] == mean["test"]
        for name in ("unchanged", "uar", "uar_change", "plain_uar"):
            both = (float(first[name]) + float(second[name])) / 2
            assert float(mean[name]) == pytest.approx(both)
    assert [row["uar"] for row in kept[0]] != [row["uar"] for row in kept[1]]
    # Together with another, each has the scores that it has alone.
    alone = call("stress", second_seed, *options, "--format", "csv")
    assert alone.stdout == (second_seed / "stress.csv").read_text()
    content = json.loads(call("stress", second_seed, run, *options, "--format", "json").stdout)
    assert content["seeds"] == 2
    assert [e["uar"] for e in content["tests"]] == [float(row["uar"]) for row in kept[2]]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_runs_that_differ_in_more_than_the_seed_are_refused(
    call: Call, run: Path, tiny_runs: tuple[Path, Path], tiny_corpus: Path
) -> None:
    answer = call("stress", run, tiny_runs[1], "--data", tiny_corpus)
    assert (answer.status, answer.stdout) == (1, "")
    assert "has another recipe than" in answer.stderr
    assert "that differ only in seed: use one run at a time" in answer.stderr
    answer = call("stress", run, tiny_runs[0], "--data", tiny_corpus)
    assert (answer.status, answer.stdout) == (1, "")
    assert "found the seeds 0, 0 in" in answer.stderr
    assert not (run / "stress.csv").exists()


def test_runs_of_different_splits_are_refused(
    call: Call, run: Path, second_seed: Path, tiny_corpus: Path
) -> None:
    from emovox.runs.folder import write_split

    split = second_seed / "split.csv"
    header, *rows = split.read_text().splitlines()
    write_split(second_seed, "\n".join([header, *rows[::-1]]) + "\n")
    answer = call("stress", run, second_seed, "--data", tiny_corpus)
    assert (answer.status, answer.stdout) == (1, "")
    assert "has another split than" in answer.stderr


def test_a_table_of_another_version_is_replaced(call: Call, run: Path, tiny_corpus: Path) -> None:
    kept = run / "stress.csv"
    kept.write_text("test,group\nclip,small\n")
    options = ("--data", tiny_corpus, "--tests", "clip", "--clips", "4", "--format", "csv")
    answer = call("stress", run, *options)
    assert answer.status == 0
    assert kept.read_text() == answer.stdout


def test_a_quick_look_does_not_replace_a_longer_one(
    call: Call, run: Path, tiny_corpus: Path
) -> None:
    options = ("--data", tiny_corpus, "--tests", "level", "--format", "csv")
    whole = call("stress", run, *options)
    quick = call("stress", run, *options, "--clips", "4")
    assert quick.status == 0
    assert "has results of more clips, tests or draws, which are kept" in quick.stderr
    assert (run / "stress.csv").read_text() == whole.stdout != quick.stdout


def test_draws_are_averaged_and_not_replaced_by_fewer(
    call: Call, run: Path, tiny_corpus: Path
) -> None:
    options = ("--data", tiny_corpus, "--tests", "babble 0 dB,speed 0.9", "--clips", "8")
    alone = [
        json.loads(call("stress", run, *options, "--seed", seed, "--format", "json").stdout)[
            "tests"
        ]
        for seed in (3, 4)
    ]
    answer = call("stress", run, *options, "--seed", "3", "--draws", "2", "--format", "json")
    babble, speed = json.loads(answer.stdout)["tests"]
    # What has no randomness is not drawn twice.
    assert (babble["draws"], speed["draws"]) == (2, 1)
    assert speed == {**alone[0][1]}
    for name in ("unchanged", "uar_change"):
        assert babble[name] == pytest.approx((alone[0][0][name] + alone[1][0][name]) / 2)
    kept = (run / "stress.csv").read_text()
    fewer = call("stress", run, *options, "--seed", "3")
    assert "has results of more clips, tests or draws" in fewer.stderr
    assert (run / "stress.csv").read_text() == kept


def test_a_model_file_says_whether_it_was_trained_on_the_corpus(
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
        ("fold-01/model.onnx", [], "is a file; expected run folders: to test a model file, name"),
        (".", ["--corpus", "ravdess"], "is a folder; expected a model file: a run is tested on"),
    ],
)
def test_a_model_needs_a_corpus_and_a_run_takes_none(
    call: Call, run: Path, target: str, options: list[str], message: str
) -> None:
    answer = call("stress", run / target, *options)
    assert (answer.status, answer.stdout) == (1, "")
    assert message in " ".join(answer.stderr.split())


def test_one_model_file_is_tested_at_a_time(call: Call, run: Path) -> None:
    model = run / "fold-01" / "model.onnx"
    answer = call("stress", model, model, "--corpus", "ravdess")
    assert (answer.status, answer.stdout) == (2, "")
    assert "found several targets; expected one model file" in " ".join(answer.stderr.split())


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
    assert "is not a run folder" in answer.stderr
