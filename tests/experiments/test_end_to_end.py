"""Audio in, probabilities out, on real recordings: every stage between is the product's own."""

from pathlib import Path

import numpy as np
import pytest

from emovox import Recognizer, load_protocol, load_recipe, run_experiment
from emovox.runs.history import read_history
from emovox.runs.predictions import read_predictions


@pytest.mark.slow
def test_what_a_user_hears_is_what_was_scored(reference_clips: Path, tmp_path: Path) -> None:
    changes = [
        "training.epochs=3",
        "frontend.image_height=32",
        "frontend.image_width=32",
        "network.conv_channels=[8, 16]",
        "network.dense_units=[32]",
    ]
    recipe = load_recipe("vanilla", changes)
    protocol = load_protocol(recipe, reference_clips)
    run = run_experiment(recipe, protocol, tmp_path / "run")
    (fold,) = protocol.folds
    predictions = read_predictions(run.folder / "predictions.csv")
    assert predictions.clips.tolist() == [clip.name for clip in fold.test]
    assert len(predictions) == 36
    recognizer = Recognizer.load(run.folder / "model.onnx", vad=False, min_confidence=0)
    for clip, row in zip(fold.test, predictions.probabilities.tolist(), strict=True):
        prediction = recognizer.predict(clip.path)
        assert prediction.scores is not None
        assert list(prediction.scores.values()) == row
        assert prediction.emotion == recognizer.info.labels[int(np.argmax(row))]
        assert 2.9 < prediction.end_s < 5.3
    (history,) = read_history(run.folder / "history.csv")
    losses = history.curves["train_loss"]
    assert len(losses) == 3
    assert losses[2] < losses[0]
    assert run.evaluation is not None
    found = predictions.probabilities.argmax(axis=1) == predictions.true
    assert run.evaluation.metrics.accuracy == pytest.approx(found.mean())
    scores = run.evaluation.describe()[:3]
    assert all("speaker-dependent" in line for line in scores)
    assert {score.protocol for score in recognizer.info.scores} == {"reference v1"}
    assert not any(score.speaker_independent for score in recognizer.info.scores)
