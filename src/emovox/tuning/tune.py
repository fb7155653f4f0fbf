"""Tune a recipe: run the study, and write its trials, its page and the winner."""

import json
from pathlib import Path

from emovox.corpora.folds import Protocol
from emovox.experiments.jobs import Workers
from emovox.files import name_folder, write_text
from emovox.recipes.recipe import Recipe
from emovox.training.features import FeatureCache
from emovox.tuning.objective import Objective, take_inner_folds
from emovox.tuning.page import write_page
from emovox.tuning.storage import name_sqlite
from emovox.tuning.study import StudySettings, TuneWatcher, check_space, run_study
from emovox.tuning.trials import Tuning

STUDY_NAME = "study.db"
TRIALS_NAME = "trials.json"
PAGE_NAME = "tune.html"
WINNER_NAME = "winner.toml"


def tune_recipe(
    recipe: Recipe,
    protocol: Protocol,
    folder: Path | None = None,
    *,
    settings: StudySettings | None = None,
    out: Path | None = None,
    features: FeatureCache | None = None,
    jobs: int = 1,
    watcher: TuneWatcher | None = None,
) -> Tuning:
    """Search a recipe's space for better settings, scored on validation clips.

    Test clips are not used. Finished trials are kept: the same call continues an interrupted study,
    and ends with the same trials. No file is written before all settings are checked.

    Args:
        recipe: Recipe to tune; its ``tune.space`` is the search space.
        protocol: Protocol whose training and validation clips are used.
        folder: Output folder for ``trials.json``, ``tune.html`` and ``winner.toml``; ``None`` for
            a folder below ``runs`` named after the study.
        settings: Settings of the study; ``None`` for 40 trials scored by UA over all folds.
        out: Path of the winner, instead of ``winner.toml``.
        features: Cache of features, shared with other trainings.
        jobs: Number of trainings of a trial at the same time, each in a process with one thread.
        watcher: Receives progress updates.

    Returns:
        All trials, best first, and the importance of each setting.

    Raises:
        RecipeError: The recipe has no search space.
        ProtocolError: A fold is unknown or has no validation clips.
        RunError: The storage cannot be reached, or holds another study of this name.
        AudioError: A recording cannot be used.
    """
    settings = settings or StudySettings()
    check_space(recipe)
    folds = take_inner_folds(protocol, settings.folds)
    objective = Objective(folds, settings.metric, settings.n_seeds)
    name = name_study(recipe, protocol, settings)
    folder = folder or find_study_folder(name)
    with Workers(jobs, features or FeatureCache(jobs)) as workers:
        tuning = run_study(
            recipe,
            f"{protocol.name} v{protocol.version}",
            objective,
            name=name,
            storage=choose_storage(settings, folder),
            n_trials=settings.n_trials,
            workers=workers,
            watcher=watcher or TuneWatcher(),
        )
    write_trials(folder / TRIALS_NAME, tuning)
    write_page(folder / PAGE_NAME, tuning)
    winner = tuning.make_winner()
    if winner is not None:
        write_text(out or folder / WINNER_NAME, winner.to_toml())
    return tuning


def name_study(recipe: Recipe, protocol: Protocol, settings: StudySettings) -> str:
    """Return the name of a search's study."""
    return settings.name or name_folder(f"tune-{recipe.name}-{protocol.name}")


def choose_storage(settings: StudySettings, folder: Path) -> str:
    """Return the URL of a search's database; create the folder if it is a file there."""
    if settings.storage is not None:
        return settings.storage
    folder.mkdir(parents=True, exist_ok=True)
    return name_sqlite(folder / STUDY_NAME)


def find_study_folder(name: str) -> Path:
    """Return the default output folder of a search."""
    return Path("runs") / name_folder(name)


def write_trials(path: Path, tuning: Tuning) -> None:
    """Write a study's trials as JSON."""
    write_text(path, json.dumps(tuning.to_dict(), indent=2) + "\n")
