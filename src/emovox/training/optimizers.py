"""Optimisers as defined by Keras where PyTorch's definitions differ."""

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import nn

from emovox.recipes.settings import TrainingSettings

KERAS_EPSILON = 1e-7


class KerasRMSprop(torch.optim.Optimizer):
    """RMSprop as in Keras: epsilon is inside the square root, while PyTorch adds it outside.

    Inside the root, 1e-7 limits a step to ``learning_rate * gradient / 3e-4``. Outside, it would
    hardly limit it, and training would differ once gradients are tiny.

    Args:
        parameters: Parameters to train.
        learning_rate: Step size.
        rho: Decay of the running mean of squared gradients.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, rho: float = 0.9
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate, "rho": rho})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one optimisation step."""
        loss = closure() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["mean_square"] = torch.zeros_like(parameter)
                mean_square = state["mean_square"]
                mean_square.mul_(group["rho"])
                mean_square.addcmul_(gradient, gradient, value=1 - group["rho"])
                root = mean_square.add(KERAS_EPSILON).sqrt_()
                parameter.addcdiv_(gradient, root, value=-group["lr"])
        return loss


class KerasAdam(torch.optim.Adam):
    """Adam as in Keras: epsilon is added before the second moment's bias is corrected."""

    def step(self, closure: Any = None) -> Any:
        """Take one optimisation step."""
        for group in self.param_groups:
            group["n_steps"] = group.get("n_steps", 0) + 1
            correction = math.sqrt(1 - group["betas"][1] ** group["n_steps"])
            group["eps"] = KERAS_EPSILON / correction
        return super().step(closure)


def make_optimizer(
    settings: TrainingSettings, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Make a recipe's optimiser."""
    rate = settings.learning_rate
    match settings.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, lr=rate, momentum=settings.momentum, fused=True)
        case "rmsprop":
            return KerasRMSprop(parameters, rate)
        case "adam":
            return KerasAdam(parameters, lr=rate, fused=True)
        case "adamw":
            return KerasAdam(
                parameters,
                lr=rate,
                weight_decay=settings.weight_decay,
                decoupled_weight_decay=True,
                fused=True,
            )
