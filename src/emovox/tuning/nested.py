"""Nested search: score a search's settings on speakers that were not used to choose them.

In cross-validation, the validation speakers of one fold are the test speakers of another. Settings
chosen once over all folds have therefore seen every test speaker, and their test score is
optimistic. Here the settings of each test fold are chosen on its training speakers only (Varma
and Simon 2006, *Bias in error estimation when using cross-validation for model selection*).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from emovox.corpora.folds import Protocol
from emovox.errors import ProtocolError, RunError
from emovox.evaluation.comparison import Comparison
from emovox.evaluation.evaluate import Evaluation
from emovox.experiments.finished import compare_runs, finish_run
from emovox.experiments.jobs import Job, Workers
from emovox.experiments.train_and_test import Experiment, check_encoder, run_experiment_fold
from emovox.files import write_text
from emovox.recipes.recipe import Recipe, change_settings, load_recipe
from emovox.runs.folder import CHOSEN_NAME, find_fold_folder, open_run
from emovox.training.features import FeatureCache
from emovox.tuning.objective import Objective, split_training_speakers, take_inner_folds
from emovox.tuning.study import StudySettings, TuneWatcher, check_space, run_study
from emovox.tuning.trials import Tuning
from emovox.tuning.tune import (
    TRIALS_NAME,
    choose_storage,
    find_study_folder,
    name_study,
    tune_recipe,
    write_trials,
)

NESTED_NAME = "nested"
SHARED_NAME = "shared"

Watch = Callable[[str], AbstractContextManager[TuneWatcher]]


@dataclass(frozen=True, slots=True)
class NestedTuning:
    """Scores of a recipe with settings chosen per test fold, and with settings chosen once.

    Attributes:
        shared: Search over the validation clips of all folds.
        folds: Search of each test fold over its training speakers only, in the folds' order.
        nested_folder: Run folder of the models with settings chosen per fold.
        shared_folder: Run folder of the winner of the shared search, without models.
        nested_score: Test scores of the models in ``nested_folder``.
        shared_score: Scores of the models in ``shared_folder`` on the same clips.
        comparison: Paired comparison, nested minus shared.
    """

    shared: Tuning
    folds: tuple[Tuning, ...]
    nested_folder: Path
    shared_folder: Path
    nested_score: Evaluation
    shared_score: Evaluation
    comparison: Comparison

    def to_dict(self) -> dict[str, Any]:
        """Return scores and chosen settings as JSON-ready types."""
        return {
            "nested_run": str(self.nested_folder),
            "shared_run": str(self.shared_folder),
            "nested": self.nested_score.summary.to_dict(),
            "shared": self.shared_score.summary.to_dict(),
            "comparison": self.comparison.to_dict(),
            "folds": [tuning.to_dict() for tuning in self.folds],
        }


def tune_nested(
    recipe: Recipe,
    protocol: Protocol,
    folder: Path | None = None,
    *,
    settings: StudySettings | None = None,
    out: Path | None = None,
    features: FeatureCache | None = None,
    jobs: int = 1,
    watch: Watch = lambda _: nullcontext(TuneWatcher()),
) -> NestedTuning:
    """Choose settings for each test fold on its training speakers only, and test each fold once.

    For each fold, the recipe's space is searched with inner folds over its training and validation
    speakers (``split_training_speakers``). A model is then trained with the best settings as in
    ``run_experiment``, and the test clips are predicted once. For comparison, ``tune_recipe``
    chooses settings once for all folds, which are tested on the same clips. The same call
    continues an interrupted search.

    Args:
        recipe: Recipe to tune.
        protocol: Speaker-independent protocol with validation clips in each fold.
        folder: Output folder for the files of ``tune_recipe`` and the run folders ``nested`` and
            ``shared``; ``None`` for a folder below ``runs`` named after the study.
        settings: Settings of the search, the same for each test fold.
        out: Path of the shared winner, instead of a file in ``folder``.
        features: Cache of features, shared with other trainings.
        jobs: Number of trainings at the same time, each in a process with one thread.
        watch: Creates a watcher for the search or test of the given name.

    Returns:
        Both scores, their difference, and the chosen settings.

    Raises:
        RecipeError: The recipe has no search space.
        ProtocolError: The protocol is speaker-dependent, or lacks test or validation clips.
        RunError: The storage cannot be used, no trial of a search is complete, or a fold was
            already tested with other settings.
        AudioError: A recording cannot be used.
    """
    settings, features = settings or StudySettings(), features or FeatureCache(jobs)
    check_nested(recipe, protocol, settings)
    inner = [split_training_speakers(fold, protocol.labels) for fold in protocol.folds]
    name = name_study(recipe, protocol, settings)
    folder = folder or find_study_folder(name)
    storage = choose_storage(settings, folder)
    settings = replace(settings, name=name, storage=storage)
    with watch(name) as watcher:
        shared = tune_recipe(
            recipe,
            protocol,
            folder,
            settings=settings,
            out=out,
            features=features,
            jobs=jobs,
            watcher=watcher,
        )
    nested_folder, shared_folder = folder / NESTED_NAME, folder / SHARED_NAME
    tunings = []
    with Workers(jobs, features) as workers:
        for fold, folds in zip(protocol.folds, inner, strict=True):
            source = f"the training speakers of fold {fold.name}, {protocol.name}"
            with watch(f"{name}, fold {fold.name}") as watcher:
                tuning = run_study(
                    recipe,
                    f"{source} v{protocol.version}",
                    Objective(folds, settings.metric, settings.n_seeds),
                    name=f"{name}-nested-{fold.name}",
                    storage=storage,
                    n_trials=settings.n_trials,
                    workers=workers,
                    watcher=watcher,
                )
            tunings.append(tuning)
        with watch(f"{name}, nested") as watcher:
            nested_score = evaluate_choices(
                recipe, protocol, tunings, nested_folder, workers, watcher
            )
        for fold, tuning in zip(protocol.folds, tunings, strict=True):
            fold_folder = find_fold_folder(nested_folder, fold, len(protocol.folds))
            write_trials(fold_folder / TRIALS_NAME, tuning)
        with watch(f"{name}, shared") as watcher:
            shared_score = evaluate_choices(
                recipe,
                protocol,
                [shared] * len(tunings),
                shared_folder,
                workers,
                watcher,
                keep_models=False,
            )
    comparison, _ = compare_runs(nested_folder, shared_folder)
    return NestedTuning(
        shared=shared,
        folds=tuple(tunings),
        nested_folder=nested_folder,
        shared_folder=shared_folder,
        nested_score=nested_score,
        shared_score=shared_score,
        comparison=comparison,
    )


def check_nested(recipe: Recipe, protocol: Protocol, settings: StudySettings) -> None:
    """Refuse recipes and protocols that do not fit a nested search, before writing any file."""
    check_space(recipe)
    if settings.folds:
        raise ProtocolError(
            f"found the folds {', '.join(settings.folds)}; a nested search tests every fold of a "
            "protocol: leave out --fold"
        )
    if not protocol.speaker_independent:
        raise ProtocolError(
            f"{protocol.name} is speaker-dependent: its test speakers are also in training, so "
            "they cannot be kept out of the search; choose a speaker-independent protocol, such as "
            "emobox-6 or loso"
        )
    if not all(fold.test for fold in protocol.folds):
        raise ProtocolError(
            f"{protocol.name} has a fold without test clips; a nested search tests every fold: "
            "choose another protocol, such as emobox-6 or loso"
        )
    take_inner_folds(protocol)
    check_encoder(recipe)


def evaluate_choices(
    recipe: Recipe,
    protocol: Protocol,
    choices: list[Tuning],
    folder: Path,
    workers: Workers,
    watcher: TuneWatcher,
    *,
    keep_models: bool = True,
) -> Evaluation:
    """Train and test each fold with the settings chosen for it, unless it is finished."""
    recipes = [take_winner(tuning) for tuning in choices]
    folders = [find_fold_folder(folder, fold, len(protocol.folds)) for fold in protocol.folds]
    for fold_folder, chosen in zip(folders, recipes, strict=True):
        check_choice(fold_folder / CHOSEN_NAME, chosen)
    kind = folder.name
    described = f"{recipe.name}; the settings of each fold, chosen by a search, in chosen.toml."
    about = {"name": f"{recipe.name[:70]}-{kind}", "description": described}
    run_recipe = change_settings(recipe, about)
    open_run(folder, run_recipe, protocol, resume=True)
    jobs = []
    for fold, fold_folder, chosen in zip(protocol.folds, folders, recipes, strict=True):
        write_text(fold_folder / CHOSEN_NAME, chosen.to_toml())
        part = Experiment(kind, chosen, protocol, folder, keep_models=keep_models)
        jobs.append(Job(kind, partial(run_experiment_fold, part, fold)))
    for _ in workers.run(jobs, watcher):
        pass
    return finish_run(run_recipe, protocol, folder, keep_models=keep_models).scores


def take_winner(tuning: Tuning) -> Recipe:
    """Return the recipe with a search's best settings, under its original name."""
    if tuning.winner is None:
        raise RunError(
            f"study {tuning.study!r}: none of {len(tuning.trials)} trials is complete, so nothing "
            "can be chosen; raise --trials, or narrow [tune.space]"
        )
    return change_settings(tuning.recipe, tuning.winner.settings)


def check_choice(path: Path, chosen: Recipe) -> None:
    """Refuse to test a fold again with other settings, which would select by test score."""
    if path.exists() and load_recipe(path) != chosen:
        raise RunError(
            f"{path} differs from the best settings now, after more trials; a fold is tested once: "
            "continue with the same number of trials, or start another study with --study"
        )
