"""What a card of the report says its prediction rests on."""

from pathlib import Path

import numpy as np
import soundfile as sf

from emovox.corpora.clips import Clip
from emovox.evaluation.breakdown import ClipAnswer
from emovox.report.clips import FoldModels, draw_map


def make_answer(predicted: str) -> ClipAnswer:
    scores = np.array([0.5, 0.5])
    return ClipAnswer("clip", "01", "1", "", "loud", predicted, 0.5, scores, 0, 1)


def make_clip(path: Path, peak: float) -> Clip:
    """Return 1 s of faint noise with a tone of 1 kHz in its second half second."""
    time_s = np.arange(8_000) / 8_000
    noise = np.random.default_rng(0).normal(0, 1e-3, len(time_s))
    sf.write(path, peak * (time_s > 0.5) * np.sin(2 * np.pi * 1_000 * time_s) + noise, 8_000)
    return Clip("clip", path, "made", "loud", "1")


def test_a_map_is_drawn_where_a_region_decides(loudness_model: Path, tmp_path: Path) -> None:
    models = FoldModels({"01": loudness_model})
    drawn = draw_map(make_answer("loud"), make_clip(tmp_path / "clip.wav", 0.9), models)
    assert drawn is not None
    assert drawn.figure is not None
    # A tenth of the clip at a mean of 0.9 times 2 / pi would be 6 points; fading edges leave 5.
    assert drawn.words.startswith("Strongest region: 0.")
    assert drawn.words.endswith(" Hz: +5 points")


def test_words_stand_where_no_region_decides(loudness_model: Path, tmp_path: Path) -> None:
    models = FoldModels({"01": loudness_model})
    drawn = draw_map(make_answer("loud"), make_clip(tmp_path / "clip.wav", 0.3), models)
    assert drawn is not None
    assert drawn.figure is None
    assert (
        drawn.words
        == "No single region is decisive: each changes the probability by at most 2 points."
    )


def test_a_model_that_is_not_there_draws_no_map(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.wav", 0.9)
    for models in (FoldModels({}), FoldModels({"01": tmp_path / "model.onnx"})):
        assert draw_map(make_answer("loud"), clip, models) is None
