import math

import pytest
import torch
from torch import nn

from emovox.export.keras import import_keras
from emovox.export.keras import make_optimizer as make_keras_optimizer
from emovox.recipes.settings import TrainingSettings
from emovox.training.optimizers import KERAS_EPSILON, make_optimizer

SETTINGS = [
    TrainingSettings(optimizer="sgd", learning_rate=0.01),
    TrainingSettings(optimizer="sgd", learning_rate=0.01, momentum=0.9),
    TrainingSettings(optimizer="rmsprop"),
    TrainingSettings(optimizer="adam"),
    TrainingSettings(optimizer="adamw", weight_decay=0.1),
]


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-7])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.optimizer)
def test_twenty_steps_equal_keras(settings: TrainingSettings, scale: float) -> None:
    keras = import_keras()
    start = torch.linspace(-1, 1, 5)
    generator = torch.Generator().manual_seed(0)
    gradients = [scale * torch.randn(5, generator=generator) for _ in range(20)]
    ours = nn.Parameter(start.clone())
    optimizer = make_optimizer(settings, [ours])
    variable = keras.Variable(start.numpy())
    keras_optimizer = make_keras_optimizer(keras, settings)
    for gradient in gradients:
        ours.grad = gradient.clone()
        optimizer.step()
        keras_optimizer.apply([keras.ops.convert_to_tensor(gradient.numpy())], [variable])
    moved = ours.detach() - start
    expected = torch.tensor(keras.ops.convert_to_numpy(variable)) - start
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=4e-7)


@pytest.mark.parametrize("gradient", [1.0, 1e-4, -1e-6])
def test_rmsprop_epsilon_stands_under_the_root(gradient: float) -> None:
    parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    parameter.grad = torch.full((1,), gradient, dtype=torch.float64)
    make_optimizer(TrainingSettings(optimizer="rmsprop"), [parameter]).step()
    expected = -1e-3 * gradient / math.sqrt(0.1 * gradient**2 + 1e-7)
    assert parameter.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("gradient", [1.0, 1e-4, -1e-6])
def test_adam_adds_epsilon_before_the_correction(gradient: float) -> None:
    parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = make_optimizer(TrainingSettings(optimizer="adam"), [parameter])
    position, mean, square = 0.0, 0.0, 0.0
    for step in range(1, 4):
        parameter.grad = torch.full((1,), gradient, dtype=torch.float64)
        optimizer.step()
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        rate = 1e-3 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        position -= rate * mean / (math.sqrt(square) + KERAS_EPSILON)
    assert parameter.item() == pytest.approx(position, rel=1e-9)


def test_parameter_without_gradient_stays() -> None:
    for settings in SETTINGS:
        parameter = nn.Parameter(torch.ones(2))
        make_optimizer(settings, [parameter]).step()
        assert parameter.tolist() == [1.0, 1.0]
