"""What the examples in docstrings find: a folder of their own, with a recording in it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emovox.demo.clips import read_demo_clips
from emovox.evaluation.predictions import Predictions


@pytest.fixture(autouse=True)
def example_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctest_namespace: dict[str, Any]
) -> None:
    """Put ``clip.opus``, an angry voice, into an empty folder; define the usual names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    (angry,) = (clip for clip in read_demo_clips() if clip.speaker == "1045")
    shutil.copyfile(angry.path, "clip.opus")
    doctest_namespace.update(Path=Path, np=np, predictions=make_predictions())


def make_predictions() -> Predictions:
    """Return predictions for four clips each of two speakers, of which three are wrong."""
    sad = np.array([0.1, 0.2, 0.9, 0.4, 0.3, 0.98, 0.8, 0.02])
    return Predictions(
        clips=np.array(list("abcdefgh")),
        folds=np.array(["01"] * 8),
        speakers=np.array(["1"] * 4 + ["2"] * 4),
        genders=np.array(["male"] * 4 + ["female"] * 4),
        true=np.array([0, 0, 1, 1, 0, 1, 1, 1]),
        probabilities=np.stack([1 - sad, sad], axis=1),
        labels=("calm", "sad"),
    )
