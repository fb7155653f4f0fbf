"""A study: trials of settings drawn from a recipe's space, until there are enough."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from emovox.corpora.protocols import Protocol
from emovox.errors import RecipeError
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe, change_settings
from emovox.recipes.search_space import Axis
from emovox.training.features import FeatureCache, name_features
from emovox.tuning.objective import Metric, Objective, take_inner_folds
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

N_WHOLE_TRIALS = 5
"""Trials that have to be whole before one is given up."""


class TuneWatcher(Watcher):
    """Hears of trials too."""

    def start_trial(self, number: int, n_trials: int, n_trainings: int) -> None:
        """A trial of at most so many trainings begins."""

    def start_trainings(self) -> None:
        """All clips are there: the trainings begin."""

    def end_fold(self) -> None:
        """One of its trainings is scored."""

    def end_trial(self, trial: Trial, best: Trial) -> None:
        """A trial is done; ``best`` is the best so far."""


@dataclass(frozen=True, slots=True)
class StudySettings:
    """What a study is, beside its recipe and protocol.

    Attributes:
        name: Its name in the storage.
        storage: URL of the database.
        metric: What is measured on validation clips.
        n_seeds: Trainings of each fold, from the recipe's seed on.
        folds: Only these folds of the protocol; empty: all of them.
    """

    name: str
    storage: str
    metric: Metric = Metric.UA
    n_seeds: int = 1
    folds: tuple[str, ...] = ()


def tune_recipe(
    recipe: Recipe,
    protocol: Protocol,
    settings: StudySettings,
    n_trials: int,
    *,
    features: FeatureCache | None = None,
    watcher: TuneWatcher | None = None,
) -> Tuning:
    """Search a recipe's space until a study has so many finished trials.

    The test clips of the protocol take no part. The same recipe, clips, number of threads and
    seed give the same trials, also when the study was interrupted, as long as one worker runs it.

    Args:
        recipe: What to tune; its ``tune.space`` says where to look.
        protocol: Its training and validation clips are used.
        settings: The study.
        n_trials: Finished trials in the end, those that are there already included.
        features: What other studies computed already, and kept for the next.
        watcher: Hears of the progress.

    Returns:
        All trials, best first, and what they show.

    Raises:
        RecipeError: The recipe declares no space.
        ProtocolError: A fold has no validation clips.
        RunError: The storage cannot be reached, or holds another study of this name.
        AudioError: A recording cannot be used.

    Example:
        >>> settings = StudySettings("mine", "sqlite:///mine.db")
        >>> tune_recipe(recipe, protocol, settings, 40).winner.score  # doctest: +SKIP
        0.712
    """
    if not recipe.tune.space:
        raise RecipeError(
            f"recipe {recipe.name!r} does not say where to look; give it a section [tune.space] "
            'with lines such as "training.learning_rate" = { low = 1e-4, high = 1e-2, log = true }'
        )
    watcher = watcher or TuneWatcher()
    folds = take_inner_folds(protocol, settings.folds)
    objective = Objective(folds, settings.metric, settings.n_seeds, features or FeatureCache())
    # Optuna logs every trial, and a traceback after Ctrl-C; the watcher tells what matters.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = open_study(
        open_storage(settings.storage),
        settings.name,
        describe_study(recipe, protocol, objective),
        maximize=settings.metric.rises,
    )
    study.sampler = NumberedSampler(recipe.seed, choose_first(recipe))
    # With fewer trainings behind it, a mean is mostly the luck of its first fold.
    study.pruner = StepMedianPruner(N_WHOLE_TRIALS, max(2, objective.n_trainings // 3))
    run_trials(study, recipe, objective, n_trials, watcher)
    return gather_tuning(study, recipe, protocol, objective)


def describe_study(recipe: Recipe, protocol: Protocol, objective: Objective) -> dict[str, str]:
    """Name what the trials of a study depend on."""
    clips = hashlib.sha256()
    for fold in objective.folds:
        for role in (fold.train, fold.validation):
            clips.update(f"{fold.name} {[clip.name for clip in role]}".encode())
    space = {key: axis.model_dump(mode="json") for key, axis in recipe.tune.space.items()}
    values = recipe.model_dump(mode="json", exclude={"tune", "description"})
    return {
        "recipe": json.dumps(values, sort_keys=True),
        "space": json.dumps(space, sort_keys=True),
        "protocol": f"{protocol.name} v{protocol.version}",
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
    watcher: TuneWatcher,
) -> None:
    """Run trials until so many are finished, by whichever worker."""

    def run_trial(trial: optuna.Trial) -> float:
        drawn = {key: draw_value(trial, key, axis) for key, axis in recipe.tune.space.items()}
        watcher.start_trial(trial.number, n_trials, objective.n_trainings)
        scores: list[float] = []
        try:
            tried = change_settings(recipe, drawn)
            n_unknown = objective.count_unknown(tried)
            if n_unknown:
                watcher.start_clips(name_features(tried), n_unknown)
                objective.load(tried, watcher.end_clip)
                watcher.start_trainings()
            for training in range(objective.n_trainings):
                scores.append(objective.score(tried, training))
                trial.set_user_attr(SCORES, scores)
                trial.report(sum(scores) / len(scores), training)
                watcher.end_fold()
                if training + 1 < objective.n_trainings and trial.should_prune():
                    raise optuna.TrialPruned
        except RecipeError as error:
            # Settings that do not go together, or a loss beyond all numbers: the worst there is.
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
        # As JSON, for a choice may be a list.
        drawn = trial.suggest_categorical(key, [json.dumps(choice) for choice in axis.choices])
        return read_value(axis, drawn)
    low, high = axis.list_extremes()
    if axis.is_integer():
        return trial.suggest_int(key, low, high, log=axis.log, step=int(axis.step or 1))
    return read_value(axis, trial.suggest_float(key, low, high, log=axis.log, step=axis.step))


def choose_first(recipe: Recipe) -> Mapping[str, Any]:
    """Return what makes the first trial the recipe as it is, or nothing if the space lacks that."""
    space, found = recipe.tune.space, find_settings(recipe)
    if not all(axis.holds(found[key]) for key, axis in space.items()):
        return {}
    return {
        key: found[key] if axis.choices is None else json.dumps(found[key])
        for key, axis in space.items()
    }
