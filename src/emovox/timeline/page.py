"""A page of one timeline: player, waveform, spans, probabilities, and the same as a table."""

import base64
import hashlib
import math
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

import numpy as np

from emovox.files import write_text
from emovox.pages.media import to_data_uri
from emovox.recognition.model_file import ModelInfo
from emovox.recognition.results import Prediction, name_runner_up
from emovox.recognition.timeline import merge_segments
from emovox.timeline.formats import format_time, label_segment
from emovox.timeline.media import TimelineMedia, choose_colours
from emovox.wording import count

_TEMPLATES = Path(__file__).with_name("templates")
_KINDS = {"uncertain": "uncertain", "too short": "short", "no speech": "silent"}
_DARK_COLOURS = ("#0072b2",)
_CLOSEST_S = 20.0
"""What the closest zoom shows, about."""


def write_timeline_page(
    path: Path, hops: Sequence[Prediction], media: TimelineMedia, info: ModelInfo, name: str
) -> None:
    """Write a page that plays one recording and shows its timeline; it opens offline.

    Args:
        path: The HTML file, written atomically: about 20 MB for each hour of speech.
        hops: Predictions of ``Recognizer.timeline`` with ``merge=False``, of one or all channels.
        media: The sound and the waveform.
        info: The model.
        name: Name of the recording.

    Raises:
        EmovoxError: The file cannot be written.
    """
    colours = choose_colours(info.labels)
    duration_s = hops[-1].end_s
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    by_channel = [list(group) for _, group in groupby(hops, key=lambda hop: hop.channel)]
    segments = [list(merge_segments(group)) for group in by_channel]
    rows = [
        _draw_spans(found, duration_s, colours) + _draw_probabilities(group, duration_s, colours)
        for found, group in zip(segments, by_channel, strict=True)
    ]
    table = sorted((s for found in segments for s in found), key=lambda s: s.start_s)
    several = len(segments) > 1
    page = Template((_TEMPLATES / "page.html").read_text(encoding="utf-8"))
    text = page.substitute(
        name=escape(name),
        summary=escape(summarize(table)),
        script=script,
        script_hash=f"sha256-{digest}",
        audio_uri=to_data_uri("audio/mpeg", media.audio),
        max_zoom=max(1, math.ceil(math.log2(max(duration_s / _CLOSEST_S, 1)))),
        duration_s=f"{duration_s:.3f}",
        columns=len(media.envelope),
        wave=_draw_wave(media),
        rows="\n".join(rows),
        legend="".join(
            f'<li style="--colour: {colour}"><i></i>{escape(label)}</li>'
            for label, colour in colours.items()
        ),
        channel_head='<th scope="col">channel</th>' if several else "",
        table="\n".join(_fill_row(segment, colours, several) for segment in table),
        model=escape(info.name),
    )
    write_text(path, text)


def summarize(segments: Sequence[Prediction]) -> str:
    """Return in one sentence how long each emotion lasts.

    Examples:
        >>> summarize([Prediction("a.wav", 0, 3, "sad", 0.7, {"sad": 0.7})])
        '0:00:03 in 1 segment, 0:00:03 of speech: sad 100%.'
    """
    end_s = max(s.end_s for s in segments)
    lasts_s: dict[str, float] = {}
    for s in segments:
        if s.scores is not None:
            lasts_s[label_segment(s)] = lasts_s.get(label_segment(s), 0) + s.end_s - s.start_s
    speech_s = sum(lasts_s.values())
    ranked = sorted(lasts_s, key=lambda label: -lasts_s[label])
    shares = ", ".join(f"{label} {lasts_s[label] / speech_s:.0%}" for label in ranked)
    speech = f"{format_time(speech_s)[:-2]} of speech: {shares}" if shares else "no speech"
    return f"{format_time(end_s)[:-2]} in {count(len(segments), 'segment')}, {speech}."


