"""``emovox tune``: search for better settings of a recipe, scored on validation speakers."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emovox.cli.check import echo_check
from emovox.cli.options import (
    DataOption,
    JobsOption,
    ScoreFormat,
    ScoreFormatOption,
    SetOption,
    SimilarSpeakersOption,
)
from emovox.cli.terminal import echo, echo_json
from emovox.cores import count_cores

if TYPE_CHECKING:
    from emovox.tuning.nested import NestedTuning
    from emovox.tuning.trials import Tuning


def tune(
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", metavar="NAME|FILE", help="Recipe to tune, with a [tune.space] section."
        ),
    ],
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="Protocol whose validation clips are scored. Default: the recipe's.",
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            "--trials",
            metavar="N",
            min=1,
            help="Total number of finished trials, including earlier ones.",
        ),
    ] = 40,
    changes: SetOption = None,
    metric: Annotated[
        str, typer.Option("--metric", metavar="ua|log-loss", help="Score to optimise.")
    ] = "ua",
    folds: Annotated[
        list[str] | None,
        typer.Option("--fold", metavar="NAME", help="Use only this fold, e.g. 01. Repeatable."),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Number of trainings per fold.")
    ] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="Database of the study, e.g. postgresql://HOST/DATABASE; can be shared by several "
            "workers. Default: study.db in the folder of the study.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="NAME",
            help="Name of the study and of its folder in runs. Default: tune-RECIPE-PROTOCOL.",
        ),
    ] = None,
    allow_similar_speakers: SimilarSpeakersOption = False,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="File for the best recipe. Default: winner.toml in the folder of the study.",
        ),
    ] = None,
    nested: Annotated[
        bool,
        typer.Option(
            "--nested",
            help="Nested cross-validation: choose the settings for each test fold on its training "
            "speakers only. Estimates the gain of the search on unseen speakers.",
        ),
    ] = False,
    output: ScoreFormatOption = ScoreFormat.TABLE,
    jobs: JobsOption = None,
) -> None:
    """Search for better settings of a recipe. Test clips are not used.

    After Ctrl-C, finished trials are kept: run the same command again to resume, with the same
    result. The score of the winner is optimistic, as the best of many: test it once with emovox
    train. With --nested, each test fold is tested once, with settings chosen on its own training
    speakers.
    """
    from emovox.cli.progress import ProgressBars
    from emovox.cli.tune_progress import TuneProgress
    from emovox.experiments.folds import load_protocol
    from emovox.recipes.recipe import format_change, load_recipe
    from emovox.tuning.nested import tune_nested
    from emovox.tuning.objective import Metric
    from emovox.tuning.study import StudySettings
    from emovox.tuning.tune import (
        PAGE_NAME,
        WINNER_NAME,
        find_study_folder,
        name_study,
        tune_recipe,
    )

    if metric not in list(Metric):
        raise typer.BadParameter(f"{metric!r}; expected {' or '.join(Metric)}")
    named = [format_change("data.protocol", protocol)] if protocol else []
    chosen = load_recipe(recipe, [*(changes or []), *named])
    with ProgressBars(chosen.name) as watcher:
        split = load_protocol(
            chosen, data, allow_similar_speakers=allow_similar_speakers, watcher=watcher
        )
    echo_check(split)
    settings = StudySettings(
        study, storage, Metric(metric), n_seeds=seeds, folds=tuple(folds or ()), n_trials=trials
    )
    name = name_study(chosen, split, settings)
    folder = find_study_folder(name)
    outcome, jobs = None, jobs or count_cores()
    if nested:
        outcome = tune_nested(
            chosen, split, folder, settings=settings, out=out, jobs=jobs, watch=TuneProgress
        )
        tuning = outcome.shared
    else:
        with TuneProgress(name) as watcher:
            tuning = tune_recipe(
                chosen, split, folder, settings=settings, out=out, jobs=jobs, watcher=watcher
            )
    path = (out or folder / WINNER_NAME) if tuning.winner else None
    if output is ScoreFormat.JSON:
        content: dict[str, Any] = {**tuning.to_dict(), "folder": str(folder)}
        content["winner_recipe"] = str(path) if path else None
        if outcome is not None:
            content["nested"] = outcome.to_dict()
        echo_json(content)
        return
    print_tuning(tuning)
    if outcome is not None:
        print_nested(outcome)
    echo(f"study: {folder / PAGE_NAME}")
    if path is not None:
        test = "" if nested else f"; test it once: emovox train --recipe {path}"
        echo(f"winner: {path}{test}")


def print_tuning(tuning: "Tuning") -> None:
    """Print the trials, best first, and the importance of settings."""
    from emovox.tuning.page import describe_winner, format_settings, shorten_keys

    echo(tuning.describe_basis())
    short = shorten_keys(list(tuning.recipe.tune.space))
    echo("  ".join([f"{'trial':>5}", f"{tuning.metric.label:>8}", *short, "note"]))
    for trial in tuning.trials:
        score = "" if math.isnan(trial.score) else tuning.metric.show(trial.score)
        note = "unchanged recipe" if trial.as_is else ""
        if not trial.complete:
            note = trial.problem or f"pruned after {len(trial.scores)}"
        cells = [f"{trial.number:>5}", f"{score:>8}", *format_settings(tuning, trial), note]
        echo("  ".join(cells).rstrip())
    if tuning.importance:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in tuning.importance.items())
        echo(f"importance: {shares}")
    for line in describe_winner(tuning):
        echo(line)


def print_nested(outcome: "NestedTuning") -> None:
    """Print the settings of each test fold, and the scores of nested and shared choice."""
    from emovox.tuning.page import format_settings, shorten_keys

    echo("nested: settings of each test fold, chosen on its own training speakers")
    short = shorten_keys(list(outcome.shared.recipe.tune.space))
    metric = outcome.shared.metric
    echo("  ".join([f"{'fold':>5}", f"{'trial':>5}", f"{metric.label:>8}", *short]))
    for number, tuning in enumerate(outcome.folds, 1):
        winner = tuning.trials[0]
        cells = [f"{number:>5}", f"{winner.number:>5}", f"{metric.show(winner.score):>8}"]
        echo("  ".join([*cells, *format_settings(tuning, winner)]).rstrip())
    echo(f"tested on {outcome.nested_score.describe_basis()}")
    rows = (
        ("nested choice", outcome.nested_score),
        ("one choice over all folds", outcome.shared_score),
    )
    for name, evaluation in rows:
        scores = [
            f"{s.name} {100 * s.value:.1f} "
            f"({100 * s.interval.low:.1f} to {100 * s.interval.high:.1f})"
            for s in evaluation.summary.scores
        ]
        echo(f"{name:<26} {'  '.join(scores)}")
    differences = [
        f"{d.name} {100 * d.value:+.1f} "
        f"({100 * d.interval.low:+.1f} to {100 * d.interval.high:+.1f})"
        for d in outcome.comparison.differences
    ]
    echo(f"{'nested minus one choice':<26} {'  '.join(differences)}")
    echo(f"runs: {outcome.nested_folder}, {outcome.shared_folder}")
