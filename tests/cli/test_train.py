"""``emovox train``: what it leaves, what it prints, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def arguments(tiny_recipe_file: Path, tiny_corpus: Path, tiny_split: Path) -> list[Any]:
    return ["train", "--recipe", tiny_recipe_file, "--data", tiny_corpus, "--split", tiny_split]


def test_train_leaves_a_run_and_prints_its_scores(
    call: Callable[..., Any], arguments: list[Any]
) -> None:
    answer = call(*arguments)
    assert answer.status == 0
    folder = Path("runs/tiny-custom-tiny")
    assert answer.stdout.splitlines()[-1] == f"run folder: {folder}"
    wa, ua, f1 = answer.stdout.splitlines()[:3]
    for line, name in ((wa, "WA"), (ua, "UA"), (f1, "F1")):
        assert name in line
        assert "95% t interval over 4 speakers" in line
    assert "custom-tiny v1" in answer.stdout
    assert "speaker-independent" in answer.stdout
    left = {"recipe.toml", "split.csv", "history.csv", "predictions.csv", "metrics.json"}
    assert left | {"report.html", "fold-01", "fold-02"} <= {p.name for p in folder.iterdir()}
    assert {"model.onnx", "weights.safetensors"} <= {p.name for p in (folder / "fold-01").iterdir()}
    # Progress: a line per fold on stderr where it is no terminal, nothing of it on stdout.
    epochs = [line for line in answer.stderr.splitlines() if "2 epochs, loss" in line]
    assert len(epochs) == 2
    assert "epochs" not in answer.stdout
    assert "\x1b" not in answer.stdout + answer.stderr


def test_a_run_is_not_overwritten_and_resume_goes_on(
    call: Callable[..., Any], arguments: list[Any]
) -> None:
    first = call(*arguments, "--out", "run")
    again = call(*arguments, "--out", "run")
    assert (again.status, again.stdout) == (1, "")
    line = again.stderr.rsplit("emovox: ", 1)[-1]
    assert line.startswith("run already holds a run; continue it with --resume")
    resumed = call(*arguments, "--out", "run", "--resume")
    assert (resumed.status, resumed.stdout) == (0, first.stdout)
    other = call(*arguments, "--out", "run", "--resume", "--set", "training.batch_size=8")
    assert other.status == 1
    assert "differs from the requested recipe" in other.stderr


def test_set_and_splits_change_the_run(call: Callable[..., Any], arguments: list[Any]) -> None:
    changes = ("--set", "training.optimizer=adam", "--set", "regularization.l1=1e-4")
    answer = call(*arguments, *changes, "--set", "training.epochs=1", "--out", "run")
    assert answer.status == 0
    recipe = Path("run/recipe.toml").read_text()
    assert 'optimizer = "adam"' in recipe
    assert "1 epoch, loss" in answer.stderr
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert metrics


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--recipe", "vanila"], "no recipe named 'vanila'; known: encoder, optimized, vanilla"),
        (["--recipe", "none.toml"], "none.toml: cannot be read"),
        (
            ["--set", "training.optimiser=adam"],
            "unknown recipe key 'training.optimiser'; did you mean 'training.optimizer'?",
        ),
        (["--set", "training.optimizer=adamm"], "recipe key 'training.optimizer'"),
        (["--set", "training.epochs=0"], "recipe key 'training.epochs'"),
        (["--set", "nonsense"], "expected section.key=value"),
        (["--protocol", "emobox"], "no protocol named 'emobox'; known: reference,"),
        (["--split", "none.csv"], "none.csv: cannot read the split"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    call: Callable[..., Any], tiny_corpus: Path, options: list[str], problem: str
) -> None:
    answer = call("train", "--data", tiny_corpus, *options)
    assert (answer.status, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith("emovox: ")
    assert problem in line
    assert not Path("runs").exists()


def test_without_a_corpus_it_says_how_to_get_one(call: Callable[..., Any]) -> None:
    answer = call("train")
    assert (answer.status, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert "run 'emovox data fetch ravdess', or name the folder with --data" in line


def test_a_split_that_shares_speakers_needs_leave(
    call: Callable[..., Any], tiny_recipe_file: Path, tiny_corpus: Path
) -> None:
    names = sorted(path.stem for path in tiny_corpus.rglob("*.wav"))
    roles = ("train", "validation", "test")
    rows = [f"{name},01,{roles[number // 6 % 3]}" for number, name in enumerate(names)]
    Path("mine.csv").write_text("\n".join(["clip,fold,role", *rows]))
    arguments = ("train", "--recipe", tiny_recipe_file, "--data", tiny_corpus)
    refused = call(*arguments, "--split", "mine.csv")
    assert refused.status == 1
    assert "pass --allow-speaker-overlap" in refused.stderr
    allowed = call(*arguments, "--split", "mine.csv", "--allow-speaker-overlap")
    assert allowed.status == 0
    assert "speaker-dependent" in allowed.stdout


@pytest.mark.parametrize("options", [["--splits", "0"], ["--jobs", "0"], ["--epochs", "3"]])
def test_wrong_usage_exits_2(call: Callable[..., Any], options: list[str]) -> None:
    answer = call("train", *options)
    assert (answer.status, answer.stdout) == (2, "")
    assert "Error: " in answer.stderr
