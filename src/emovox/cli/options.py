"""Options shared by several commands."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """Output formats of predictions."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class ScoreFormat(StrEnum):
    """Output formats of scores."""

    TABLE = "table"
    JSON = "json"


class TableFormat(StrEnum):
    """Output formats of result tables."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE|NAME",
        help="A model.onnx, or the name of one beside the release. Default: the bundled model.",
    ),
]
VoiceOption = Annotated[
    Path | None,
    typer.Option(
        "--voice",
        metavar="FILE",
        help="The speaker's voice, from 'emovox enroll': predictions are relative to it.",
    ),
]
MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        metavar="SHARE",
        min=0,
        max=1,
        help="Predictions below this confidence are 'uncertain'; 0 disables this. "
        "Default: the threshold in the model file.",
    ),
]
VadOption = Annotated[
    bool,
    typer.Option(
        " /--no-vad",
        help="Skip speech detection: noise and music are assigned an emotion too.",
    ),
]
RawRateOption = Annotated[
    int | None,
    typer.Option(
        "--raw-rate", metavar="HZ", help="Sampling rate of files of samples without a header."
    ),
]
RawFormatOption = Annotated[
    str | None,
    typer.Option(
        "--raw-format",
        metavar="NAME",
        help="Their sample format: s16le (default), s16be, s8, u8, s24le, s32le, f32le, f64le, "
        "mulaw, alaw or vox.",
    ),
]
RawChannelsOption = Annotated[
    int | None,
    typer.Option("--raw-channels", metavar="N", help="Their number of channels; default 1."),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Folder of the corpora. Default: EMOVOX_DATA, otherwise the folder used by 'emovox "
        "data fetch'.",
    ),
]
ChannelOption = Annotated[
    str,
    typer.Option(
        "--channel",
        metavar="NAME|N",
        help="mix (all channels that hold speech), left, right, or the number of a channel.",
    ),
]
EachChannelOption = Annotated[
    str,
    typer.Option(
        "--channel",
        metavar="NAME|N",
        help="mix (all channels that hold speech), left, right, the number of a channel, or each: "
        "every channel separately.",
    ),
]
MaxDurationOption = Annotated[
    float,
    typer.Option(
        "--max-duration", metavar="SECONDS", min=0.1, help="Maximum duration of a recording."
    ),
]
TrackOption = Annotated[
    int | None,
    typer.Option(
        "--track",
        metavar="N",
        min=1,
        help="Number of the audio track. Default: the default track, or the first with speech.",
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
ScoreFormatOption = Annotated[
    ScoreFormat, typer.Option("--format", case_sensitive=False, help="Output format.")
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        min=1,
        help="Number of jobs at the same time, each on one core. Default: one for each core. "
        "Results do not depend on it.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one setting of the recipe, e.g. training.optimizer=adam. Repeatable.",
    ),
]
CorpusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        metavar="NAME|PATH",
        help="Training corpus: a known corpus, a list or a folder. Repeatable: the protocol splits "
        "the first corpus, the others are used for training only. Default: the recipe's.",
    ),
]
SimilarSpeakersOption = Annotated[
    bool,
    typer.Option(
        "--allow-similar-speakers",
        help="Treat speakers whose names differ only in case, zeros or blanks (EB0 and eb0, 1 and "
        "01) as different people.",
    ),
]
SplitsOption = Annotated[
    int | None,
    typer.Option(
        "--splits", min=1, metavar="N", help="Run only the first N folds, for a quick look."
    ),
]
