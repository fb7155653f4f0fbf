import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from emovox.evaluation.abstention import Answered
from emovox.evaluation.breakdown import SpeakerScore
from emovox.evaluation.intervals import Interval
from emovox.evaluation.metrics import CalibrationBin
from emovox.report import plots
from emovox.runs.history import HISTORY_CURVES, FoldHistory

SVG = "{http://www.w3.org/2000/svg}"


def history(fold: str, values: list[float]) -> FoldHistory:
    epochs = np.arange(1.0, len(values) + 1)
    curves = {name: np.array(values, dtype=np.float64) for name in HISTORY_CURVES}
    return FoldHistory(fold, epochs, curves, seconds=1.0)


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314


BINS = (CalibrationBin(0.2, 0.4, 4, 0.3, 0.25), CalibrationBin(0.8, 1.0, 6, 0.9, 0.5))
CURVE = (np.linspace(0.001, 1, 1_000), np.linspace(0, 0.5, 1_000))
SPEAKERS = (
    SpeakerScore("1", "male", 10, 10, 0.5, Interval(0.3, 0.7), None),
    SpeakerScore("$x^2$ <b>&", "female", 10, 10, 0.9, Interval(0.7, 0.98), None),
)


def test_the_figures_are_the_same_each_time_and_leave_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    first = plots.plot_curves([history("01", [2.0, 1.0])], "loss", {"01": 2})
    assert first == plots.plot_curves([history("01", [2.0, 1.0])], "loss", {"01": 2})
    assert plots.plot_calibration(BINS) == plots.plot_calibration(BINS)
    assert dict(mpl.rcParams) == before


def test_figures_take_their_colours_from_the_page_and_keep_no_style_of_their_own() -> None:
    svg = plots.plot_calibration(BINS)
    assert "var(--blue, #0b63a5)" in svg
    assert re.findall(r"(?<!, )#[0-9a-f]{6}\b", svg) == []
    assert "<style" not in svg
    assert "font-family" not in svg
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", svg)


def test_figures_on_one_page_share_no_id() -> None:
    pages = [
        plots.plot_curves([history("01", [0.5, 0.6])], "loss", {}),
        plots.plot_curves([history("01", [0.5, 0.6])], "accuracy", {}),
        plots.plot_calibration(BINS),
        plots.plot_abstention(*CURVE, None),
        plots.plot_speakers(SPEAKERS),
    ]
    ids = [name for svg in pages for name in re.findall(r' id="([^"]*)"', svg)]
    assert ids
    assert len(ids) == len(set(ids))


def test_abstention_marks_what_the_models_answer() -> None:
    answered = Answered(None, 600, 0.6, 0.7)
    assert "own threshold" in texts(plots.plot_abstention(*CURVE, answered))
    for own in (None, Answered(None, 0, 0.0, None)):
        assert "own threshold" not in texts(plots.plot_abstention(*CURVE, own))
    # A page of 100,000 tests is no heavier than one of a thousand.
    many = tuple(np.repeat(values, 100) for values in CURVE)
    assert len(plots.plot_abstention(many[0], many[1], None)) < 60_000


def test_one_fold_marks_the_epoch_that_was_kept() -> None:
    assert "kept: epoch 2" in texts(
        plots.plot_curves([history("01", [2, 1, 3])], "loss", {"01": 2})
    )


def test_several_folds_are_faint_beside_their_mean() -> None:
    svg = plots.plot_curves([history("01", [2, 1]), history("02", [3, 2])], "loss", {"01": 2})
    assert svg.count("stroke-opacity: 0.28") == 4
    assert "train, mean" in texts(svg)
    assert not any("kept" in text for text in texts(svg))


def test_a_run_without_validation_shows_none() -> None:
    only_train = history("01", [2, 1])
    only_train.curves["validation_loss"][:] = np.nan
    shown = texts(plots.plot_curves([only_train], "loss", {}))
    assert "train" in shown
    assert "validation" not in shown


def test_no_history_is_refused() -> None:
    with pytest.raises(ValueError, match="found no history; expected"):
        plots.plot_curves([], "loss", {})


def test_the_mean_goes_as_far_as_half_of_the_folds() -> None:
    folds = [history("01", [1, 2, 3]), history("02", [3, 4]), history("03", [5])]
    epochs, means = plots.average_curves(folds, "train_loss")
    assert epochs.tolist() == [1, 2]
    assert means.tolist() == [3, 3]


def test_a_speakers_name_is_neither_markup_nor_a_formula() -> None:
    svg = plots.plot_speakers(SPEAKERS)
    assert "$x^2$ <b>&" in texts(svg)
    assert "<b>" not in svg


def test_equal_scores_are_set_apart() -> None:
    offsets = plots.spread_ties(np.array([0.5, 0.5, 0.5, 0.7]))
    assert len(set(offsets[:3].tolist())) == 3
    assert offsets[3] == 0
    assert np.abs(offsets).max() <= 1
