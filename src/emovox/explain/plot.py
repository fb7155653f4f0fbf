"""Draw the map of an explanation over the recording's spectrogram."""

import hashlib
import re
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from emovox.audio.waveform import Waveform
from emovox.evaluation.metrics import FloatArray
from emovox.explain.occlusion import TOP_FREQUENCY_HZ, hz_to_mel, mel_to_hz
from emovox.explain.regions import Explanation
from emovox.pages.style import BLUE, INK, ORANGE, STYLE, to_svg

_WINDOW_S = 0.032
_IMAGE_SHAPE = (72, 320)
_GREYS = 24  # few enough for a small picture
_TOP_DB = 70.0
_FAINTEST = 0.08
"""Cells below this fraction of the strongest are not drawn: even silence has small effects."""

_MAX_OPACITY = 0.8
_MIN_SCALE = 0.02  # keeps negligible changes from looking strong
_TICKS_HZ = (200, 500, 1_000, 2_000, 4_000, 8_000)


def plot_explanation(explanation: Explanation, waveform: Waveform, *, compact: bool = False) -> str:
    """Draw the spectrogram of a recording, overlaid with regions for and against its emotion.

    Args:
        explanation: The explanation of the recording.
        waveform: The recording, at any rate.
        compact: Leave out the bars of the bands, for a card in a report.

    Returns:
        The figure as SVG. Bars above the spectrogram show the drop without each stretch of time.
    """
    with mpl.rc_context(STYLE):
        if compact:
            # Fixed margins: computing them takes longer than drawing, and a page has many maps.
            figure = Figure(figsize=(3.4, 2.15))
            margins = {"left": 0.15, "right": 0.985, "bottom": 0.18, "top": 0.97, "hspace": 0.22}
            grid = figure.add_gridspec(2, 1, height_ratios=(1, 2.6), **margins)
        else:
            figure = Figure(figsize=(7.2, 3.6), layout="constrained")
            grid = figure.add_gridspec(2, 2, height_ratios=(1, 2.6), width_ratios=(5, 1))
        axes = figure.add_subplot(grid[1, 0])
        above = figure.add_subplot(grid[0, 0], sharex=axes)
        _draw_spectrum(axes, waveform, _TICKS_HZ[::2] if compact else _TICKS_HZ)
        _draw_cells(axes, explanation)
        _draw_times(above, explanation)
        if not compact:
            _draw_bands(figure.add_subplot(grid[1, 1], sharey=axes), explanation)
            above.set_title(
                f"{explanation.emotion}, probability {explanation.probability:.0%}; "
                f"strongest cell: {100 * _find_scale(explanation):.0f} points",
                loc="left",
                fontsize="medium",
            )
            marks = [Rectangle((0, 0), 1, 1, color=colour) for colour in (ORANGE, BLUE)]
            figure.legend(marks, ["speaks for it", "against it"], loc="upper right", ncols=2)
        axes.set_xlim(0, waveform.duration_s)
        axes.set_ylim(0, _find_top_mel(waveform))
        # Maps of several clips may share a page, so each needs unique ids.
        content = explanation.drops.tobytes() + waveform.samples.tobytes()
        return to_svg(figure, f"explanation {hashlib.sha256(content).hexdigest()}")


def make_standalone(svg: str, width_px: int = 900) -> str:
    """Return a figure as a standalone SVG file, with colours, size and font.

    Args:
        svg: Figure from ``plot_explanation``.
        width_px: Width in pixels.

    Returns:
        A complete SVG document.

    Examples:
        >>> make_standalone('<svg viewBox="0 0 1 1"><path fill="var(--ink, #000)"/></svg>')
        '<svg width="900" font-family="sans-serif" viewBox="0 0 1 1"><path fill="#000"/></svg>'
    """
    svg = re.sub(r"var\(--[a-z]+, (#[0-9a-f]+)\)", r"\1", svg)
    return svg.replace("<svg", f'<svg width="{width_px}" font-family="sans-serif"', 1)


