"""``emovox report``: the page again, with or without recordings."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emovox.runs.predictions import read_predictions


@pytest.fixture
def run(tiny_runs: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return a copy of a finished run without its page."""
    copy = Path(shutil.copytree(tiny_runs[0], tmp_path / "run"))
    (copy / "report.html").unlink()
    return copy


def test_report_is_built_with_recordings(
    call: Callable[..., Any], run: Path, tiny_corpus: Path
) -> None:
    answer = call("report", run, "--data", tiny_corpus)
    assert (answer.status, answer.stderr) == (0, "")
    assert answer.stdout == f"{run / 'report.html'}\n"
    page = (run / "report.html").read_text()
    assert "<audio" in page
    assert "custom-tiny" in page


def test_predictions_are_explained_where_that_is_asked_for_and_the_models_are(
    call: Callable[..., Any], run: Path, tiny_corpus: Path
) -> None:
    assert call("report", run, "--data", tiny_corpus).status == 0
    page = (run / "report.html").read_text()
    assert 'class="map"' not in page
    assert 'id="hits"' not in page
    command = ("report", run, "--data", tiny_corpus, "--maps")
    assert call(*command).status == 0
    first = (run / "report.html").read_bytes()
    page = first.decode()
    mistakes, rest = page.split('<section id="hits"')
    predictions = read_predictions(run / "predictions.csv")
    wrong = np.unique(predictions.clips[predictions.predicted != predictions.true]).size
    assert mistakes.count('<p class="rests small">') == min(6, wrong) > 0
    right = np.unique(predictions.true[predictions.predicted == predictions.true]).size
    assert rest.count('<p class="rests small">') == right > 0
    # A map where some region decides, and words in its place where none does.
    n_maps = page.count('<div class="map"')
    assert n_maps == page.count('small">Strongest region: ')
    n_words = page.count('small">No single region is decisive: ')
    assert n_maps + n_words == page.count('<p class="rests small">')
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    # Pictures in the maps are in the page as well.
    assert set(re.findall(r'(?:href|src)="(?!#)(.{10})', page)) <= {"data:image", "data:audio"}
    assert call(*command).status == 0
    assert (run / "report.html").read_bytes() == first
    for model in run.rglob("model.onnx"):
        model.unlink()
    assert call(*command).status == 0
    page = (run / "report.html").read_text()
    assert "<audio" in page
    assert "No maps: the model file that made these predictions is missing." in page
    assert 'class="map"' not in page
    assert 'id="hits"' not in page


def test_report_is_built_without_recordings_and_says_so(
    call: Callable[..., Any], run: Path
) -> None:
    (run / "corpus.json").unlink()  # it says where the corpus was
    answer = call("report", run)
    assert (answer.status, answer.stdout) == (0, f"{run / 'report.html'}\n")
    assert answer.stderr.startswith("emovox: without recordings: no RAVDESS speech clip found")
    assert "<audio" not in (run / "report.html").read_text()


def test_a_corpus_that_was_named_has_to_be_there(call: Callable[..., Any], run: Path) -> None:
    answer = call("report", run, "--data", "nowhere")
    assert (answer.status, answer.stdout) == (1, "")
    assert "nowhere" in answer.stderr
    assert not (run / "report.html").exists()
