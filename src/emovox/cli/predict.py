"""``emovox predict``: predict the emotion of recordings."""

import csv
import os
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emovox.cli.interrupts import raise_lost_interrupt
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
from emovox.cli.speakers import Adapt, find_speakers, load_voice, predict_adapted
from emovox.cli.terminal import echo, echo_json, path_to_text
from emovox.recognition.results import (
    ADAPTED,
    NOT_ADAPTED,
    FileFailure,
    Prediction,
    list_cells,
    name_runner_up,
)
from emovox.wording import make_printable

if TYPE_CHECKING:
    from rich.console import Console

    from emovox.audio.raw import RawFormat
    from emovox.recognition.recognizer import Recognizer

STDIN = "-"
CSV_COLUMNS = (
    "file start_s end_s emotion confidence abstained channel notes error_code error".split()
)
LABEL_STYLES = {
    None: "bold green",
    "uncertain": "yellow",
    "too short": "yellow",
    "no speech": "dim",
}

Results = Iterable[Prediction | FileFailure]


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE|FOLDER|-...", help="Recordings, folders, or - for stdin."),
    ],
    output: Annotated[
        Format, typer.Option("--format", case_sensitive=False, help="Output format.")
    ] = Format.TABLE,
    model: ModelOption = None,
    voice: VoiceOption = None,
    adapt: Annotated[
        Adapt | None,
        typer.Option(
            "--adapt",
            case_sensitive=False,
            help="Adapt to recordings of the same speaker: all of a folder, or of each subfolder, "
            "or of each speaker in a CSV list with the columns file and speaker.",
        ),
    ] = None,
    min_confidence: MinConfidenceOption = None,
    vad: VadOption = True,
    max_duration_s: MaxDurationOption = 300,
    channel: EachChannelOption = "mix",
    track: TrackOption = None,
    raw_rate_hz: RawRateOption = None,
    raw_encoding: RawFormatOption = None,
    raw_channels: RawChannelsOption = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Files processed in parallel.")
    ] = 1,
) -> None:
    """Predict the emotion of recordings, with confidence and runner-up.

    A file that cannot be used is reported on stderr, and has an error and its code in JSON and CSV
    output. The other files are still processed, and the exit status is then 1.
    """
    from emovox.recognition.recognizer import Recognizer

    raw = make_raw_format(raw_rate_hz, raw_encoding, raw_channels)
    recognizer = Recognizer.load(
        model, vad=vad, min_confidence=min_confidence, max_duration_s=max_duration_s
    )
    if adapt is not None and (voice is not None or STDIN in sources):
        raise typer.BadParameter("--adapt goes with files and folders, without --voice")
    speakers: list[str] = []
    if adapt is None:
        found = list(find_sources(sources))
    else:
        found, speakers = find_speakers(sources, adapt, find_sources)
    # Rows printed to the terminal one by one show the progress themselves; only table rows can be
    # printed above a bar.
    to_terminal = sys.stdout.isatty()
    console = make_console() if to_terminal and output is Format.TABLE else None
    has_bar = sys.stderr.isatty() and (console or not to_terminal or output is Format.JSON)
    options: dict[str, Any] = {"jobs": jobs, "channel": channel, "track": track, "raw": raw}
    if adapt is None:
        options["voice"] = load_voice(voice)
        results = predict_sources(recognizer, found, options)
    else:
        results = predict_adapted(recognizer, found, speakers, options)
    if has_bar:
        results = show_progress(results, len(found), console)
    failures: list[FileFailure] = []
    with closing(results):
        write(output, report_problems(results, failures), recognizer.info.labels, console)
    if failures:
        raise typer.Exit(1)


def report_problems(
    results: Results, failures: list[FileFailure]
) -> Iterator[Prediction | FileFailure]:
    """Yield results; report each failure, and each note about a recording once, on stderr."""
    file, reported, of_speakers = None, set[str](), set[str]()
    for result in results:
        raise_lost_interrupt()
        if isinstance(result, FileFailure):
            failures.append(result)
            echo(f"emovox: {result.error}", err=True)
        else:
            if result.file != file:
                file, reported = result.file, set()
            for note in dict.fromkeys(result.notes):
                if note.startswith((ADAPTED, NOT_ADAPTED)):
                    if note not in of_speakers:
                        echo(f"emovox: note: {note}", err=True)
                    of_speakers.add(note)
                elif note not in reported:
                    echo(f"emovox: {result.file or STDIN}: note: {note}", err=True)
            reported.update(result.notes)
        yield result


def make_raw_format(
    rate_hz: int | None, encoding: str | None, channels: int | None
) -> "RawFormat | None":
    """Return the format of samples without a header, if any option names it."""
    if rate_hz is None:
        if encoding is not None or channels is not None:
            raise typer.BadParameter("--raw-format and --raw-channels also need --raw-rate")
        return None
    from emovox.audio.raw import RawFormat

    return RawFormat(rate_hz, encoding or "s16le", 1 if channels is None else channels)


