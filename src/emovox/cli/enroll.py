"""``emovox enroll``: learn a voice."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import (
    MaxDurationOption,
    ModelOption,
    RawChannelsOption,
    RawFormatOption,
    RawRateOption,
    TrackOption,
    VadOption,
)
from emovox.cli.paragraphs import echo_wrapped
from emovox.cli.predict import find_sources, make_raw_format


def enroll(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE|FOLDER...", help="Recordings of one speaker, 3 s or more."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The voice file to write.")],
    any_emotion: Annotated[
        bool,
        typer.Option(
            "--any-emotion",
            help="The recordings hold several emotions, not only neutral speech.",
        ),
    ] = False,
    model: ModelOption = None,
    vad: VadOption = True,
    max_duration_s: MaxDurationOption = 300,
    channel: Annotated[
        str,
        typer.Option(
            "--channel", metavar="CHANNEL", help="mix, left, right or the number of a channel."
        ),
    ] = "mix",
    track: TrackOption = None,
    raw_rate_hz: RawRateOption = None,
    raw_encoding: RawFormatOption = None,
    raw_channels: RawChannelsOption = None,
) -> None:
    """Learn a voice from neutral speech of one speaker through one microphone.

    'emovox predict --voice' then predicts other recordings relative to it. The file holds no audio,
    but it describes a voice: treat it as personal data.
    """
    from emovox.errors import EmovoxError
    from emovox.recognition.enroll import weigh_voice
    from emovox.recognition.recognizer import Recognizer
    from emovox.recognition.results import FileFailure
    from emovox.wording import count

    raw = make_raw_format(raw_rate_hz, raw_encoding, raw_channels)
    recognizer = Recognizer.load(model, vad=vad, max_duration_s=max_duration_s)
    found = list(find_sources(sources))
    for source in found:
        if isinstance(source, FileFailure):
            raise EmovoxError(source.error, code=source.code)
    voice = recognizer.enroll(found, neutral=not any_emotion, channel=channel, track=track, raw=raw)
    voice.save(out)
    share = weigh_voice(recognizer, voice)
    echo_wrapped(
        f"{out}: {voice.speech_s:.1f} s of speech in {count(voice.recordings, 'recording')}, "
        f"which count {100 * share:.0f}%. It holds no audio, and fits only the model "
        f"{recognizer.info.name} ({voice.model[:12]})."
    )
