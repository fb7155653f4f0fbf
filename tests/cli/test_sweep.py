"""``emovox sweep``: every combination under one protocol, one table, resumable."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def arguments(tiny_recipe_file: Path, tiny_corpus: Path) -> list[Any]:
    """Return a sweep of two optimisers, under the first two of ``loso``'s folds."""
    options = [
        "--protocol",
        "loso",
        "--splits",
        "2",
        "--set",
        "training.epochs=1",
        "--jobs",
        "1",
    ]
    return ["sweep", "--recipe", tiny_recipe_file, "--data", tiny_corpus, *options]


def test_a_grid_is_trained_and_compared_with_its_first(
    call: Callable[..., Any], arguments: list[Any]
) -> None:
    grid = ("--grid", "training.optimizer=rmsprop,adam", "--grid", "regularization.dropout=0,0.5")
    answer = call(*arguments, *grid)
    assert answer.status == 0
    title, header, *rows = answer.stdout.splitlines()
    assert "loso v1" in title
    assert "speaker-independent" in title
    assert header.split()[:2] == ["WA", "(95%"]
    assert len(rows) == 4
    first, *others = rows
    for row in others:
        assert row.endswith((": better", ": worse", ": not shown to differ"))
    assert "better" not in first
    folders = sorted(Path("runs/sweep-loso/2-folds").iterdir())
    assert len(folders) == 4
    # A sweep keeps predictions and scores, not four times the models.
    assert not list(Path("runs").rglob("model.onnx"))


def test_a_sweep_goes_on_where_it_stopped(call: Callable[..., Any], arguments: list[Any]) -> None:
    grid = ("--grid", "training.optimizer=rmsprop,adam", "--out", "sweep", "--format", "json")
    first = call(*arguments, *grid)
    assert first.status == 0
    rows = json.loads(first.stdout)
    assert [row["against_first"] is None for row in rows] == [True, False]
    epochs = [line for line in first.stderr.splitlines() if "epoch, loss" in line]
    assert len(epochs) == 4
    again = call(*arguments, *grid)
    assert (again.status, again.stdout, again.stderr) == (0, first.stdout, "")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--grid", "training.optimiser=a,b"], "did you mean 'training.optimizer'?"),
        (["--grid", "training.optimizer"], "training.optimizer"),
        (["--protocol", "none"], "no protocol named 'none'"),
        (["--recipe", "none"], "no recipe named 'none'"),
    ],
)
def test_a_mistake_is_one_line(
    call: Callable[..., Any], tiny_corpus: Path, options: list[str], problem: str
) -> None:
    answer = call("sweep", "--data", tiny_corpus, *options)
    assert (answer.status, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith("emovox: ")
    assert problem in line


def test_a_protocol_that_tests_nothing_is_refused(
    call: Callable[..., Any], tiny_recipe_file: Path, tiny_corpus: Path
) -> None:
    options = ("--recipe", tiny_recipe_file, "--data", tiny_corpus, "--protocol", "everything")
    answer = call("sweep", *options, "--grid", "seed=0,1")
    assert (answer.status, answer.stdout) == (1, "")
    assert "everything has no test clips" in answer.stderr
    assert not Path("runs").exists()
