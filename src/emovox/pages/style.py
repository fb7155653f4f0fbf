"""Common style of emovox's figures: SVG with colours set by the page."""

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Replaced by the page's CSS variables, so one figure works in light and dark mode.
INK, MUTED, GRID, BLUE, ORANGE, _PAPER = (f"#00000{i}" for i in range(1, 7))
_THEME = {
    INK: "var(--ink, #1d2129)",
    MUTED: "var(--muted, #59616d)",
    GRID: "var(--line, #d9dce1)",
    BLUE: "var(--blue, #0b63a5)",
    ORANGE: "var(--orange, #b3500b)",
    _PAPER: "var(--paper, #ffffff)",
}

_WIDTH_IN = 4.7
HEIGHT_IN = 3.1
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, found and copied
    "text.parse_math": False,  # a name may hold dollar signs
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0.2,
}


def make_axes(height_in: float) -> tuple[Figure, Axes]:
    """Return an empty figure of the page's width with one set of axes."""
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    return figure, figure.add_subplot()


def to_svg(figure: Figure, name: str) -> str:
    """Return the figure as an SVG element with the page's colours and ids unique to it."""
    file = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": f"emovox {name}"}):
        figure.savefig(file, format="svg", metadata=no_metadata)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    # Several figures share a page; ids of groups are not needed and would be duplicates.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    # The page sets the size; the viewBox keeps the shape.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    # Use the page's font and line joins; a style element would affect the whole page.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r" font-family: [^;\"]*;", "", text)
    for drawn, shown in _THEME.items():
        text = text.replace(drawn, shown)
    return re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL).strip()
