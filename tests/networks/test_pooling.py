"""Pooling in strided passes: the bits of PyTorch's own kernels, and those kernels wherever a graph is kept."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datacondense.networks.pooling import AveragePool, MaxPool

POOLINGS = [(AveragePool(), F.avg_pool2d), (MaxPool(), F.max_pool2d)]


def maps(*shape: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values[0, 0, 0, :2] = torch.tensor([torch.inf, -torch.inf])
    return values


@pytest.mark.parametrize(("ours", "theirs"), POOLINGS)
@pytest.mark.parametrize("shape", [(3, 4, 8, 8), (2, 3, 7, 10), (1, 2, 2, 3)])
def test_no_bit_differs_from_the_kernel(ours, theirs, shape: tuple[int, ...]) -> None:
    for input in (maps(*shape), maps(*shape).contiguous(memory_format=torch.channels_last), maps(*shape).double()):
        torch.testing.assert_close(ours(input), theirs(input, 2), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("ours", "theirs"), POOLINGS)
def test_maps_of_one_row_are_refused_as_by_the_kernel(ours, theirs) -> None:
    for pool in (ours, lambda input: theirs(input, 2)):
        with pytest.raises(RuntimeError, match="too small"):
            pool(torch.randn(1, 1, 1, 4))


@pytest.mark.parametrize(("ours", "theirs"), POOLINGS)
def test_gradients_are_those_of_the_kernel(ours, theirs) -> None:
    input, weight = torch.randn(2, 3, 6, 6).relu(), torch.randn(2, 3, 3, 3)

    def gradient(pool) -> Tensor:
        return torch.func.grad(lambda values: (pool(values) * weight).sum())(input)

    assert torch.equal(gradient(ours), gradient(lambda values: theirs(values, 2)))
    leaf = input.clone().requires_grad_()
    (found,) = torch.autograd.grad((ours(leaf) * weight).sum(), leaf)
    assert torch.equal(found, gradient(ours))


@pytest.mark.parametrize(("ours", "theirs"), POOLINGS)
def test_several_batches_pass_at_once(ours, theirs) -> None:
    input = torch.randn(4, 2, 3, 6, 6)
    assert torch.equal(torch.func.vmap(ours)(input), torch.stack([theirs(batch, 2) for batch in input]))
