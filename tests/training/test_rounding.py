"""Weights in 8 bits: what they hold, and that nothing is lost by splitting them again."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from emovox.training.rounding import MIN_ROUNDED, round_weights, split_weight


def make_kernel(*shape: int) -> Tensor:
    """Make a kernel whose rows are of very different sizes."""
    generator = torch.Generator().manual_seed(0)
    exponents = torch.rand(*shape[:-1], 1, generator=generator) * 20 - 14
    return torch.randn(*shape, generator=generator) * 10**exponents


@pytest.mark.parametrize("shape", [(1_280, 200), (160, 8, 32), (4_000, 1)])
def test_a_rounded_kernel_is_split_into_the_same_parts(shape: tuple[int, ...]) -> None:
    steps, scales = split_weight(make_kernel(*shape))
    rounded = steps * scales
    again = split_weight(rounded)
    assert torch.equal(again[0], steps)
    assert torch.equal(again[1], scales)
    assert torch.equal(again[0] * again[1], rounded)
    # Not by luck of the last digit: float32 holds the products.
    exact = steps.numpy().astype(np.float64) * scales.numpy().astype(np.float64)
    assert np.array_equal(rounded.numpy().astype(np.float64), exact)


def test_the_largest_weight_of_a_row_is_the_last_step() -> None:
    kernel = make_kernel(500, 30)
    steps, scales = split_weight(kernel)
    assert (steps.dtype, scales.dtype) == (torch.int8, torch.float32)
    assert (steps.int().abs().amax(1) == 127).all()
    error = (steps * scales - kernel).abs() / scales
    largest = steps.int().abs() == 127
    assert error[~largest].max() <= 0.5 + 1e-4
    # A step's size is rounded down, by a 128th at most.
    assert error[largest].max() <= 127 / 128 + 0.5


def test_rows_of_zeros_stay_zeros() -> None:
    steps, scales = split_weight(torch.zeros(3, 4))
    assert not steps.any()
    assert torch.isfinite(scales).all()
    assert not torch.signbit(steps * scales).any()


def test_steps_by_hand() -> None:
    # 127 / 127 is 1, which 8 bits hold.
    steps, scales = split_weight(torch.tensor([[127.0, -63.4, 0.6, 0.4]]))
    assert steps.tolist() == [[127, -63, 1, 0]]
    assert scales.tolist() == [[1.0]]


def test_only_large_kernels_are_rounded() -> None:
    large, small = nn.Linear(64, 16), nn.Linear(63, 16)
    assert large.weight.numel() == MIN_ROUNDED > small.weight.numel()
    many = nn.Linear(1, 2_000)
    network = nn.Sequential(large, small, many)
    before = [p.detach().clone() for p in network.parameters()]
    round_weights(network)
    after = list(network.parameters())
    assert not torch.equal(before[0], after[0])
    assert torch.equal(after[0], torch.mul(*split_weight(before[0])))
    for i in (1, 2, 3, 5):  # biases, and the small kernel
        assert torch.equal(before[i], after[i])
    assert torch.allclose(before[0], after[0], atol=before[0].abs().max().item() / 100)
