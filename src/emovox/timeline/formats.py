"""Write timelines in the formats of subtitles, diarization, phonetics and audformat.

Each function takes segments as ``Recognizer.timeline`` yields them, and returns the text of a file.
Times are rounded to milliseconds, so that segments still follow each other without gaps.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path, PurePath

from emovox.errors import EmovoxError
from emovox.files import write_text
from emovox.recognition.results import Prediction
from emovox.wording import make_printable

STDIN = "stdin"
"""Name of a recording without a file, in formats that need one."""


def format_timeline(segments: Iterable[Prediction], output: str) -> str:
    """Write a timeline in a format of other programs.

    Args:
        segments: Segments of ``Recognizer.timeline``. RTTM takes those of any number of recordings,
            the other formats those of one.
        output: ``srt`` (SubRip subtitles), ``vtt`` (WebVTT), ``rttm`` (diarization, NIST) or
            ``textgrid`` (Praat).

    Returns:
        The content of the file.

    Raises:
        EmovoxError: There is no such format, or it cannot hold these segments.

    Examples:
        >>> print(format_timeline([Prediction("a.wav", 0, 1.5, "sad", 0.7, {"sad": 0.7})], "rttm"))
        SPEAKER a 1 0.000 1.500 <NA> <NA> sad 0.700 <NA>
        <BLANKLINE>
    """
    if output not in _WRITERS:
        raise EmovoxError(
            f"the format is {output!r}; expected one of {', '.join(_WRITERS)}",
            code="setting.invalid",
        )
    # What is shorter than a millisecond has no place in these formats.
    segments = [s for s in segments if _ms(s.start_s) < _ms(s.end_s)]
    if output != "rttm" and len(names := dict.fromkeys(s.file for s in segments)) > 1:
        raise EmovoxError(
            f"found segments of {len(names)} recordings; expected one, since a {output} file "
            "describes one: write a file for each",
            code="setting.invalid",
        )
    return _WRITERS[output](segments)


def label_segment(segment: Prediction) -> str:
    """Return the emotion, or why there is none."""
    return make_printable(segment.emotion or segment.abstained or "")


def format_time(time_s: float) -> str:
    """Return a time as hours, minutes and seconds.

    Examples:
        >>> format_time(3_725.04)
        '1:02:05.0'
    """
    minutes, tenths = divmod(round(10 * time_s), 600)
    return f"{minutes // 60}:{minutes % 60:02}:{tenths / 10:04.1f}"


def to_srt(segments: Sequence[Prediction]) -> str:
    """Return SubRip subtitles (https://www.loc.gov/preservation/digital/formats/fdd/fdd000569)."""
    cues = (
        f"{number}\n{_clock(s.start_s, ',')} --> {_clock(s.end_s, ',')}\n{_caption(s)}\n"
        for number, s in enumerate(_by_time(segments), 1)
    )
    return "\n".join(cues)


def to_vtt(segments: Sequence[Prediction]) -> str:
    """Return WebVTT (https://www.w3.org/TR/webvtt1/)."""
    cues = (
        f"\n{_clock(s.start_s, '.')} --> {_clock(s.end_s, '.')}\n"
        # Escaped, as the standard demands, for models whose labels have such characters.
        f"{_caption(s).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}\n"
        for s in _by_time(segments)
    )
    return "WEBVTT\n" + "".join(cues)


def to_rttm(segments: Sequence[Prediction]) -> str:
    """Return Rich Transcription Time Marked lines, without the spans that have no speech.

    The fields are those of the NIST RT-09 meeting evaluation plan, appendix A: the label is in
    place of the speaker's name, followed by the confidence.
    """
    lines = []
    for s in segments:
        if s.scores is not None:
            name = _word(PurePath(s.file or STDIN).stem)
            start_s, duration_s = _ms(s.start_s) / 1000, (_ms(s.end_s) - _ms(s.start_s)) / 1000
            lines.append(
                f"SPEAKER {name} {s.channel or 1} {start_s:.3f} {duration_s:.3f} <NA> <NA> "
                f"{_word(label_segment(s))} {s.confidence:.3f} <NA>\n"
            )
    return "".join(lines)


def to_textgrid(segments: Sequence[Prediction]) -> str:
    """Return a TextGrid (https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html).

    It has one tier, or one for each channel.
    """
    tiers = [(channel, list(group)) for channel, group in groupby(segments, lambda s: s.channel)]
    end = f"{max(_ms(s.end_s) for s in segments) / 1000:.3f}"
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0", f"xmax = {end}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (channel, tier) in enumerate(tiers, 1):
        name = f"emotion channel {channel}" if channel else "emotion"
        lines += [f"    item [{number}]:", '        class = "IntervalTier"']
        lines += [f'        name = "{name}"', "        xmin = 0", f"        xmax = {end}"]
        lines += [f"        intervals: size = {len(tier)}"]
        for at, segment in enumerate(tier, 1):
            text = label_segment(segment).replace('"', '""')
            lines += [
                f"        intervals [{at}]:",
                f"            xmin = {_ms(segment.start_s) / 1000:.3f}",
                f"            xmax = {_ms(segment.end_s) / 1000:.3f}",
                f'            text = "{text}"',
            ]
    return "\n".join([*lines, ""])


_WRITERS: dict[str, Callable[[Sequence[Prediction]], str]] = {
    "srt": to_srt,
    "vtt": to_vtt,
    "rttm": to_rttm,
    "textgrid": to_textgrid,
}


def write_audformat(
    folder: Path, segments: Iterable[Prediction], labels: Sequence[str], model: str
) -> None:
    """Write an audformat database (https://audeering.github.io/audformat) of any recordings.

    Args:
        folder: Gets the header, ``db.yaml``, and a segmented table, ``db.emotion.csv``, with the
            columns ``emotion``, ``confidence``, ``abstained`` and ``channel``.
        segments: Segments of any number of recordings.
        labels: Emotions of the model.
        model: Name of the model.

    Raises:
        EmovoxError: The folder cannot be written.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow("file start end emotion confidence abstained channel".split())
    for s in segments:
        times = (f"0 days {_clock(time_s, '.')}" for time_s in (s.start_s, s.end_s))
        confidence = "" if s.confidence is None else f"{s.confidence:.6f}"
        writer.writerow([s.file or STDIN, *times, s.emotion, confidence, s.abstained, s.channel])
    columns = {
        "emotion": {"scheme_id": "emotion"},
        "confidence": {"scheme_id": "confidence"},
        "abstained": {"scheme_id": "abstained"},
        "channel": {"scheme_id": "channel"},
    }
    header = {
        "name": "emovox-timeline",
        "description": f"Emotions predicted by emovox with the model {model}",
        "source": "emovox",
        "usage": "unrestricted",
        "languages": [],
        "schemes": {
            "emotion": {"dtype": "str", "labels": list(labels)},
            "confidence": {"dtype": "float", "minimum": 0.0, "maximum": 1.0},
            "abstained": {"dtype": "str", "labels": ["no speech", "too short", "uncertain"]},
            "channel": {"dtype": "int", "minimum": 1},
        },
        "tables": {"emotion": {"type": "segmented", "columns": columns}},
    }
    write_text(folder / "db.emotion.csv", table.getvalue())
    # JSON is YAML. The header comes last: without it, there is no database.
    write_text(folder / "db.yaml", json.dumps(header, indent=2, ensure_ascii=False) + "\n")


def _by_time(segments: Sequence[Prediction]) -> list[Prediction]:
    """Return the segments of all channels by time."""
    return sorted(segments, key=lambda s: _ms(s.start_s))


def _caption(segment: Prediction) -> str:
    """Return the text of a subtitle: one line that shows the emotion and the confidence."""
    channel = f"channel {segment.channel}: " if segment.channel else ""
    confidence = "" if segment.confidence is None else f" {segment.confidence:.0%}"
    return f"{channel}{label_segment(segment)}{confidence}"


def _ms(time_s: float) -> int:
    return round(1000 * time_s)


def _clock(time_s: float, separator: str) -> str:
    """Return hours, minutes, seconds and milliseconds."""
    minutes, ms = divmod(_ms(time_s), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{ms // 1000:02}{separator}{ms % 1000:03}"


def _word(text: str) -> str:
    """Return a text as one word of printable characters."""
    return re.sub(r"\s+", "_", make_printable(text)) or "-"