def _draw_wave(media: TimelineMedia) -> str:
    """Return the waveform as an SVG path: the envelope, mirrored."""
    points = [f"{at} {height:.3f}" for at, height in enumerate(media.envelope.tolist())]
    mirrored = [f"{at} {-height:.3f}" for at, height in enumerate(media.envelope.tolist())]
    return "M" + "L".join(points + mirrored[::-1]) + "Z"


def _draw_spans(segments: Sequence[Prediction], duration_s: float, colours: dict[str, str]) -> str:
    """Return one channel's segments as buttons, placed in percent of the duration."""
    buttons = []
    for s in segments:
        label = label_segment(s) if s.scores else ""
        text = escape(_describe(s))
        kind = _KINDS.get(s.abstained or "", "")
        colour = _style(s, colours)
        place = (
            f"left: {100 * s.start_s / duration_s:.4f}%; "
            f"width: {100 * (s.end_s - s.start_s) / duration_s:.4f}%"
        )
        buttons.append(
            f'<button type="button" tabindex="-1" class="{kind}" style="{place}; {colour}" '
            f'title="{text}" data-start="{s.start_s:.3f}" data-end="{s.end_s:.3f}" '
            f'data-text="{text}">{escape(label)}</button>'
        )
    return f'<div class="spans">{"".join(buttons)}</div>'


def _draw_probabilities(
    hops: Sequence[Prediction], duration_s: float, colours: dict[str, str]
) -> str:
    """Return one channel's probabilities as stacked steps."""
    paths: dict[str, list[str]] = {label: [] for label in colours}
    for hop in hops:
        if hop.scores is None:
            continue
        tops = np.cumsum(list(hop.scores.values())).tolist()
        for label, low, high in zip(colours, [0.0, *tops], tops, strict=False):
            paths[label].append(
                f"M{hop.start_s:.3f} {1 - low:.4f}H{hop.end_s:.3f}V{1 - high:.4f}"
                f"H{hop.start_s:.3f}Z"
            )
    drawn = "".join(
        f'<path fill="{colours[label]}" d="{"".join(parts)}"/>' for label, parts in paths.items()
    )
    return (
        f'<svg class="probabilities" viewBox="0 0 {duration_s:.3f} 1" preserveAspectRatio="none" '
        f'shape-rendering="crispEdges">{drawn}</svg>'
    )


def _fill_row(segment: Prediction, colours: dict[str, str], several: bool) -> str:
    """Return a row of the table."""
    s = segment
    times = f'data-start="{s.start_s:.3f}" data-end="{s.end_s:.3f}"'
    label = escape(label_segment(s))
    confidence = "" if s.confidence is None else f"{s.confidence:.0%}"
    kind = _KINDS.get(s.abstained or "", "")
    return (
        f"<tr{'' if s.emotion else ' class=none'} {times}>"
        f'<td><button type="button">{format_time(s.start_s)}</button></td>'
        f"<td>{format_time(s.end_s)}</td>"
        f'<td class="number">{s.end_s - s.start_s:.1f}</td>'
        + (f"<td>{s.channel}</td>" if several else "")
        + f'<td style="{_style(s, colours)}"><i class="{kind}"></i>'
        + f"{f'<b>{label}</b>' if s.emotion else label}</td>"
        f'<td class="number">{confidence}</td>'
        f"<td>{escape(name_runner_up(s)) if s.scores else ''}</td></tr>"
    )


def _style(segment: Prediction, colours: dict[str, str]) -> str:
    """Return the colour of a segment, and of the text on it, as CSS."""
    if segment.emotion is None:
        return ""
    colour = colours[segment.emotion]
    return f"--colour: {colour}; --text: {'#ffffff' if colour in _DARK_COLOURS else '#16191e'}"


def _describe(segment: Prediction) -> str:
    """Return the label with times and confidence."""
    channel = f"channel {segment.channel}: " if segment.channel else ""
    confidence = "" if segment.confidence is None else f", {segment.confidence:.0%}"
    times = f"{format_time(segment.start_s)}–{format_time(segment.end_s)}"
    return f"{channel}{label_segment(segment)}{confidence} ({times})"
