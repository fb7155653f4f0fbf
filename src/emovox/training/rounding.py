"""Weights of a head in 8 bits, so that they are no great part of the model file."""

import torch
from torch import Tensor, nn

N_STEPS = 127
"""Steps of int8 to either side of 0."""

SCALE_BITS = 8
"""Of a step's size: float32 holds every product of it and a number of steps."""

MIN_ROUNDED = 1_024
"""Smaller weights save nothing."""


@torch.no_grad()
def round_weights(network: nn.Module) -> None:
    """Round the large kernels of a trained network to what 8 bits and a scale can hold.

    Each output has its own scale. Of the products of thousands of inputs, this changes less than a
    hundredth part; another seed changes far more.
    """
    for weight in network.parameters():
        if weight.ndim > 1 and weight.numel() >= MIN_ROUNDED:
            steps, scales = split_weight(weight)
            weight.copy_(steps * scales)


def split_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Split a kernel into steps of 8 bits, and the size of one.

    What the parts of a kernel multiply to is split into the same parts again.

    Args:
        weight: float32 ``(..., inputs)``.

    Returns:
        int8 ``(..., inputs)``, from -127 to 127; float32 ``(..., 1)``.

    Examples:
        >>> steps, scales = split_weight(torch.tensor([[0.5, -1.0, 0.25]]))
        >>> steps.tolist()
        [[64, -127, 32]]
    """
    largest = weight.abs().amax(-1, keepdim=True)
    mantissa, exponent = torch.frexp(largest / N_STEPS)
    # Downwards, so that the largest value is always the last step.
    scales = torch.ldexp(torch.floor(mantissa * 2**SCALE_BITS) / 2**SCALE_BITS, exponent)
    scales = torch.where(scales == 0, 1.0, scales)
    steps = torch.round(weight / scales).clamp(-N_STEPS, N_STEPS).to(torch.int8)
    return steps, scales
