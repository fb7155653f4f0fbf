"""``emovox train``: train and test a recipe under a protocol."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.check import echo_check
from emovox.cli.options import (
    CorpusOption,
    DataOption,
    JobsOption,
    SetOption,
    SimilarSpeakersOption,
    SplitsOption,
)
from emovox.cli.terminal import echo
from emovox.cores import count_cores


def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME|FILE",
            help="A bundled recipe, or a .toml file. Default: vanilla.",
        ),
    ] = None,
    changes: SetOption = None,
    corpora: CorpusOption = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="Evaluation protocol. Default: the recipe's, or one that suits the corpus.",
        ),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option("--split", metavar="FILE", help="Custom split: a CSV file of clip,fold,role."),
    ] = None,
    allow_speaker_overlap: Annotated[
        bool,
        typer.Option(
            "--allow-speaker-overlap",
            help="Allow a custom split, or two corpora, with speakers in both training and test.",
        ),
    ] = False,
    allow_similar_speakers: SimilarSpeakersOption = False,
    splits: SplitsOption = None,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="Run folder. Default: runs/RECIPE-PROTOCOL."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    jobs: JobsOption = None,
) -> None:
    """Train and test a recipe; write weights, model file, predictions, scores and a report.

    After Ctrl-C or a crash, run the same command with --resume. It produces the same bytes, and
    repeats at most a few seconds of work, or the current epoch if epochs are longer.
    """
    from emovox.cli.progress import ProgressBars
    from emovox.experiments.folds import load_protocol, name_protocol
    from emovox.experiments.train_and_test import run_experiment
    from emovox.files import name_folder
    from emovox.recipes.recipe import format_change, load_recipe

    changes = [
        *(changes or []),
        *([format_change("data.protocol", protocol)] if protocol else []),
        *([format_change("data.corpora", corpora)] if corpora else []),
    ]
    if recipe is None and resume and out is not None:
        recipe = str(out / "recipe.toml")
    chosen = load_recipe(recipe or "vanilla", changes)
    with ProgressBars(chosen.name) as watcher:
        folds = load_protocol(
            chosen,
            data,
            n_splits=splits,
            split=split,
            allow_speaker_overlap=allow_speaker_overlap,
            allow_similar_speakers=allow_similar_speakers,
            may_choose=not any("data.protocol" in change for change in changes),
            watcher=watcher,
        )
    if split is None:
        chosen = name_protocol(chosen, folds)
    echo_check(folds)
    folder = out or Path("runs") / name_folder(f"{chosen.name}-{folds.name}")
    with ProgressBars(chosen.name) as watcher:
        run = run_experiment(
            chosen, folds, folder, resume=resume, jobs=jobs or count_cores(), watcher=watcher
        )
    if run.evaluation is not None:
        for line in run.evaluation.describe():
            echo(line)
    else:
        echo(describe_untested(folder))
    echo(f"run folder: {folder}")


def describe_untested(folder: Path) -> str:
    """Describe the calibration of a model that was trained on all clips, without a test."""
    from emovox.corpora.clips import describe_speakers
    from emovox.runs.folder import CALIBRATION_NAME
    from emovox.runs.scores import read_calibration

    found = read_calibration(folder / CALIBRATION_NAME)
    if not found.n_clips:
        return "nothing tested; not calibrated: too few clips to hold any out"
    return (
        f"nothing tested; temperature {found.temperature:.3g}, fitted on "
        f"{found.n_clips:,} clips of {describe_speakers(found.n_speakers)}, held out for this"
    )
