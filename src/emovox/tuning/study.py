"""Run a study: trials of settings drawn from a recipe's search space."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from emovox.errors import RecipeError
from emovox.experiments.jobs import Workers
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe, change_settings
from emovox.recipes.search_space import Axis
from emovox.tuning.objective import Metric, Objective
from emovox.tuning.sampling import NumberedSampler, StepMedianPruner
from emovox.tuning.storage import open_storage, open_study
from emovox.tuning.trials import (
    FINISHED,
    PROBLEM,
    SCORES,
    Trial,
    Tuning,
    find_settings,
    gather_trials,
    gather_tuning,
    read_value,
)

N_COMPLETE_TRIALS = 5
"""Number of complete trials required before any is pruned."""


class TuneWatcher(Watcher):
    """Receives progress updates of trials too; the command line's shows progress bars."""

    def start_trial(self, number: int, n_trials: int) -> None:
        """A trial begins."""

    def end_fold(self) -> None:
        """One training of the trial is scored."""

    def end_trial(self, trial: Trial, best: Trial) -> None:
        """A trial is finished; ``best`` is the best so far."""


@dataclass(frozen=True, slots=True)
class StudySettings:
    """Settings of a search, apart from its recipe and protocol.

    Attributes:
        name: Name of the study in the storage; ``None`` for ``tune-RECIPE-PROTOCOL``.
        storage: URL of the database; ``None`` for ``study.db`` in the search's folder.
        metric: Metric on validation clips.
        n_seeds: Trainings per fold, with consecutive seeds starting at the recipe's.
        folds: Names of the protocol's folds to use; empty for all.
        n_trials: Total number of finished trials, including earlier ones.
    """

    name: str | None = None
    storage: str | None = None
    metric: Metric = Metric.UA
    n_seeds: int = 1
    folds: tuple[str, ...] = ()
    n_trials: int = 40


def run_study(
    recipe: Recipe,
    protocol: str,
    objective: Objective,
    *,
    name: str,
    storage: str,
    n_trials: int,
    workers: Workers,
    watcher: TuneWatcher,
) -> Tuning:
    """Run trials until a study has the requested number of finished ones.

    The same recipe, clips and seed give the same trials for any number of processes, even after an
    interruption, unless other commands work on the same study.

    Args:
        recipe: Recipe to tune; its ``tune.space`` is the search space.
        protocol: Description of the source of the objective's clips.
        objective: Objective function of the trials.
        name: Name of the study.
        storage: URL of the study's database.
        n_trials: Total number of finished trials, including earlier ones.
        workers: Processes that run the trainings of a trial, with the cache of features.
        watcher: Receives progress updates.

    Returns:
        All trials, best first, and the importance of each setting.

    Raises:
        RecipeError: The recipe has no search space.
        RunError: The storage cannot be reached, or holds another study of this name.
        AudioError: A recording cannot be used.
    """
    check_space(recipe)
    # Optuna logs every trial, and a traceback after Ctrl-C; the watcher reports what matters.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = open_study(
        open_storage(storage),
        name,
        describe_study(recipe, protocol, objective),
        maximize=objective.metric.rises,
    )
    study.sampler = NumberedSampler(recipe.seed, choose_first(recipe))
    # After fewer trainings, the mean depends mostly on the first fold.
    study.pruner = StepMedianPruner(N_COMPLETE_TRIALS, max(2, objective.n_trainings // 3))
    run_trials(study, recipe, objective, n_trials, workers, watcher)
    return gather_tuning(study, recipe, protocol, objective)


def check_space(recipe: Recipe) -> None:
    """Refuse a recipe without a search space."""
    if not recipe.tune.space:
        raise RecipeError(
            f"recipe {recipe.name!r} has no search space; add a section [tune.space] "
            'with lines such as "training.learning_rate" = { low = 1e-4, high = 1e-2, log = true }'
        )


def describe_study(recipe: Recipe, protocol: str, objective: Objective) -> dict[str, str]:
    """Return everything that the trials of a study depend on, by name."""
    clips = hashlib.sha256()
    for fold in objective.folds:
        for role in (fold.train, fold.validation):
            clips.update(f"{fold.name} {[clip.name for clip in role]}".encode())
    space = {key: axis.model_dump(mode="json") for key, axis in recipe.tune.space.items()}
    values = recipe.model_dump(mode="json", exclude={"tune", "description"})
    return {
        "recipe": json.dumps(values, sort_keys=True),
        "space": json.dumps(space, sort_keys=True),
        "protocol": protocol,
        "choice of folds": ",".join(fold.name for fold in objective.folds),
        "set of clips": clips.hexdigest(),
        "metric": objective.metric.value,
        "number of seeds": str(objective.n_seeds),
    }


def run_trials(
    study: optuna.Study,
    recipe: Recipe,
    objective: Objective,
    n_trials: int,
    workers: Workers,
    watcher: TuneWatcher,
) -> None:
    """Run trials until enough are finished, counting those of all workers."""

    def run_trial(trial: optuna.Trial) -> float:
        drawn = {key: draw_value(trial, key, axis) for key, axis in recipe.tune.space.items()}
        watcher.start_trial(trial.number, n_trials)
        scores: list[float] = []
        try:
            tried = change_settings(recipe, drawn)
            objective.store_features(tried, workers.context, watcher)
            # Scores count in the order of the trainings, so pruning does not depend on their speed.
            for score in workers.run_in_order(objective.list_jobs(tried), watcher):
                if isinstance(score, RecipeError):
                    raise score
                scores.append(score)
                trial.set_user_attr(SCORES, scores)
                trial.report(sum(scores) / len(scores), len(scores) - 1)
                watcher.end_fold()
                if len(scores) < objective.n_trainings and trial.should_prune():
                    raise optuna.TrialPruned
        except RecipeError as error:
            # The settings are incompatible, or the loss diverged.
            trial.set_user_attr(PROBLEM, str(error))
            raise optuna.TrialPruned from None
        return sum(scores) / len(scores)

    def tell(study: optuna.Study, frozen: FrozenTrial) -> None:
        if frozen.state in FINISHED:
            trials = gather_trials(study, recipe, objective.metric)
            trial = next(t for t in trials if t.number == frozen.number)
            watcher.end_trial(trial, trials[0])

    while len(study.get_trials(deepcopy=False, states=FINISHED)) < n_trials:
        study.optimize(run_trial, n_trials=1, callbacks=[tell])


def draw_value(trial: optuna.Trial, key: str, axis: Axis) -> Any:
    """Draw one setting's value for a trial."""
    if axis.choices is not None:
        # As JSON, because a choice may be a list.
        drawn = trial.suggest_categorical(key, [json.dumps(choice) for choice in axis.choices])
        return read_value(axis, drawn)
    low, high = axis.list_extremes()
    if axis.is_integer():
        return trial.suggest_int(key, low, high, log=axis.log, step=int(axis.step or 1))
    return read_value(axis, trial.suggest_float(key, low, high, log=axis.log, step=axis.step))


def choose_first(recipe: Recipe) -> Mapping[str, Any]:
    """Return the unchanged recipe's settings, or nothing if they are outside the space."""
    space, found = recipe.tune.space, find_settings(recipe)
    if not all(axis.holds(found[key]) for key, axis in space.items()):
        return {}
    return {
        key: found[key] if axis.choices is None else json.dumps(found[key])
        for key, axis in space.items()
    }
