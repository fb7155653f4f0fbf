"""``emovox timeline``: the emotion through recordings of any length."""

import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emovox.cli.options import (
    EachChannelOption,
    Format,
    MaxDurationOption,
    MinConfidenceOption,
    ModelOption,
    RawChannelsOption,
    RawFormatOption,
    RawRateOption,
    TrackOption,
    VadOption,
    VoiceOption,
)
from emovox.cli.predict import (
    LABEL_STYLES,
    STDIN,
    Results,
    find_sources,
    make_console,
    make_raw_format,
    print_row,
    report_problems,
    write,
)
from emovox.cli.speakers import load_voice
from emovox.cli.terminal import echo
from emovox.recognition.results import FileFailure, Prediction, name_runner_up
from emovox.wording import make_printable

if TYPE_CHECKING:
    from rich.console import Console

    from emovox.recognition.model_file import ModelInfo
    from emovox.recognition.recognizer import Recognizer


class TimelineFormat(StrEnum):
    """Output formats of timelines."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    SRT = "srt"
    VTT = "vtt"
    RTTM = "rttm"
    TEXTGRID = "textgrid"
    AUDFORMAT = "audformat"


SUFFIXES = {"srt": ".srt", "vtt": ".vtt", "rttm": ".rttm", "textgrid": ".TextGrid"}


def timeline(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE|FOLDER|-...", help="Recordings, folders, or - for stdin."),
    ],
    output: Annotated[
        TimelineFormat, typer.Option("--format", case_sensitive=False, help="Output format.")
    ] = TimelineFormat.TABLE,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Write srt, vtt, rttm or textgrid files, one for each recording, or an audformat "
            "database into this folder.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write a page of one recording, with a player; it opens offline.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Also draw one recording, as a .png or an .svg."
        ),
    ] = None,
    unmerged: Annotated[
        bool,
        typer.Option(
            "--unmerged", help="A prediction for each second of speech, not merged to segments."
        ),
    ] = False,
    model: ModelOption = None,
    voice: VoiceOption = None,
    min_confidence: MinConfidenceOption = None,
    vad: VadOption = True,
    max_duration_s: MaxDurationOption = 86_400,
    channel: EachChannelOption = "mix",
    track: TrackOption = None,
    raw_rate_hz: RawRateOption = None,
    raw_encoding: RawFormatOption = None,
    raw_channels: RawChannelsOption = None,
) -> None:
    """Follow the emotion through recordings of any length.

    Prints segments, from the start of a recording to its end: an emotion with its confidence,
    "uncertain", "too short" or "no speech".
    """
    from emovox.recognition.recognizer import Recognizer
    from emovox.recognition.timeline import merge_segments

    options = {
        "channel": channel,
        "track": track,
        "raw": make_raw_format(raw_rate_hz, raw_encoding, raw_channels),
        "max_duration_s": max_duration_s,
    }
    found = list(find_sources(sources))
    check_outputs(output, out, html, plot, found)
    recognizer = Recognizer.load(model, vad=vad, min_confidence=min_confidence)
    recognizer = recognizer.with_voice(load_voice(voice))
    if html or plot:
        # Read once: the recording is processed twice.
        found = [source.read() if source is sys.stdin.buffer else source for source in found]
    results = iterate_timelines(recognizer, found, options, merge=not (unmerged or html or plot))
    hops: list[Prediction] = []
    if html or plot:
        hops, failed = collect(results)
        results = iter([*(hops if unmerged else merge_segments(hops)), *failed])
    failures: list[FileFailure] = []
    write_timelines(output, report_problems(results, failures), recognizer.info, out)
    if failures:
        raise typer.Exit(1)
    if html or plot:
        draw(recognizer, found[0], hops, options, html, plot)


def check_outputs(
    output: TimelineFormat, out: Path | None, html: Path | None, plot: Path | None, found: list[Any]
) -> None:
    """Refuse combinations that cannot be written, before any computation."""
    files = [*SUFFIXES, TimelineFormat.AUDFORMAT]
    if out is not None and output not in files:
        raise typer.BadParameter(f"--out needs --format {', '.join(files)}")
    if output is TimelineFormat.AUDFORMAT and out is None:
        raise typer.BadParameter("--format audformat needs --out FOLDER: a database is two files")
    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise typer.BadParameter(f"--plot {plot}: expected a .png or an .svg")
    if len(found) == 1:
        return
    if html or plot:
        raise typer.BadParameter(f"--html and --plot take one recording, found {len(found)}")
    if output in ("srt", "vtt", "textgrid") and out is None:
        raise typer.BadParameter(
            f"--format {output} describes one recording, found {len(found)}; add --out FOLDER to "
            "write a file for each"
        )
    stems = [Path(source).stem for source in found if isinstance(source, str | Path)]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if output in SUFFIXES and out is not None and twice:
        raise typer.BadParameter(
            f"--out: several recordings are named {twice[0]}, and their files would be too; "
            "write them into different folders"
        )


def iterate_timelines(
    recognizer: "Recognizer", sources: Iterable[Any], options: dict[str, Any], *, merge: bool
) -> Iterator[Prediction | FileFailure]:
    """Yield the timeline of each recording in turn, or how far it got and then the failure."""
    from emovox.recognition.failures import describe_failure

    for source in sources:
        if isinstance(source, FileFailure):
            yield source
            continue
        try:
            yield from recognizer.timeline(source, merge=merge, **options)
        except Exception as error:  # one recording must not stop the others
            yield describe_failure(source, error)


def collect(results: Results) -> tuple[list[Prediction], list[FileFailure]]:
    """Return all predictions, and all failures."""
    everything = list(results)
    return (
        [result for result in everything if isinstance(result, Prediction)],
        [result for result in everything if isinstance(result, FileFailure)],
    )


def write_timelines(
    output: TimelineFormat, results: Results, info: "ModelInfo", out: Path | None
) -> None:
    """Print timelines as they arrive, or write files of them."""
    from emovox.files import write_text
    from emovox.timeline.formats import format_timeline, write_audformat

    if output is TimelineFormat.TABLE:
        write_table(results, info.labels, make_console() if sys.stdout.isatty() else None)
    elif output.value in [known.value for known in Format]:
        write(Format(output.value), results, info.labels, None)
    elif output is TimelineFormat.AUDFORMAT and out is not None:
        write_audformat(out, collect(results)[0], info.labels, info.name)
    else:
        for file, found in groupby(results, key=lambda result: result.file):
            segments, failed = collect(found)
            if failed:  # a file holds all of a timeline, or there is none
                continue
            text = format_timeline(segments, output)
            if out is not None:
                write_text(out / (Path(file or "stdin").stem + SUFFIXES[output]), text)
            else:
                for line in text.splitlines():
                    echo(line)


def write_table(results: Results, labels: tuple[str, ...], console: "Console | None") -> None:
    """Print a line per segment below the name of the recording: times, label, runner-up."""
    from emovox.timeline.formats import format_time

    width = max(10, *map(len, labels))
    head = f"{'start':>10} {'end':>10}  {'emotion':<{width}} {'confidence':>10}  runner-up"
    shown = None
    for p in (result for result in results if isinstance(result, Prediction)):
        if shown != (p.file, p.channel):
            name = (p.file or STDIN) + (f" (channel {p.channel})" if p.channel else "")
            print_row(console, "", name, "bold")
            print_row(console, head, "", "dim", len(head))
            shown = p.file, p.channel
        confidence, second = "-", "-"
        if p.scores is not None:
            confidence = f"{p.confidence:.3f}"
            second = name_runner_up(p)
        times = f"{format_time(p.start_s):>10} {format_time(p.end_s):>10}  "
        label = f"{p.emotion or p.abstained:<{width}}"
        cells = f"{times}{label} {confidence:>10}  {second}"
        print_row(console, cells, "", LABEL_STYLES[p.abstained], len(times + label))


def draw(
    recognizer: "Recognizer",
    source: Any,
    hops: list[Prediction],
    options: dict[str, Any],
    html: Path | None,
    plot: Path | None,
) -> None:
    """Write the page and the figure of a timeline."""
    from emovox.timeline.media import make_timeline_media

    media = make_timeline_media(
        recognizer, source, hops[-1].end_s, with_audio=html is not None, **options
    )
    name = make_printable(Path(hops[0].file).name if hops[0].file else STDIN)
    if html is not None:
        from emovox.timeline.page import write_timeline_page

        write_timeline_page(html, hops, media, recognizer.info, name)
    if plot is not None:
        from emovox.timeline.plot import plot_timeline

        plot_timeline(plot, hops, media, recognizer.info.labels, name)
