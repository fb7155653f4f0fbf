"""``emovox evaluate``, and what it and its like refuse as no finished run."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GROUPS_TITLE = "confidence against accuracy, percent, 95% interval over speakers:"


@pytest.fixture
def run(tiny_runs: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return a copy of a finished run that a test may change."""
    return Path(shutil.copytree(tiny_runs[0], tmp_path / tiny_runs[0].name))


def test_evaluate_gives_the_same_scores_again(
    call: Callable[..., Any], run: Path, tiny_corpus: Path
) -> None:
    before = (run / "metrics.json").read_text()
    with (run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    (run / "predictions.csv").unlink()
    (run / "report.html").unlink()
    answer = call("evaluate", run, "--data", tiny_corpus, "--format", "json")
    assert answer.status == 0
    scores = json.loads(answer.stdout)
    right = sum(row["true"] == row["predicted"] for row in rows)
    assert scores["metrics"]["accuracy"] == pytest.approx(right / len(rows))
    fairness = scores["fairness"]
    assert (fairness["n_female"], fairness["n_male"]) == (2, 2)
    assert fairness["WA"]["female"] + fairness["WA"]["male"] == pytest.approx(2 * right / len(rows))
    assert json.loads(before)["fairness"] == fairness
    groups = scores["calibration_by_group"]["groups"]
    assert [(g["group"], g["tests"]) for g in groups] == [("all", 64), ("women", 32), ("men", 32)]
    assert groups[0]["accuracy"] == pytest.approx(right / len(rows))
    assert json.loads(before)["calibration_by_group"] == scores["calibration_by_group"]
    assert scores["repeated_takes"] is None
    assert (run / "metrics.json").read_text() == before
    assert (run / "predictions.csv").is_file()
    assert (run / "report.html").is_file()


def test_evaluate_prints_every_class(
    call: Callable[..., Any], run: Path, tiny_corpus: Path
) -> None:
    answer = call("evaluate", run, "--data", tiny_corpus)
    assert answer.status == 0
    lines = answer.stdout.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("class"))
    assert lines[header].split() == ["class", "precision", "recall", "F1", "clips"]
    rows = [line.split() for line in lines[header + 1 :]]
    assert [row[0] for row in rows] == (
        "neutral calm happy sad angry fearful disgust surprised".split()
    )
    assert [row[-1] for row in rows] == ["8"] * 8
    assert "speaker-independent" in answer.stdout
    (trust,) = [line for line in lines if line.startswith("log-loss ")]
    assert "expected calibration error 0." in trust
    assert trust.endswith("; 15 bins of equal width, most probable class)")
    table = lines[lines.index("accuracy of the most confident predictions:") + 1 :]
    assert table[0].split() == ["kept", "confidence", "clips", "accuracy"]
    assert [line.split()[2] for line in table[1:3]] == ["64", "58"]  # 90% of 64 are 57.6
    assert table[7].startswith("at each model's own threshold: ")
    assert table[7].endswith("(target on its validation clips: 80%)")
    groups = lines[lines.index(GROUPS_TITLE) + 2 :]
    assert [line.split()[:2] for line in groups[:3]] == [
        ["all", "64"],
        ["women", "32"],
        ["men", "32"],
    ]
    assert groups[3].startswith("by speaker: standard deviation ")
    women = next(line for line in answer.stdout.splitlines() if line.startswith("WA of"))
    assert women.startswith("WA of 2 women ")
    assert women.endswith("too few speakers to tell whether that is more than chance")


def test_evaluate_says_which_model_file_is_missing(
    call: Callable[..., Any], run: Path, tiny_corpus: Path
) -> None:
    (run / "fold-02" / "model.onnx").unlink()
    answer = call("evaluate", run, "--data", tiny_corpus)
    assert (answer.status, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[-1].startswith(f"emovox: {run / 'fold-02' / 'model.onnx'}: ")


@pytest.mark.parametrize(
    "arguments",
    [["evaluate"], ["compare", "other"], ["report"], ["export", "--format", "onnx"]],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_that_is_no_run_is_refused(
    call: Callable[..., Any], arguments: list[str], tmp_path: Path
) -> None:
    command, *rest = arguments
    for folder in (tmp_path / "none", tmp_path):
        answer = call(command, folder, *rest)
        assert (answer.status, answer.stdout) == (1, "")
        (line,) = answer.stderr.splitlines()
        assert line == (
            f"emovox: {folder} is no run folder (no recipe.toml in it); expected runs/NAME"
        )


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_an_unfinished_run_is_refused(
    call: Callable[..., Any], command: str, run: Path, tiny_corpus: Path
) -> None:
    (run / "metrics.json").unlink()
    answer = call(command, run, "--data", tiny_corpus)
    assert (answer.status, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert "finish the run with 'emovox train --resume'" in line