def find_sources(sources: list[str]) -> Iterator[Any]:
    """Yield the recordings named by the arguments, or failures; report skipped files."""
    from emovox.audio.folders import list_audio_files
    from emovox.errors import AudioError

    for source in sources:
        if source == STDIN:
            yield sys.stdin.buffer
        elif not os.path.isdir(source):
            yield source
        else:
            passed_over: Counter[str] = Counter()
            try:
                yield from list_audio_files(source, passed_over)
            except AudioError as error:
                yield FileFailure(source, str(error), error.code, error.detail)
            if passed_over:
                kinds = [f"{n} {end or 'without suffix'}" for end, n in passed_over.most_common()]
                files = f"{passed_over.total()} other file{'s' * (passed_over.total() > 1)}"
                text = f"emovox: {source}: {files} skipped ({', '.join(kinds)})"
                echo(text, err=True)


def predict_sources(
    recognizer: "Recognizer", sources: Iterable[Any], options: dict[str, Any]
) -> Generator[Prediction | FileFailure, None, None]:
    """Predict recordings, and pass earlier failures through, in the given order."""
    for failed, group in groupby(sources, key=lambda source: isinstance(source, FileFailure)):
        if failed:
            yield from group
        else:
            yield from recognizer.predict_many(group, **options)


def make_console() -> "Console":
    """Return a console for the terminal; rich is imported only here."""
    from rich.console import Console

    return Console(highlight=False, markup=False)


def show_progress(
    results: Results, n_sources: int, console: "Console | None"
) -> Generator[Prediction | FileFailure, None, None]:
    """Yield results while drawing a progress bar on the table's console, or on stderr."""
    from emovox.cli.progress import ProgressBars

    with ProgressBars("predict", console) as bars:
        bars.start_bar("recordings", n_sources)
        for result in results:
            bars.end_clip()
            yield result


def write(
    output: Format, results: Results, labels: tuple[str, ...], console: "Console | None"
) -> None:
    """Print results; tables, JSON Lines and CSV are printed line by line as they arrive."""
    if output is Format.TABLE:
        write_table(results, labels, console)
    elif output is Format.JSON:
        echo_json([name_readably(result.to_dict()) for result in results])
    elif output is Format.JSONL:
        for result in results:
            echo_json(name_readably(result.to_dict()), indent=None)
    else:
        write_csv(results, labels)


def write_table(results: Results, labels: tuple[str, ...], console: "Console | None") -> None:
    """Print a line per recording: label, confidence, runner-up, file; coloured on a console."""
    width = max(10, *map(len, labels))
    head = f"{'emotion':<{width}} {'confidence':>10}  {'runner-up':<{width + 6}} "
    for at, p in enumerate(r for r in results if isinstance(r, Prediction)):
        if at == 0:
            print_row(console, head, "file", "bold")
        label = f"{p.emotion or p.abstained:<{width}} "
        confidence, second = "-", "-"
        if p.scores is not None:
            confidence = f"{p.confidence:.3f}"
            second = name_runner_up(p)
        cells = f"{label}{confidence:>10}  {second:<{width + 6}} "
        style = LABEL_STYLES[p.abstained]
        name = (p.file or STDIN) + (f" (channel {p.channel})" if p.channel else "")
        print_row(console, cells, name, style, len(label))


def print_row(
    console: "Console | None", cells: str, name: str, style: str, n_styled: int | None = None
) -> None:
    """Print a row: uncoloured to a pipe; coloured and fitted to the width on a console."""
    if console is None:
        echo(cells + name)
        return
    cells, name = make_printable(cells), make_printable(name)
    from rich.cells import cell_len
    from rich.text import Text

    # Shorten at the start: the end of a path is more informative.
    while len(name) > 9 and cell_len(cells + name) > console.width:
        name = "…" + name[2:]
    text = Text(cells + name)
    text.stylize(style, 0, n_styled)
    console.print(text, soft_wrap=True)


def write_csv(results: Results, labels: tuple[str, ...]) -> None:
    """Print CSV with a column per emotion; failures are rows with an error code and message."""
    columns = [*CSV_COLUMNS, *labels]
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writerow({column: make_printable(column) for column in columns})
    for result in results:
        cells = name_readably(list_cells(result), sys.stdout.encoding).items()
        writer.writerow({k: make_printable(v) if isinstance(v, str) else v for k, v in cells})
        sys.stdout.flush()


def name_readably(cells: dict[str, Any], encoding: str = "utf-8") -> dict[str, Any]:
    """Return a result in which a program can read the name of the file."""
    return {**cells, "file": cells["file"] and path_to_text(cells["file"], encoding)}
