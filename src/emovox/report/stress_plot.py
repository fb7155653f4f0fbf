"""The report's figure of a stress test: share of unchanged predictions as noise grows."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.ticker import PercentFormatter

from emovox.evaluation.stress_scores import StressRow
from emovox.pages.style import BLUE, HEIGHT_IN, INK, ORANGE, STYLE, make_axes, to_svg


def plot_noise_curves(rows: Sequence[StressRow]) -> str:
    """Draw the share of unchanged predictions over the signal-to-noise ratio.

    Args:
        rows: All tests; tests without a signal-to-noise ratio are left out.

    Returns:
        The figure as SVG, or an empty string if no noise was tested at two levels.
    """
    curves: dict[str, list[StressRow]] = {}
    for row in rows:
        if row.snr_db is not None:
            curves.setdefault(row.test.removesuffix(f" {row.snr_db:g} dB"), []).append(row)
    if max((len(points) for points in curves.values()), default=0) < 2:
        return ""
    with mpl.rc_context(STYLE):
        figure, axes = make_axes(HEIGHT_IN)
        styles = ((BLUE, "o", "solid"), (ORANGE, "s", "dashed"), (INK, "D", "dotted"))
        for (name, points), (colour, marker, line) in zip(curves.items(), styles, strict=False):
            points = sorted(points, key=lambda row: row.snr_db or 0.0)
            levels = [row.snr_db or 0.0 for row in points]
            axes.fill_between(
                levels,
                [row.unchanged_low for row in points],
                [row.unchanged_high for row in points],
                color=colour,
                alpha=0.12,
                linewidth=0,
            )
            axes.plot(
                levels,
                [row.unchanged for row in points],
                color=colour,
                marker=marker,
                linestyle=line,
                linewidth=1.6,
                markersize=4.5,
                label=name,
            )
        axes.set_xlabel("speech over noise, dB")
        axes.set_ylabel("predictions unchanged")
        axes.set_xticks(sorted({row.snr_db for row in rows if row.snr_db is not None}))
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3)
        return to_svg(figure, "stress")
