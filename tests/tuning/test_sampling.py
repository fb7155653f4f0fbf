"""Which trials are tried, and which are pruned."""

from typing import Literal

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from emovox.tuning.sampling import NumberedSampler, StepMedianPruner

RANGE = optuna.distributions.FloatDistribution(0.0, 1.0)


def make_study(
    direction: Literal["minimize", "maximize"], curves: list[list[float]]
) -> optuna.Study:
    study = optuna.create_study(direction=direction)
    for curve in curves:
        study.add_trial(create_trial(value=curve[-1], intermediate_values=dict(enumerate(curve))))
    return study


def make_running(curve: list[float]) -> optuna.trial.FrozenTrial:
    return create_trial(state=TrialState.RUNNING, intermediate_values=dict(enumerate(curve)))


@pytest.mark.parametrize(
    ("curve", "pruned"),
    [
        ([0.1], False),  # one step is luck
        ([0.9, 0.49], True),  # below the median of its own step, however good the first was
        ([0.1, 0.51], False),
        ([0.1, 0.5], False),  # the median itself
    ],
)
def test_a_trial_below_the_median_of_its_step_is_pruned(curve: list[float], pruned: bool) -> None:
    curves = [[0.5, 0.4, 0.4], [0.5, 0.5, 0.5], [0.5, 0.6, 0.6]]
    pruner = StepMedianPruner(n_complete=3, n_steps=2)
    assert pruner.prune(make_study("maximize", curves), make_running(curve)) is pruned
    losses = [[-value for value in row] for row in curves]
    falling = make_running([-value for value in curve])
    assert pruner.prune(make_study("minimize", losses), falling) is pruned


def test_no_trial_is_pruned_before_enough_are_complete() -> None:
    study = make_study("maximize", [[0.9, 0.9]] * 4)
    assert not StepMedianPruner(n_complete=5, n_steps=2).prune(study, make_running([0.1, 0.1]))


def draw(sampler: NumberedSampler, study: optuna.Study) -> float:
    study.sampler = sampler
    trial = study.ask({"x": RANGE})
    study.tell(trial, trial.params["x"])
    return float(trial.params["x"])


def test_draws_depend_on_seed_and_number_alone() -> None:
    one, other, third = (optuna.create_study() for _ in range(3))
    sampler = NumberedSampler(3, {})
    draws = [draw(sampler, one) for _ in range(14)]
    # As if each trial were run by a process of its own.
    assert [draw(NumberedSampler(3, {}), other) for _ in range(14)] == draws
    assert len(set(draws)) == 14
    assert draw(NumberedSampler(4, {}), third) != draws[0]


def test_an_interrupted_trial_does_not_count() -> None:
    whole, broken = optuna.create_study(), optuna.create_study()
    expected = [draw(NumberedSampler(3, {}), whole) for _ in range(14)]
    found = [draw(NumberedSampler(3, {}), broken) for _ in range(12)]
    broken.sampler = NumberedSampler(3, {})
    broken.tell(broken.ask({"x": RANGE}), state=TrialState.FAIL)
    found += [draw(NumberedSampler(3, {}), broken) for _ in range(2)]
    assert found == expected


def test_the_first_trial_is_given() -> None:
    study = optuna.create_study()
    sampler = NumberedSampler(0, {"x": 0.25})
    assert draw(sampler, study) == 0.25
    assert draw(sampler, study) != 0.25
