"""``emovox evaluate``, and what it and its like refuse as no finished run."""

import csv
import json
import re
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
    assert women.startswith("WA of women (2) ")
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
            f"emovox: {folder} is not a run folder (no recipe.toml in it); expected runs/NAME"
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


@pytest.fixture
def model(tiny_runs: tuple[Path, Path]) -> Path:
    """Return a model file that was trained on half of the tiny corpus."""
    return tiny_runs[0] / "fold-01" / "model.onnx"


def test_a_model_file_is_scored_on_a_list(
    call: Callable[..., Any], model: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "mine.csv"
    lines = [
        f"{path},{emotion},{path.stem[-2:]}\n"
        for path in sorted(tiny_corpus.rglob("*.wav"))
        for code, emotion in (("01", "neutral"), ("05", "angry"), ("06", "fear"))
        if path.stem[6:8] == code and path.stem[-1] in "456"
    ]
    manifest.write_text("file,emotion,speaker\n" + "".join(lines) + "gone.wav,sad,1\n")
    command = ("evaluate", model, "--corpus", manifest, "--no-vad", "--jobs", "2")
    answer = call(*command)
    assert answer.status == 0
    # Files under a name of RAVDESS are known to be RAVDESS', which this model was trained on.
    assert answer.stderr == (
        "emovox: the model was trained on 48 clips of ravdess, and 1 of the 3 speakers tested are "
        "in training, by their names: the score is not speaker-independent, and that of unseen "
        "speakers would be lower\n"
    )
    out = Path("runs") / "evaluate-rmsprop-fold-01-mine"
    lines = answer.stdout.splitlines()
    assert lines[0].startswith(
        "rmsprop-fold-01 on mine: seen corpus, seen speakers; the model was trained"
    )
    assert re.fullmatch(
        r"mine: 1 not there, such as \S+gone.wav: its folder has no such file", lines[1]
    )
    assert lines[2] == (
        "scored over the 3 labels shared by model and corpus; predictions are restricted to "
        "these: neutral, angry, fearful"
    )
    assert lines[4].startswith("WA ")
    assert lines[4].endswith(
        "on mine, seen corpus, seen speakers, 3 labels, 18 clips of 3 speakers"
    )
    assert "as shipped, over its 8 labels: " in answer.stdout
    assert "by gender" in answer.stdout
    assert [line.split()[-1] for line in lines[-5:-2]] == ["6", "6", "6"]
    assert lines[-1] == f"report: {out / 'report.html'}"
    assert (out / "report.html").is_file()
    content = json.loads(call(*command, "--format", "json").stdout)
    assert content == json.loads((out / "metrics.json").read_text())
    assert content["corpus"]["overlap"] == "seen corpus, seen speakers"
    assert content["corpus"]["speaker_independent"] is False
    assert content["model"]["training_speakers"] == ["1", "2", "3", "4"]
    (out / "report.html").unlink()
    assert call("report", out).stdout == f"{out / 'report.html'}\n"
    assert "<audio" in (out / "report.html").read_text()


def test_the_shipped_model_is_scored_and_unusable_clips_are_reported(
    call: Callable[..., Any], tiny_corpus: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    for emotion, code in (("angry", "05"), ("sad", "04")):
        (folder / emotion).mkdir(parents=True)
        for number, path in enumerate(sorted(tiny_corpus.rglob(f"03-01-{code}-*.wav"))[:2]):
            shutil.copy(path, folder / emotion / f"{number}.wav")
    for number in range(12):
        (folder / "sad" / f"broken-{number:02d}.wav").write_bytes(b"no audio %d" % number)
    command = ("evaluate", "default", "--corpus", folder, "--no-vad", "--out", tmp_path / "out")
    answer = call(*command)
    assert answer.status == 1
    *reasons, rest = answer.stderr.splitlines()
    assert len(reasons) == 10
    assert reasons[0].startswith(f"emovox: {folder / 'sad' / 'broken-00.wav'}: ")
    assert rest == f"emovox: and 2 more, listed in {tmp_path / 'out' / 'metrics.json'}"
    assert "12 clips not scored that cannot be used" in answer.stdout
    assert "on mine, unseen corpus, 2 labels, 4 clips of unknown speakers" in answer.stdout
    assert "'uncertain' is not a safeguard here" in answer.stdout


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("model.onnx", [], "a model file needs labelled recordings: --corpus mine.csv"),
        ("default", [], "a model file needs labelled recordings: --corpus mine.csv"),
        ("", ["--corpus", "ravdess"], "a run is scored on its own test clips; for others name"),
        ("", ["--jobs", "2"], "--out, --jobs and --no-vad are for a model file with --corpus"),
    ],
)
def test_a_model_needs_a_corpus_and_a_run_takes_none(
    call: Callable[..., Any], model: Path, target: str, options: list[str], message: str
) -> None:
    answer = call("evaluate", target if target == "default" else model.parent / target, *options)
    assert (answer.status, answer.stdout) == (2, "")
    assert message in " ".join(answer.stderr.split())
