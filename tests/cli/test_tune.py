"""``emovox tune``: what it prints and leaves, what it refuses, and that it goes on."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPACE = """
[tune.space]
"training.learning_rate" = { low = 1e-4, high = 0.1, log = true }
"network.dense_units" = { choices = [[], [8]] }
"""


def find_trials(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("tune-tiny-loso, trial ")]


@pytest.fixture
def arguments(tiny_recipe_file: Path, tiny_corpus: Path, tmp_path: Path) -> list[Any]:
    """Return a study of the first of ``loso``'s folds."""
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe_file.read_text() + SPACE)
    options = ["--protocol", "loso", "--fold", "01", "--set", "training.epochs=1", "--jobs", "1"]
    return ["tune", "--recipe", recipe, "--data", tiny_corpus, *options]


def test_a_study_leaves_trials_a_page_and_a_winner(
    call: Callable[..., Any], arguments: list[Any]
) -> None:
    answer = call(*arguments, "--trials", "2")
    assert answer.status == 0
    basis, header, *rows = answer.stdout.splitlines()
    assert basis == (
        "validation UA, mean of 1 folds of loso v1; 32 validation clips of 2 speakers "
        "(whole speakers)"
    )
    assert header.split() == ["trial", "UA", "learning_rate", "dense_units", "note"]
    assert sorted(int(row.split()[0]) for row in rows[:2]) == [0, 1]
    assert "test it once: emovox train --recipe runs/tune-tiny-loso/winner.toml" in rows[-1]
    folder = Path("runs/tune-tiny-loso")
    left = {"study.db", "trials.json", "tune.html", "winner.toml"}
    assert {path.name for path in folder.iterdir()} == left
    # A line for each trial on stderr where it is no terminal.
    assert len(find_trials(answer.stderr)) == 2
    assert "\x1b" not in answer.stdout + answer.stderr

    more = call(*arguments, "--trials", "3", "--format", "json", "--out", "mine.toml")
    assert len(find_trials(more.stderr)) == 1
    content = json.loads(more.stdout)
    assert sorted(trial["number"] for trial in content["trials"]) == [0, 1, 2]
    assert content["winner_recipe"] == "mine.toml"
    assert 'name = "tiny-tuned"' in Path("mine.toml").read_text()

    other = call(*arguments, "--trials", "4", "--metric", "log-loss")
    assert (other.status, other.stdout) == (1, "")
    assert "was started with another metric" in other.stderr


def test_nested_prints_both_scores_and_what_was_chosen(
    call: Callable[..., Any], arguments: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emovox.report.page.write_report", lambda *_: None)  # it takes seconds
    nested = [a for a in arguments if a not in ("--fold", "01")]
    nested += ["--set", "data.actors=[1,2,3]", "--trials", "1", "--nested"]
    answer = call(*nested)
    assert answer.status == 0
    lines = answer.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("nested: settings of"))
    table = [line.split() for line in lines[start + 1 : start + 5]]
    assert table[0] == ["fold", "trial", "UA", "learning_rate", "dense_units"]
    assert [(row[0], row[1]) for row in table[1:]] == [(str(n), "0") for n in range(1, 4)]
    basis, one, other, difference, runs, *_ = lines[start + 5 :]
    assert basis.startswith("tested on loso v1, speaker-independent: 3 folds")
    for line, name in ((one, "nested choice"), (other, "one choice over all folds")):
        assert re.fullmatch(rf"{name} +WA \S+ \(\S+ to \S+\)  UA .*  F1 .*", line)
    # With one trial there is nothing to choose: both have the recipe's own settings.
    assert difference.split()[:5] == ["nested", "minus", "one", "choice", "WA"]
    assert "WA +0.0" in difference
    assert runs == "runs: runs/tune-tiny-loso/nested, runs/tune-tiny-loso/shared"
    again = call(*nested, "--format", "json")
    content = json.loads(again.stdout)
    assert find_trials(again.stderr) == []
    assert content["nested"]["comparison"]["WA"]["value"] == 0
    assert len(content["nested"]["folds"]) == 3


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(
    call: Callable[..., Any], arguments: list[Any], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "emovox", *map(str, arguments), "--trials", "1000"]
    worker = subprocess.Popen(
        command, cwd=tmp_path / "cwd", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert worker.stderr is not None
    # After the check of the clips.
    first = next(line for line in worker.stderr if find_trials(line))
    worker.send_signal(signal.SIGINT)
    stdout, stderr = worker.communicate(timeout=60)
    assert (worker.returncode, stdout) == (130, "")
    *lines, last = (first + stderr).splitlines()
    assert last == (
        "emovox: interrupted; what was finished is kept: run the same command again to continue"
    )
    assert lines
    assert all(line.startswith("tune-tiny-loso, trial ") for line in lines)
    answer = call(*arguments, "--trials", "1", "--format", "json")
    assert len(json.loads(answer.stdout)["trials"]) >= len(lines)


@pytest.mark.parametrize(
    ("options", "status", "problem"),
    [
        (["--recipe", "vanilla"], 1, "'vanilla' has no search space"),
        (["--recipe", "encoder", "--fold", "9"], 1, "no fold '9'"),
        (["--recipe", "encoder", "--fold", "01", "--nested"], 1, "leave out --fold"),
        (["--recipe", "encoder", "--storage", "nonsense"], 1, "not the URL of a database"),
        (["--recipe", "encoder", "--set", "tune.space={seed={choices=[1,2]}}"], 1, "'seed'"),
        (["--recipe", "encoder", "--metric", "wa"], 2, "expected ua or log-loss"),
        (["--trials", "3"], 2, "--recipe"),
    ],
)
def test_a_mistake_says_what_to_do(
    call: Callable[..., Any], tiny_corpus: Path, options: list[str], status: int, problem: str
) -> None:
    loso = [] if "--protocol" in options else ["--set", "data.protocol=loso"]
    answer = call("tune", "--data", tiny_corpus, *loso, *options)
    assert (answer.status, answer.stdout) == (status, "")
    assert problem in answer.stderr
    assert not Path("runs").exists()
    if status == 1:
        assert answer.stderr.splitlines()[-1].startswith("emovox: ")
