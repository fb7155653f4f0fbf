"""Round a head's weights to 8 bits to keep the model file small."""

import torch
from torch import Tensor, nn

N_STEPS = 127
"""Number of int8 steps on each side of 0."""

SCALE_BITS = 8
"""Mantissa bits of the step size, so that float32 holds its products with int8 exactly."""

MIN_ROUNDED = 1_024
"""Smaller kernels are not worth rounding."""


@torch.no_grad()
def round_weights(network: nn.Module) -> None:
    """Round the large kernels of a trained network to 8 bits with one scale per output.

    With thousands of inputs, an output changes by less than a hundredth; a different seed changes
    it far more.
    """
    for weight in network.parameters():
        if weight.ndim > 1 and weight.numel() >= MIN_ROUNDED:
            steps, scales = split_weight(weight)
            weight.copy_(steps * scales)


def split_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Split a kernel into 8-bit steps and the step size.

    Splitting the product of steps and step size returns the same parts.

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
    # Round down, so that the largest value is always the last step.
    scales = torch.ldexp(torch.floor(mantissa * 2**SCALE_BITS) / 2**SCALE_BITS, exponent)
    scales = torch.where(scales == 0, 1.0, scales)
    steps = torch.round(weight / scales).clamp(-N_STEPS, N_STEPS).to(torch.int8)
    return steps, scales
