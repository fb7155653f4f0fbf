"""The report's figures as SVG, with colours set by the page."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from emovox.evaluation.abstention import Answered
from emovox.evaluation.breakdown import SpeakerScore, wilson_interval
from emovox.evaluation.calibration import TARGET_ACCURACY
from emovox.evaluation.metrics import CalibrationBin, FloatArray
from emovox.pages.style import (
    _PAPER,
    _WIDTH_IN,
    BLUE,
    HEIGHT_IN,
    INK,
    MUTED,
    ORANGE,
    STYLE,
    make_axes,
    to_svg,
)
from emovox.runs.history import FoldHistory
from emovox.runs.scores import FoldEntry, RunScores

_FAINT_FOLDS = 2
"""With at least this many folds, each is a faint line and their mean a strong one."""


def plot_curves(
    histories: Sequence[FoldHistory], measure: str, best_epochs: Mapping[str, int]
) -> str:
    """Draw loss or accuracy on training and validation clips over the epochs.

    Args:
        histories: Training history of each fold; several are drawn as faint lines with their mean.
        measure: ``"loss"`` or ``"accuracy"``.
        best_epochs: Epoch whose weights were kept, keyed by fold; marked if there is one fold.

    Returns:
        The figure as SVG.

    Raises:
        ValueError: If there are no histories.
    """
    if not histories:
        raise ValueError("found no history; expected that of at least one fold")
    with mpl.rc_context(STYLE):
        figure, axes = make_axes(HEIGHT_IN)
        for part, colour, linestyle in (
            ("train", BLUE, (0, (4, 1.5))),
            ("validation", ORANGE, "solid"),
        ):
            name = f"{part}_{measure}"
            if all(np.isnan(history.curves[name]).all() for history in histories):
                continue
            several = len(histories) >= _FAINT_FOLDS
            style: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.28}
            if not several:
                style = {"linewidth": 1.9, "linestyle": linestyle}
            for history in histories:
                (line,) = axes.plot(history.epochs, history.curves[name], color=colour, **style)
            if several:
                epochs, mean = average_curves(histories, name)
                (line,) = axes.plot(epochs, mean, color=colour, linewidth=2.2, linestyle=linestyle)
            line.set_label(f"{part}, mean" if several else part)
        if len(histories) == 1 and histories[0].fold in best_epochs:
            _mark_epoch(axes, best_epochs[histories[0].fold])
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlim(left=1)
        if measure == "accuracy":
            axes.set_ylim(0, 1.02)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        else:
            axes.set_ylim(bottom=0)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3)
        return to_svg(figure, measure)


def average_curves(histories: Sequence[FoldHistory], name: str) -> tuple[FloatArray, FloatArray]:
    """Average one curve over the folds, up to the last epoch that at least half of them reached.

    Args:
        histories: Training history of each fold; early stopping makes their lengths differ.
        name: One of ``emovox.runs.history.HISTORY_CURVES``.

    Returns:
        Epochs and means over the folds that reached them, each float64 ``(epochs,)``.
    """
    values: dict[float, list[float]] = {}
    for history in histories:
        for epoch, value in zip(history.epochs, history.curves[name], strict=True):
            if np.isfinite(value):
                values.setdefault(float(epoch), []).append(float(value))
    kept = [epoch for epoch in sorted(values) if 2 * len(values[epoch]) >= len(histories)]
    return np.array(kept), np.array([np.mean(values[epoch]) for epoch in kept])


def plot_calibration(bins: Sequence[CalibrationBin]) -> str:
    """Draw accuracy at each confidence, over a histogram of confidence.

    Args:
        bins: The bins that contain clips.

    Returns:
        The figure as SVG; whiskers are Wilson 95% intervals of each bin.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH_IN, 4.3), layout="constrained")
        grid = figure.add_gridspec(2, 1, height_ratios=(3, 1))
        axes = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=axes)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, dashes=(2, 2), label="ideal")
        confidence = [entry.confidence for entry in bins]
        accuracy = [entry.accuracy for entry in bins]
        intervals = [wilson_interval(entry.accuracy, entry.count) for entry in bins]
        axes.vlines(
            confidence,
            [interval.low for interval in intervals],
            [interval.high for interval in intervals],
            color=BLUE,
            linewidth=1.2,
            alpha=0.55,
        )
        axes.plot(confidence, accuracy, "o-", color=BLUE, linewidth=1.6, markersize=4.5)
        axes.lines[-1].set_label("this model")
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel("accuracy")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.tick_params(labelbottom=False)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=2)
        below.bar(
            [entry.low for entry in bins],
            [entry.count for entry in bins],
            width=[entry.high - entry.low for entry in bins],
            align="edge",
            color=BLUE,
            edgecolor=_PAPER,
            linewidth=0.8,
        )
        below.set_ylabel("count")
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        below.set_xlabel("confidence")
        below.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        below.set_xlim(0, 1.01)
        return to_svg(figure, "calibration")


