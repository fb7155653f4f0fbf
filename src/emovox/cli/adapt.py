"""``emovox adapt``: a head for your own labels, from a few labelled clips."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import DataOption, ScoreFormat, ScoreFormatOption, VadOption
from emovox.cli.paragraphs import echo_wrapped
from emovox.cli.terminal import echo, echo_json
from emovox.recognition.named_models import DEFAULT_MODEL


def adapt(
    corpus: Annotated[
        str,
        typer.Option(
            "--corpus",
            metavar="NAME|PATH",
            help="Labelled recordings, five or more of each label: a CSV list, or a folder with "
            "one subfolder per class.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The model file to write.")
    ] = Path("adapted.onnx"),
    base: Annotated[
        str,
        typer.Option("--base", metavar="FILE|NAME", help="The model to start from."),
    ] = DEFAULT_MODEL,
    data: DataOption = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Clips processed in parallel.")
    ] = 1,
    vad: VadOption = True,
    output: ScoreFormatOption = ScoreFormat.TABLE,
) -> None:
    """Adapt a model to your own recordings and labels, from five labelled clips per label.

    Base and adapted model are scored on speakers that are left out in turn, or on clips if there is
    one speaker or speakers are unknown. The result says so if adaptation does not help.
    """
    from emovox.adapt.adapt import adapt_model
    from emovox.cli.progress import ProgressBars
    from emovox.wording import count

    with ProgressBars("adapt") as bars:
        found = adapt_model(corpus, out, base=base, data=data, jobs=jobs, vad=vad, watcher=bars)
    for name, reason in found.unusable:
        echo(f"emovox: {name}: left out: {reason}", err=True)
    if output is ScoreFormat.JSON:
        echo_json(
            {
                "file": str(found.path),
                "labels": list(found.info.labels),
                "clips": found.n_clips,
                "speakers": found.n_speakers,
                "left_out": "speakers" if found.by_speaker else "clips",
                "unknown_labels": list(found.unknown_labels),
                "is_better": found.is_better,
                **{
                    key: {"value": score.value, "low": score.low, "high": score.high}
                    for key, score in (
                        ("base_uar", found.base),
                        ("adapted_uar", found.adapted),
                        ("gain", found.gain),
                    )
                },
            }
        )
        return
    speakers = f" of {count(found.n_speakers, 'speaker')}" if found.n_speakers else ""
    left_out = "speakers" if found.by_speaker else "clips"
    echo(f"UAR on {left_out} left out, {count(found.n_clips, 'clip')}{speakers}")
    echo(f"  base      {found.base}")
    echo(f"  adapted   {found.adapted}")
    echo(f"  gain      {found.gain}")
    if found.unknown_labels:
        echo_wrapped(
            f"The base model never predicts {', '.join(found.unknown_labels)}, which it was not "
            "trained on."
        )
    if not found.by_speaker:
        echo_wrapped("Clips of a speaker resemble each other: on other speakers, expect less.")
    if found.gain.value <= 0:
        echo_wrapped("The adapted model is not better: use the base model, or label more clips.")
    elif not found.is_better:
        echo_wrapped(
            "The gain may be chance: its interval includes 0. Label more clips to be certain."
        )
    echo_wrapped(f"{found.path}: {', '.join(found.info.labels)}")
