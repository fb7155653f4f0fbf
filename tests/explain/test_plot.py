import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from emovox.audio.waveform import Waveform
from emovox.evaluation.metrics import FloatArray
from emovox.explain.occlusion import make_band_edges
from emovox.explain.plot import make_standalone, plot_explanation
from emovox.explain.regions import Explanation


def explained(drops: FloatArray, rate_hz: int = 16_000, emotion: str = "sad") -> Explanation:
    edges_hz = make_band_edges(rate_hz, 2)
    return Explanation(
        emotion, 0.75, drops, drops.sum(axis=0), drops.sum(axis=1), np.linspace(0, 1, 4), edges_hz
    )


def count_cells(svg: str) -> tuple[int, int]:
    """Return how many translucent cells are orange, and how many are blue."""
    fills = re.findall(r"fill: var\(--(orange|blue), [^)]*\); fill-opacity: ", svg)
    return fills.count("orange"), fills.count("blue")


DROPS = np.array([[0.4, 0.0, -0.2], [0.02, 0.1, 0.4]])
NOISE = Waveform(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000)


def test_cells_are_orange_for_and_blue_against_and_the_faintest_are_left_out() -> None:
    assert count_cells(plot_explanation(explained(DROPS), NOISE, compact=True)) == (3, 1)
    assert count_cells(plot_explanation(explained(0 * DROPS), NOISE, compact=True)) == (0, 0)


def test_a_map_of_next_to_nothing_is_faint() -> None:
    svg = plot_explanation(explained(DROPS / 1_000), NOISE, compact=True)
    assert count_cells(svg) == (0, 0)


def test_what_is_above_the_picture_does_not_set_its_colours() -> None:
    high = np.vstack([DROPS, [0.9, 0.9, 0.9]])
    waveform = Waveform(NOISE.samples, 48_000)
    svg = plot_explanation(explained(high, 48_000), waveform)
    assert count_cells(svg) == (3, 1)
    assert "sad, probability 75%; strongest cell: 40 points" in svg


@pytest.mark.parametrize("n_samples", [1, 100, 20_000])
def test_silence_and_short_clips_have_their_picture(n_samples: int) -> None:
    silence = Waveform(np.zeros(n_samples, np.float32), 16_000)
    root = ET.fromstring(plot_explanation(explained(0 * DROPS), silence))  # noqa: S314
    assert root.tag.endswith("svg")


def test_the_same_explanation_gives_the_same_figure_and_a_name_is_text() -> None:
    found = explained(DROPS, emotion="$x^2$ <b>")
    svg = plot_explanation(found, NOISE)
    assert svg == plot_explanation(found, NOISE)
    assert "$x^2$ &lt;b&gt;, probability" in svg


def test_a_figure_of_its_own_has_size_font_and_colours() -> None:
    svg = make_standalone(plot_explanation(explained(DROPS), NOISE), 600)
    assert svg.startswith('<svg width="600" font-family="sans-serif"')
    assert "var(" not in svg
    assert "#b3500b" in svg