def plot_abstention(coverage: FloatArray, risk: FloatArray, own: Answered | None) -> str:
    """Draw the share of wrong predictions if only the most confident ones are kept.

    Args:
        coverage: Shares of clips kept, increasing, ``(clips,)``.
        risk: Share of wrong predictions at each coverage, ``(clips,)``.
        own: Predictions kept at the models' own thresholds, marked in the figure; or ``None``.

    Returns:
        The risk-coverage curve as SVG.
    """
    with mpl.rc_context(STYLE):
        figure, axes = make_axes(HEIGHT_IN)
        # More points than pixels would only make the page larger.
        shown = np.unique(np.linspace(0, len(risk) - 1, 500).astype(int))
        axes.step(
            coverage[shown], risk[shown], where="pre", color=BLUE, linewidth=1.9, label="wrong"
        )
        axes.axhline(1 - TARGET_ACCURACY, color=MUTED, linewidth=1, dashes=(2, 2), label="target")
        if own is not None and own.accuracy is not None:
            at = ([own.coverage], [1 - own.accuracy])
            axes.plot(*at, "D", color=ORANGE, markersize=6, label="own threshold")
        axes.set_xlim(0, 1.01)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("coverage, the most confident first")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylabel("wrong")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, columnspacing=1.2)
        return to_svg(figure, "abstention")


def plot_speakers(speakers: Sequence[SpeakerScore]) -> str:
    """Draw each speaker's accuracy with its interval, the best at the top.

    Args:
        speakers: Scores of the speakers.

    Returns:
        The figure as SVG; shape and colour of the marks show the gender.
    """
    ranked = sorted(speakers, key=lambda entry: entry.accuracy)
    with mpl.rc_context(STYLE):
        figure, axes = make_axes(0.95 + 0.2 * max(4, len(ranked)))
        for gender, colour, marker in (
            ("female", ORANGE, "o"),
            ("male", BLUE, "s"),
            ("", INK, "D"),
        ):
            rows = [row for row, entry in enumerate(ranked) if entry.gender == gender]
            if not rows:
                continue
            axes.hlines(
                rows,
                [ranked[row].interval.low for row in rows],
                [ranked[row].interval.high for row in rows],
                color=colour,
                linewidth=1.6,
                alpha=0.5,
            )
            axes.plot(
                [ranked[row].accuracy for row in rows],
                rows,
                marker,
                color=colour,
                markersize=5,
                label=gender or "unknown gender",
            )
        axes.set_yticks(range(len(ranked)))
        axes.set_yticklabels([entry.speaker for entry in ranked])
        axes.set_ylim(-0.7, len(ranked) - 0.3)
        axes.set_ylabel("speaker")
        axes.grid(visible=False, axis="y")
        _format_share_axis(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
        return to_svg(figure, "speakers")


def plot_folds(folds: Sequence[FoldEntry], scores: RunScores) -> str:
    """Draw the scores of all folds, and their mean with its interval.

    Args:
        folds: Scores of the folds.
        scores: Scores of the run.

    Returns:
        The figure as SVG.
    """
    with mpl.rc_context(STYLE):
        figure, axes = make_axes(2.3)
        rows = (("WA", "accuracy"), ("UA", "uar"), ("macro F1", "macro_f1"))
        for row, (_, name) in enumerate(rows):
            values = np.array([getattr(fold, name) for fold in folds])
            axes.plot(values, spread_ties(values) * 0.26 + row, "o", color=BLUE, markersize=4.5)
            axes.lines[-1].set_alpha(0.5)
            summary = getattr(scores.summary, name)
            if summary.low is not None and summary.high is not None:
                axes.hlines(row + 0.36, summary.low, summary.high, color=ORANGE, linewidth=2)
            axes.plot([summary.mean], [row + 0.36], "D", color=ORANGE, markersize=5)
        axes.lines[0].set_label("one fold")
        axes.lines[1].set_label("mean and interval")
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.set_ylim(len(rows) - 0.35, -0.5)
        axes.grid(visible=False, axis="y")
        _format_share_axis(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
        return to_svg(figure, "folds")


def spread_ties(values: FloatArray) -> FloatArray:
    """Return offsets in [-1, 1] that keep equal values from hiding each other.

    Args:
        values: Values to draw, float64 ``(points,)``.

    Returns:
        Offsets, float64 ``(points,)``; 0 for unique values.

    Examples:
        >>> spread_ties(np.array([0.5, 0.5, 0.7])).tolist()
        [-0.25, 0.25, 0.0]
    """
    offsets = np.zeros(values.size)
    keys = values.round(6)
    largest = max(int(np.count_nonzero(keys == key)) for key in np.unique(keys))
    step = 2 / max(largest, 4)
    for key in np.unique(keys):
        same = np.flatnonzero(keys == key)
        offsets[same] = (np.arange(same.size) - (same.size - 1) / 2) * step
    return offsets


def _format_share_axis(axes: Axes) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _mark_epoch(axes: Axes, epoch: int) -> None:
    axes.axvline(epoch, color=MUTED, linewidth=1, dashes=(1, 2), label=f"kept: epoch {epoch}")
