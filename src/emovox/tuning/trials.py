"""Results of a study: its trials, the importance of each setting, and the winning recipe."""

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from emovox.recipes.recipe import Recipe, change_settings
from emovox.recipes.search_space import Axis
from emovox.tuning.objective import Metric, Objective

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
SCORES, PROBLEM = "scores", "problem"
_MIN_TRIALS = 8
"""With fewer complete trials, importance would be noise."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a study.

    Attributes:
        number: Number from 0, in the order of the trials' start.
        complete: Whether all trainings were run; otherwise the trial was pruned.
        score: Mean of ``scores``; NaN if there are none.
        scores: Score of each training; a pruned trial has fewer.
        settings: Settings of the trial, keyed by dotted name.
        as_is: Whether these are the settings of the unchanged recipe.
        seconds: Wall time.
        problem: Why the trial could not be trained, if it failed.
    """

    number: int
    complete: bool
    score: float
    scores: tuple[float, ...]
    settings: Mapping[str, Any]
    as_is: bool
    seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Results of a study's finished trials.

    Attributes:
        study: Name of the study.
        recipe: The tuned recipe, with its search space.
        protocol: Name and version; in a nested search, also the fold of the training speakers.
        folds: Names of the folds whose validation clips were scored.
        n_seeds: Number of trainings per fold.
        n_clips: Number of distinct validation clips.
        n_speakers: Number of validation speakers.
        whole_speakers: Whether no validation speaker is used for training in the same fold.
        metric: Metric on the validation clips.
        trials: Finished trials, best first, pruned ones last.
        importance: Share of the score's variance that each setting explains, largest first;
            empty with too few complete trials.
    """

    study: str
    recipe: Recipe
    protocol: str
    folds: tuple[str, ...]
    n_seeds: int
    n_clips: int
    n_speakers: int
    whole_speakers: bool
    metric: Metric
    trials: tuple[Trial, ...]
    importance: Mapping[str, float]

    @property
    def winner(self) -> Trial | None:
        """The best complete trial, if any."""
        return self.trials[0] if self.trials and self.trials[0].complete else None

    @property
    def start(self) -> Trial | None:
        """The complete trial of the unchanged recipe, if any."""
        return next((t for t in self.trials if t.as_is and t.complete), None)

    def make_winner(self) -> Recipe | None:
        """Return the winner as a recipe, with ``-tuned`` appended to its name."""
        if self.winner is None:
            return None
        name = f"{self.recipe.name.removesuffix('-tuned')[:74]}-tuned"
        description = (
            f"{self.recipe.name}, tuned: trial {self.winner.number} of {len(self.trials)} under "
            f"{self.protocol}, validation {self.metric.label} "
            f"{self.metric.show(self.winner.score)}."
        )
        changes = {**self.winner.settings, "name": name, "description": description}
        return change_settings(self.recipe, changes).model_copy(update={"tune": self.recipe.tune})

    def describe_basis(self) -> str:
        """Describe metric, folds and clips of the scores in one line."""
        several = f" x {self.n_seeds} seeds" if self.n_seeds > 1 else ""
        speakers = "whole speakers" if self.whole_speakers else "speakers that also train"
        return (
            f"validation {self.metric.label}, mean of {len(self.folds)} folds of {self.protocol}"
            f"{several}; {self.n_clips} validation clips of {self.n_speakers} speakers "
            f"({speakers})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready types; a missing score is null."""
        winner = self.winner
        return {
            "study": self.study,
            "recipe": self.recipe.name,
            "protocol": self.protocol,
            "folds": list(self.folds),
            "n_seeds": self.n_seeds,
            "n_validation_clips": self.n_clips,
            "n_validation_speakers": self.n_speakers,
            "whole_speakers": self.whole_speakers,
            "metric": self.metric.value,
            "winner": None if winner is None else winner.number,
            "importance": dict(self.importance),
            "trials": [
                {**asdict(t), "score": None if math.isnan(t.score) else t.score}
                for t in self.trials
            ],
        }


def gather_tuning(
    study: optuna.Study, recipe: Recipe, protocol: str, objective: Objective
) -> Tuning:
    """Collect the results of a study: its finished trials and the importance of settings."""
    folds = objective.folds
    validation = {clip.name: clip for fold in folds for clip in fold.validation}
    return Tuning(
        study=study.study_name,
        recipe=recipe,
        protocol=protocol,
        folds=tuple(fold.name for fold in folds),
        n_seeds=objective.n_seeds,
        n_clips=len(validation),
        n_speakers=len({clip.speaker for clip in validation.values()}),
        whole_speakers=all(
            {c.speaker for c in fold.train}.isdisjoint(c.speaker for c in fold.validation)
            for fold in folds
        ),
        metric=objective.metric,
        trials=gather_trials(study, recipe, objective.metric),
        importance=measure_importance(study, recipe.seed),
    )


def gather_trials(study: optuna.Study, recipe: Recipe, metric: Metric) -> tuple[Trial, ...]:
    """Return the finished trials, best first, pruned ones last."""
    frozen = study.get_trials(deepcopy=False, states=FINISHED)
    sign = -1 if metric.rises else 1

    def rank(trial: Trial) -> tuple[bool, float, int]:
        score = math.inf if math.isnan(trial.score) else sign * trial.score
        return not trial.complete, score, trial.number

    return tuple(sorted((read_trial(trial, recipe) for trial in frozen), key=rank))


def read_trial(frozen: FrozenTrial, recipe: Recipe) -> Trial:
    """Convert a trial from Optuna's form."""
    scores = tuple(float(score) for score in frozen.user_attrs.get(SCORES, ()))
    settings = {
        key: read_value(axis, frozen.params[key])
        for key, axis in recipe.tune.space.items()
        if key in frozen.params
    }
    own = find_settings(recipe)
    return Trial(
        number=frozen.number,
        complete=frozen.state == TrialState.COMPLETE,
        score=sum(scores) / len(scores) if scores else math.nan,
        scores=scores,
        settings=settings,
        as_is=settings == {key: own[key] for key in settings},
        seconds=frozen.duration.total_seconds() if frozen.duration else math.nan,
        problem=str(frozen.user_attrs.get(PROBLEM, "")),
    )


def read_value(axis: Axis, drawn: Any) -> Any:
    """Convert a value drawn by Optuna to a recipe's setting."""
    return axis.round(drawn) if axis.choices is None else json.loads(drawn)


def find_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's current value of each setting in its search space."""
    values = recipe.model_dump(mode="json", exclude={"tune"})
    found: dict[str, Any] = {}
    for key in recipe.tune.space:
        value: Any = values
        for part in key.split("."):
            value = value[part]
        found[key] = value
    return found


def measure_importance(study: optuna.Study, seed: int) -> dict[str, float]:
    """Measure how much of the score's variance each setting explains, largest first.

    By fANOVA (Hutter, Hoos and Leyton-Brown 2014, An Efficient Approach for Assessing
    Hyperparameter Importance), over complete trials; the shares sum to 1.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _MIN_TRIALS or len({trial.value for trial in complete}) == 1:
        return {}
    with warnings.catch_warnings():
        # Forests fitted to few trials divide by zero variances.
        warnings.simplefilter("ignore")
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return {key: float(share) for key, share in shares.items() if math.isfinite(share)}
