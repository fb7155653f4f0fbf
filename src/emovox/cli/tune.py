"""``emovox tune``: search a recipe's space, scored on validation speakers alone."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emovox.cli.options import (
    DataOption,
    ScoreFormat,
    ScoreFormatOption,
    SetOption,
    ThreadsOption,
)

if TYPE_CHECKING:
    from emovox.tuning.trials import Tuning


def tune(
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", metavar="NAME|FILE", help="What to tune; its [tune.space] says where."
        ),
    ],
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="Whose validation clips score. Default: the recipe's.",
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            "--trials", metavar="N", min=1, help="Finished trials in the end, earlier ones counted."
        ),
    ] = 40,
    changes: SetOption = None,
    metric: Annotated[
        str, typer.Option("--metric", metavar="ua|log-loss", help="What is measured.")
    ] = "ua",
    folds: Annotated[
        list[str] | None,
        typer.Option("--fold", metavar="NAME", help="Only this fold, e.g. 01. May be repeated."),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Trainings of each fold.")
    ] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="Database of the study, e.g. postgresql://HOST/DATABASE; several workers may "
            "share it. Default: study.db in the study's folder.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="NAME",
            help="Name of the study, and of its folder below runs. Default: tune-RECIPE-PROTOCOL.",
        ),
    ] = None,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Recipe of the winner. Default: winner.toml in the folder.",
        ),
    ] = None,
    output: ScoreFormatOption = ScoreFormat.TABLE,
    threads: ThreadsOption = None,
) -> None:
    """Search a recipe's space for better settings; test clips take no part.

    Ctrl-C keeps all finished trials: the same command goes on, and ends with the same trials. The
    winner's score is the best of many and flatters it: test it once, by emovox train.
    """
    from emovox.cli.tune_progress import TuneProgress
    from emovox.experiments.folds import load_protocol
    from emovox.experiments.train_and_test import set_threads
    from emovox.files import name_folder, write_text
    from emovox.recipes.recipe import load_recipe
    from emovox.tuning.objective import Metric
    from emovox.tuning.page import write_page
    from emovox.tuning.storage import name_sqlite
    from emovox.tuning.study import StudySettings, tune_recipe

    if metric not in list(Metric):
        raise typer.BadParameter(f"{metric!r}; expected {' or '.join(Metric)}")
    chosen = load_recipe(
        recipe, [*(changes or []), *([f"data.protocol={protocol!r}"] if protocol else [])]
    )
    set_threads(threads)
    split = load_protocol(chosen, data)
    for note in split.notes:
        typer.echo(f"emovox: {note}", err=True)
    name = study or name_folder(f"tune-{chosen.name}-{split.name}")
    folder = Path("runs") / name_folder(name)
    settings = StudySettings(
        name=name,
        storage=storage or name_sqlite(folder / "study.db"),
        metric=Metric(metric),
        n_seeds=seeds,
        folds=tuple(folds or ()),
    )
    with TuneProgress(name) as watcher:
        tuning = tune_recipe(chosen, split, settings, trials, watcher=watcher)
    write_text(folder / "trials.json", json.dumps(tuning.to_dict(), indent=2) + "\n")
    write_page(folder / "tune.html", tuning)
    winner, path = tuning.make_winner(), out or folder / "winner.toml"
    if winner is not None:
        write_text(path, winner.to_toml())
    if output is ScoreFormat.JSON:
        content: dict[str, Any] = {**tuning.to_dict(), "folder": str(folder)}
        typer.echo(
            json.dumps({**content, "winner_recipe": str(path) if winner else None}, indent=2)
        )
        return
    print_tuning(tuning)
    typer.echo(f"study: {folder / 'tune.html'}")
    if winner is not None:
        typer.echo(f"winner: {path}; test it once: emovox train --recipe {path}")


def print_tuning(tuning: "Tuning") -> None:
    """Print the trials, best first, and what mattered."""
    from emovox.tuning.page import describe_winner, format_value, shorten_keys

    typer.echo(tuning.describe_basis())
    keys = list(tuning.recipe.tune.space)
    short = shorten_keys(keys)
    typer.echo("  ".join([f"{'trial':>5}", f"{tuning.metric.label:>8}", *short, "note"]))
    for trial in tuning.trials:
        cells = [
            f"{format_value(trial.settings.get(key, '')):>{len(name)}}"
            for key, name in zip(keys, short, strict=True)
        ]
        score = "" if math.isnan(trial.score) else tuning.metric.show(trial.score)
        note = "the recipe as it is" if trial.as_is else ""
        if not trial.whole:
            note = trial.problem or f"given up after {len(trial.scores)}"
        typer.echo("  ".join([f"{trial.number:>5}", f"{score:>8}", *cells, note]).rstrip())
    if tuning.importance:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in tuning.importance.items())
        typer.echo(f"importance: {shares}")
    for line in describe_winner(tuning):
        typer.echo(line)
