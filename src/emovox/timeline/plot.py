"""Draw a timeline as a figure: waveform, spans, and probabilities."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from emovox.files import replace_file
from emovox.recognition.results import Prediction
from emovox.recognition.timeline import merge_segments
from emovox.timeline.formats import format_time, label_segment
from emovox.timeline.media import TimelineMedia, choose_colours

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "emovox timeline",
    "text.parse_math": False,  # a name may hold dollar signs
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "hatch.color": "#8a9099",
}
_WIDTH_IN = 9.0
_NARROWEST = 0.0095
"""Narrower spans, as a share of the figure for each letter, are not labelled."""


def plot_timeline(
    path: Path,
    hops: Sequence[Prediction],
    media: TimelineMedia,
    labels: Sequence[str],
    name: str,
) -> None:
    """Draw a timeline as PNG or SVG.

    Args:
        path: The file, ending in ``.png`` or ``.svg``; written atomically.
        hops: Predictions of ``Recognizer.timeline`` with ``merge=False``, of one or all channels.
        media: The waveform.
        labels: Emotions of the model.
        name: Name of the recording.

    Raises:
        EmovoxError: The file cannot be written.
    """
    channels = [list(group) for _, group in groupby(hops, key=lambda hop: hop.channel)]
    duration_s, colours = hops[-1].end_s, choose_colours(labels)
    with mpl.rc_context(_STYLE):
        ratios = [1.0, *[0.4, 1.4] * len(channels)]
        figure = Figure(figsize=(_WIDTH_IN, 0.9 + 0.95 * sum(ratios)), layout="constrained")
        rows = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
        _draw_wave(rows[0], media, duration_s)
        rows[0].set_title(name, loc="left")
        for at, channel in enumerate(channels):
            _draw_spans(rows[1 + 2 * at], channel, colours, duration_s)
            _draw_probabilities(rows[2 + 2 * at], channel, colours)
        for axes in rows[:-1]:
            axes.tick_params(bottom=False)
        rows[-1].set_xlim(0, duration_s)
        rows[-1].xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 5, 6, 10]))
        rows[-1].xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_time(x)[:-2]))
        marks = [Patch(facecolor=colour, label=label) for label, colour in colours.items()]
        marks.append(Patch(facecolor="none", hatch="////", label="uncertain or too short"))
        figure.legend(handles=marks, loc="outside lower center", ncols=5, frameon=False)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        with replace_file(path) as part:
            figure.savefig(part, dpi=150, metadata=metadata)


def _draw_wave(axes: Axes, media: TimelineMedia, duration_s: float) -> None:
    times_s = (np.arange(len(media.envelope)) + 0.5) * duration_s / len(media.envelope)
    axes.fill_between(times_s, -media.envelope, media.envelope, color="#4a525d", linewidth=0)
    axes.set_axis_off()


def _draw_spans(
    axes: Axes, hops: Sequence[Prediction], colours: dict[str, str], duration_s: float
) -> None:
    """Draw the segments of one channel, with their names where there is room."""
    for s in merge_segments(hops):
        if s.scores is None:
            continue
        colour = colours[s.emotion] if s.emotion else "none"
        hatch = None if s.emotion else "////"
        width_s = s.end_s - s.start_s
        axes.barh(
            0, width_s, left=s.start_s, color=colour, edgecolor="#8a9099", hatch=hatch, lw=0.5
        )
        text = label_segment(s)
        if width_s / duration_s > _NARROWEST * len(text):
            box = None if s.emotion else {"facecolor": "white", "edgecolor": "none", "pad": 1}
            middle_s = s.start_s + width_s / 2
            axes.text(middle_s, 0, text, ha="center", va="center", bbox=box, clip_on=True)
    axes.set_axis_off()


def _draw_probabilities(axes: Axes, hops: Sequence[Prediction], colours: dict[str, str]) -> None:
    """Draw the probabilities of one channel as stacked steps."""
    edges_s = [hops[0].start_s, *(hop.end_s for hop in hops)]
    heights = np.array([list((hop.scores or dict.fromkeys(colours, 0.0)).values()) for hop in hops])
    tops = np.cumsum(heights, axis=1)
    for at, colour in enumerate(colours.values()):
        axes.stairs(
            tops[:, at], edges_s, baseline=tops[:, at] - heights[:, at], fill=True, color=colour
        )
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    channel = hops[0].channel
    axes.set_ylabel(f"channel {channel}" if channel else "probability")
