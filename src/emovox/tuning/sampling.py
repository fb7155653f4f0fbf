"""Choose the settings of a trial, and decide when it is pruned."""

from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState


class NumberedSampler(BaseSampler):
    """TPE whose draws depend only on the seed, the previous trials, and the trial's number.

    An interrupted study therefore continues as if it had not been interrupted, and workers that
    share a study draw different trials. TPE is the tree-structured Parzen estimator of Bergstra et
    al. (2011), Algorithms for Hyper-Parameter Optimization.

    Args:
        seed: Seed of the random draws.
        first: Settings of the first trial: those of the unchanged recipe.
    """

    def __init__(self, seed: int, first: Mapping[str, Any]) -> None:
        self.seed = seed
        self.first = first
        self.is_first = False
        self.sampler = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seed the draws of this trial by its number, not counting interrupted trials."""
        failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        number = trial.number - sum(other.number < trial.number for other in failed)
        self.is_first = number == 0
        state = np.random.SeedSequence([self.seed, number]).generate_state(1)
        self.sampler = TPESampler(seed=int(state[0]))
        self.sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return which settings are drawn together."""
        return {} if self.is_first else self.sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw the settings that are drawn together."""
        if self.is_first:
            return {}
        return self.sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one setting independently."""
        if self.is_first and param_name in self.first:
            return self.first[param_name]
        return self.sampler.sample_independent(study, trial, param_name, param_distribution)


class StepMedianPruner(BasePruner):
    """Prune a trial whose mean so far is worse than the median of complete trials at that step.

    Optuna's median pruner compares the best of a trial's steps, so one easy fold can save a trial.

    Args:
        n_complete: Number of complete trials required before any is pruned.
        n_steps: Number of steps after which a trial may be pruned.
    """

    def __init__(self, n_complete: int, n_steps: int) -> None:
        self.n_complete = n_complete
        self.n_steps = n_steps

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether to prune the trial after its last step."""
        step = trial.last_step
        if step is None or step + 1 < self.n_steps:
            return False
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        values = [t.intermediate_values[step] for t in complete if step in t.intermediate_values]
        if len(values) < self.n_complete:
            return False
        value = trial.intermediate_values[step]
        if study.direction == StudyDirection.MAXIMIZE:
            return value < median(values)
        return value > median(values)
