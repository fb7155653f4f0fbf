"""A study's figures, as SVG text in the report's style."""

import json
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FormatStrFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
)

from emovox.pages.style import BLUE, HEIGHT_IN, ORANGE, STYLE, make_axes, to_svg
from emovox.tuning.objective import Metric
from emovox.tuning.trials import Tuning


def plot_history(tuning: Tuning) -> str:
    """Draw the trials' scores in order of their start, and the best so far.

    Args:
        tuning: The study.

    Returns:
        The figure as SVG.
    """
    with mpl.rc_context(STYLE):
        figure, axes = make_axes(HEIGHT_IN)
        trials = sorted(tuning.trials, key=lambda trial: trial.number)
        complete = [trial for trial in trials if trial.complete]
        pruned = [trial for trial in trials if not trial.complete]
        best = np.maximum.accumulate if tuning.metric.rises else np.minimum.accumulate
        if pruned:
            numbers, scores = [t.number for t in pruned], [t.score for t in pruned]
            axes.plot(numbers, scores, "x", color=ORANGE, markersize=4.5, label="pruned")
        if complete:
            numbers, scores = [t.number for t in complete], [t.score for t in complete]
            axes.plot(numbers, scores, "o", color=BLUE, markersize=4.5, label="complete")
            axes.step(
                numbers, best(scores), where="post", color=BLUE, linewidth=1.6, label="best so far"
            )
        axes.set_xlabel("trial")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _label_score(axes, tuning.metric)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3)
        return to_svg(figure, "history")


def plot_importance(importance: Mapping[str, float]) -> str:
    """Draw the share of the score's variance that each setting explains.

    Args:
        importance: Importance of each setting, largest first.

    Returns:
        The figure as SVG, or an empty string without importance.

    Examples:
        >>> plot_importance({"training.epochs": 1.0})[:4]
        '<svg'
    """
    if not importance:
        return ""
    with mpl.rc_context(STYLE):
        figure, axes = make_axes(0.8 + 0.3 * len(importance))
        bars = axes.barh(list(importance), list(importance.values()), color=BLUE, height=0.6)
        axes.bar_label(bars, [f"{share:.0%}" for share in importance.values()], padding=3)
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlim(0, 1.12 * max(importance.values()))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("share of the score's variance")
        return to_svg(figure, "importance")


def plot_setting(tuning: Tuning, key: str) -> str:
    """Draw the trials' scores over one setting's values.

    Args:
        tuning: The study.
        key: The setting.

    Returns:
        The figure as SVG; pruned trials are crosses.
    """
    axis = tuning.recipe.tune.space[key]
    with mpl.rc_context(STYLE):
        figure, axes = make_axes(2.3)
        names = [json.dumps(choice) for choice in axis.choices or ()]
        for complete, marker, colour in ((False, "x", ORANGE), (True, "o", BLUE)):
            chosen = [t for t in tuning.trials if t.complete is complete and key in t.settings]
            values = [
                names.index(json.dumps(t.settings[key])) if names else t.settings[key]
                for t in chosen
            ]
            scores = [t.score for t in chosen]
            axes.plot(values, scores, marker, color=colour, markersize=4.5, alpha=0.8)
        if names:
            axes.set_xticks(range(len(names)), names)
            axes.set_xlim(-0.5, len(names) - 0.5)
        elif axis.log:
            axes.set_xscale("log")
            # The default labels of powers use math text, which the style does not draw.
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(key)
        _label_score(axes, tuning.metric)
        return to_svg(figure, f"setting {key}")


def _label_score(axes: Axes, metric: Metric) -> None:
    axes.set_ylabel(f"validation {metric.label}")
    if metric is Metric.UA:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
