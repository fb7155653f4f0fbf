"""``emovox explain``: which regions of a recording drove the prediction."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.options import ChannelOption, ScoreFormat, ScoreFormatOption, TrackOption
from emovox.cli.terminal import echo, echo_json, path_to_text
from emovox.wording import make_printable

if TYPE_CHECKING:
    from emovox.explain.regions import Explanation, Region

STDIN = "-"


def explain(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="A recording, or - for stdin.")],
    output: ScoreFormatOption = ScoreFormat.TABLE,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FILE", help="A model.onnx. Default: the bundled model."),
    ] = None,
    emotion: Annotated[
        str | None,
        typer.Option(
            "--emotion", metavar="NAME", help="Emotion to explain. Default: the most probable."
        ),
    ] = None,
    channel: ChannelOption = "mix",
    track: TrackOption = None,
    vad: Annotated[
        bool,
        typer.Option(" /--no-vad", help="Skip speech detection."),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Save the map as .svg, or as .html with a player."
        ),
    ] = None,
) -> None:
    """Show which regions of time and frequency drove the prediction.

    Each region is reduced to the background level of the recording, one at a time, and the model is
    run again: the fall in probability is the importance of the region.
    """
    from emovox.explain.page import check_suffix, write_explanation
    from emovox.explain.regions import explain_waveform, load_speech
    from emovox.recognition.recognizer import Recognizer

    if out is not None:
        check_suffix(out)
    recognizer = Recognizer.load(model, vad=vad)
    opened = sys.stdin.buffer if source == STDIN else source
    waveform = load_speech(recognizer, opened, channel=channel, track=track)
    explanation = explain_waveform(recognizer, waveform, emotion=emotion)
    if out is not None:
        write_explanation(out, explanation, waveform, make_printable(Path(source).name))
    if output is ScoreFormat.JSON:
        echo_json({"file": path_to_text(source), **explanation.to_dict()})
    else:
        print_regions(source, recognizer.info.name, explanation)


def print_regions(source: str, model_name: str, explanation: "Explanation") -> None:
    """Print the most important regions."""
    emotion = explanation.emotion
    echo(f"{source}: {emotion}, probability {explanation.probability:.0%} ({model_name})")
    echo(f"without the region, the probability of {emotion} falls (+) or rises (-) by:")
    print_block("cells", explanation.find_regions())
    print_block("stretches, all frequencies", explanation.find_stretches())
    print_block("bands, all the time", explanation.find_bands())


def print_block(title: str, regions: "tuple[Region, ...]") -> None:
    """Print a title and one line per region."""
    echo()
    echo(title)
    for region in regions:
        echo(f"  {region}")
    if not regions:
        echo("  no region changes it by one point or more")
