"""``emovox listen``: follow the emotion live, from a microphone or a file."""

import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.options import (
    ChannelOption,
    MinConfidenceOption,
    ModelOption,
    VadOption,
)
from emovox.cli.terminal import echo, echo_json
from emovox.recognition.results import Prediction

if TYPE_CHECKING:
    from types import FrameType

    import numpy as np
    import numpy.typing as npt

    from emovox.recognition.stream import StreamUpdate

CHUNK_S = 0.1

Chunks = Iterator["npt.NDArray[np.float32]"]


class ListenFormat(StrEnum):
    """Output formats of live recognition."""

    TABLE = "table"
    JSONL = "jsonl"


def listen(
    file: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="Play a recording instead of a microphone."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Process the recording as fast as possible.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME|N",
            help="Microphone: its number, or a part of its name. Default: the system's.",
        ),
    ] = None,
    output: Annotated[
        ListenFormat,
        typer.Option(
            "--format",
            case_sensitive=False,
            help="table: live in a terminal, otherwise a row for each segment. jsonl: every update "
            "and segment, for programs.",
        ),
    ] = ListenFormat.TABLE,
    hop_s: Annotated[
        float,
        typer.Option("--hop", metavar="SECONDS", min=0.1, max=10, help="Time between updates."),
    ] = 0.5,
    model: ModelOption = None,
    min_confidence: MinConfidenceOption = None,
    vad: VadOption = True,
    channel: ChannelOption = "mix",
) -> None:
    """Follow the emotion in what a microphone records, live.

    Shows the level, the emotion of who is speaking, and the segments that have ended. Ctrl-C ends
    it with a summary. Nothing is written to disk, and nothing is sent anywhere.
    """
    from emovox.recognition.recognizer import Recognizer
    from emovox.recognition.stream import StreamingRecognizer

    if fast and file is None:
        raise typer.BadParameter("--fast needs --from FILE: a microphone is as fast as it is")
    if device is not None and file is not None:
        raise typer.BadParameter("--device and --from exclude each other: name one source")
    recognizer = Recognizer.load(model, vad=vad, min_confidence=min_confidence)
    summary = Summary()
    with ExitStack() as stack:
        if file is None:
            name, rate_hz, chunks = stack.enter_context(open_device(device))
        else:
            name, rate_hz, chunks = stack.enter_context(open_file(file, fast=fast))
        stream = StreamingRecognizer(recognizer, rate_hz, channel=channel, hop_s=hop_s)
        show = stack.enter_context(open_output(output, name, recognizer.info.labels))

        def take(results: "list[StreamUpdate | Prediction]") -> None:
            for result in results:
                summary.add(result)
                show(result)

        stop = stack.enter_context(stop_on_interrupt())
        for chunk in chunks:
            take(stream.push(chunk))
            if stop.is_set():
                break
        take(stream.finish())
    if output is ListenFormat.TABLE:
        echo(summary.describe())


@contextmanager
def stop_on_interrupt() -> Iterator[Event]:
    """Yield an event that the first Ctrl-C sets; the second one interrupts as usual."""
    stop = Event()

    def handle(number: int, frame: "FrameType | None") -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def open_device(device: str | None) -> Iterator[tuple[str, int, Chunks]]:
    """Open a microphone: its name, its rate, and its chunks; say what was lost."""
    from emovox.audio.microphone import open_microphone

    wanted = int(device) if device is not None and device.isdecimal() else device
    with open_microphone(wanted) as microphone:
        yield microphone.name, microphone.rate_hz, microphone.iterate()
    if microphone.lost_s:
        echo(
            f"emovox: {microphone.lost_s:.1f} s of sound were lost: this computer is too slow",
            err=True,
        )


@contextmanager
def open_file(file: str, *, fast: bool) -> Iterator[tuple[str, int, Chunks]]:
    """Open a recording: its name, its rate, and its chunks, as a microphone would give them."""
    from emovox.audio.recording import open_recording
    from emovox.recognition.timeline import MAX_TIMELINE_S

    with open_recording(file, max_duration_s=MAX_TIMELINE_S) as recording:
        rate_hz = next(recording.decode()).rate_hz
        n_samples = max(1, round(CHUNK_S * rate_hz))

        def cut() -> Chunks:
            due_s = time.monotonic()
            for block in recording.decode():
                for start in range(0, len(block.samples), n_samples):
                    chunk = block.samples[start : start + n_samples]
                    due_s += len(chunk) / rate_hz
                    if not fast:
                        time.sleep(max(0.0, due_s - time.monotonic()))
                    yield chunk

        yield file, rate_hz, cut()


@contextmanager
def open_output(
    output: ListenFormat, name: str, labels: tuple[str, ...]
) -> Iterator["partial[None]"]:
    """Yield what shows a result: live in a terminal, otherwise line by line."""
    if output is ListenFormat.JSONL:
        yield partial(print_json)
        return
    if not sys.stdout.isatty():
        yield partial(print_segment, max(10, *map(len, labels)))
        return
    from rich.live import Live

    from emovox.cli.live_view import LiveView
    from emovox.cli.predict import make_console

    view = LiveView(name, labels)
    with Live(view, console=make_console(), refresh_per_second=8):
        yield partial(view.add)


def print_json(result: "StreamUpdate | Prediction") -> None:
    """Print an update or a segment as one line of JSON."""
    kind = "segment" if isinstance(result, Prediction) else "update"
    echo_json({"type": kind, **result.to_dict()}, indent=None)
    sys.stdout.flush()


def print_segment(width: int, result: "StreamUpdate | Prediction") -> None:
    """Print a segment as a row; updates are for terminals."""
    from emovox.cli.live_view import format_segment

    if isinstance(result, Prediction):
        echo(format_segment(result, width))
        sys.stdout.flush()


class Summary:
    """How long each emotion lasted."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, result: "StreamUpdate | Prediction") -> None:
        """Count a segment."""
        if isinstance(result, Prediction):
            label = result.emotion or result.abstained or ""
            self._seconds[label] += result.end_s - result.start_s

    def describe(self) -> str:
        """Return one line: the duration, and the time of each emotion."""
        speech = {k: s for k, s in self._seconds.items() if k != "no speech"}
        if not speech:
            return f"{sum(self._seconds.values()):.1f} s, no speech detected"
        ranked = sorted(speech, key=lambda label: -speech[label])
        shares = ", ".join(f"{label} {speech[label]:.1f} s" for label in ranked)
        total_s = sum(self._seconds.values())
        return f"{total_s:.1f} s, of which {sum(speech.values()):.1f} s are speech: {shares}"
