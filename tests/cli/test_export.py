"""``emovox export``: a run's model for other programs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emovox.recognition.model_file import open_model


def test_onnx_is_written_anew_with_the_same_description(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path], tiny_corpus: Path
) -> None:
    run = tiny_runs[0]
    options = ("--format", "onnx", "--fold", "02", "--out", "out", "--data", tiny_corpus)
    answer = call("export", run, *options)
    assert (answer.status, answer.stderr) == (0, "")
    assert answer.stdout == "out/model.onnx\nout/model.json\n"
    assert open_model("out/model.onnx").info == open_model(run / "fold-02" / "model.onnx").info


@pytest.mark.slow
def test_keras_files_are_written(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path], tiny_corpus: Path
) -> None:
    options = ("--format", "keras", "--out", "out", "--data", tiny_corpus)
    answer = call("export", tiny_runs[0], *options)
    assert answer.status == 0
    paths = [Path(line) for line in answer.stdout.splitlines()]
    assert sorted(path.suffix for path in paths) == [".h5", ".keras"]
    assert all(path.parent == Path("out") and path.is_file() for path in paths)


def test_an_unknown_fold_names_the_known_ones(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path], tiny_corpus: Path
) -> None:
    options = ("--format", "onnx", "--fold", "3", "--data", tiny_corpus)
    answer = call("export", tiny_runs[0], *options)
    assert (answer.status, answer.stdout) == (1, "")
    assert answer.stderr.endswith(" has no fold '3'; known: 01, 02\n")


@pytest.mark.parametrize("options", [[], ["--format", "tflite"]])
def test_an_unknown_format_is_a_usage_error(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path], options: list[str]
) -> None:
    answer = call("export", tiny_runs[0], *options)
    assert (answer.status, answer.stdout) == (2, "")
    assert "--format" in answer.stderr