def _draw_spectrum(axes: Axes, waveform: Waveform, ticks_hz: Sequence[int]) -> None:
    """Draw the spectrogram in greys, with frequencies equally spaced in mel."""
    top_mel = _find_top_mel(waveform)
    levels = _compute_levels(waveform, mel_to_hz(np.linspace(0, top_mel, _IMAGE_SHAPE[0])))
    axes.imshow(
        (levels * (_GREYS - 1)).round() / (_GREYS - 1),
        cmap="gray",
        vmin=0,
        vmax=1,
        origin="lower",
        aspect="auto",
        interpolation="none",
        extent=(0, waveform.duration_s, 0, top_mel),
    )
    axes.set_xlabel("time, s", labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ticks = [hz for hz in ticks_hz if hz_to_mel(hz) <= top_mel + 1]
    axes.set_yticks(
        hz_to_mel(ticks), [f"{hz // 1_000}k" if hz >= 1_000 else str(hz) for hz in ticks]
    )
    axes.set_ylabel("Hz")
    axes.grid(visible=False)


def _find_top_mel(waveform: Waveform) -> float:
    return float(hz_to_mel(min(TOP_FREQUENCY_HZ, waveform.rate_hz / 2)))


def _compute_levels(waveform: Waveform, frequencies_hz: FloatArray) -> FloatArray:
    """Return levels from 0 (70 dB below the loudest) to 1, ``(frequencies, columns)``."""
    window_samples = max(8, round(_WINDOW_S * waveform.rate_hz))
    samples = waveform.samples.astype(np.float64)
    samples = np.pad(samples, (0, max(0, window_samples - samples.size)))
    hop = max(1, samples.size // _IMAGE_SHAPE[1])
    transform = ShortTimeFFT(hann(window_samples, sym=False), hop=hop, fs=waveform.rate_hz)
    power = transform.spectrogram(samples)  # (bins, frames)
    columns = transform.t(len(samples))
    wanted = (np.arange(_IMAGE_SHAPE[1]) + 0.5) / _IMAGE_SHAPE[1] * waveform.duration_s
    power = power[:, np.abs(columns[:, np.newaxis] - wanted).argmin(axis=0)]
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    rows = np.stack([np.interp(frequencies_hz, transform.f, column) for column in decibels.T])
    levels: FloatArray = ((rows.T - decibels.max() + _TOP_DB) / _TOP_DB).clip(0, 1)
    return levels


def _draw_cells(axes: Axes, explanation: Explanation) -> None:
    """Lay each cell over the spectrogram: orange speaks for the emotion, blue against it."""
    scale = _find_scale(explanation)
    times, mels = explanation.time_edges_s, hz_to_mel(explanation.band_edges_hz)
    patches, colours, opacities = [], [], []
    for (band, time), drop in np.ndenumerate(explanation.drops):
        if abs(drop) < _FAINTEST * scale or explanation.band_edges_hz[band] >= TOP_FREQUENCY_HZ:
            continue
        width, height = times[time + 1] - times[time], mels[band + 1] - mels[band]
        corner = (float(times[time]), float(mels[band]))
        patches.append(Rectangle(corner, float(width), float(height)))
        colours.append(ORANGE if drop > 0 else BLUE)
        opacities.append(_MAX_OPACITY * abs(drop) / scale)
    axes.add_collection(
        PatchCollection(patches, facecolors=colours, alpha=opacities or None, linewidths=0)
    )


def _find_scale(explanation: Explanation) -> float:
    """Return the drop of the strongest cell that is drawn."""
    shown = explanation.drops[explanation.band_edges_hz[:-1] < TOP_FREQUENCY_HZ]
    return max(float(np.abs(shown).max()), _MIN_SCALE)


def _draw_times(axes: Axes, explanation: Explanation) -> None:
    """Draw the drop without each stretch of time."""
    drops, edges = explanation.time_drops, explanation.time_edges_s
    axes.bar(
        edges[:-1], drops, width=np.diff(edges), align="edge", color=_to_colours(drops), linewidth=0
    )
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.tick_params(labelbottom=False)
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.set_ylabel("points")
    axes.set_ylim(*_widen(drops))


def _draw_bands(axes: Axes, explanation: Explanation) -> None:
    """Draw the drop without each band."""
    mels, drops = hz_to_mel(explanation.band_edges_hz), explanation.band_drops
    axes.barh(
        mels[:-1],
        drops,
        height=np.diff(mels),
        align="edge",
        color=_to_colours(drops),
        linewidth=0,
    )
    axes.axvline(0, color=INK, linewidth=0.7)
    axes.tick_params(labelleft=False)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.set_xlabel("points", labelpad=1)
    axes.set_xlim(*_widen(drops))


def _to_colours(drops: FloatArray) -> list[str]:
    return [ORANGE if drop > 0 else BLUE for drop in drops]


def _widen(drops: FloatArray) -> tuple[float, float]:
    """Return limits that include zero and all drops, with a minimum range."""
    largest = max(float(np.abs(drops).max()), _MIN_SCALE)
    return min(float(drops.min()), 0) - 0.08 * largest, max(float(drops.max()), 0) + 0.12 * largest
