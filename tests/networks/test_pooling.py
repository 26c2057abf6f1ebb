"""Pooling in strided passes: no bit differs from PyTorch's own kernels, and so in gradients of every kind."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datacondense.networks.pooling import AveragePool, MaxPool

POOLINGS = [(AveragePool(), F.avg_pool2d), (MaxPool(), F.max_pool2d)]
SHAPES = [(3, 4, 8, 8), (2, 3, 7, 10), (1, 2, 2, 3)]


def maps(*shape: int) -> Tensor:
    """Maps with many equal pixels, as there are after a ReLU and on a plain background."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return (2 * values).round().relu() + values * (values > 1)


@pytest.mark.parametrize(("ours", "theirs"), POOLINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_bit_differs_from_the_kernel(ours, theirs, shape: tuple[int, ...]) -> None:
    input = maps(*shape)
    input[0, 0, 0, :2] = torch.tensor([torch.inf, -torch.inf])
    for one in (input, input.contiguous(memory_format=torch.channels_last), input.double(), input[0]):
        torch.testing.assert_close(ours(one), theirs(one, 2), rtol=0, atol=0, equal_nan=True)
        with torch.no_grad():
            torch.testing.assert_close(ours(one), theirs(one, 2), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("ours", "theirs"), POOLINGS)
def test_maps_of_one_row_are_refused_as_by_the_kernel(ours, theirs) -> None:
    for pool in (ours, lambda input: theirs(input, 2)):
        with pytest.raises(RuntimeError, match="too small"):
            pool(torch.randn(1, 1, 1, 4))


@pytest.mark.parametrize(("ours", "theirs"), POOLINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_the_kernel_also_of_gradients(ours, theirs, shape: tuple[int, ...]) -> None:
    weight, direction = maps(*shape[:2], shape[2] // 2, shape[3] // 2) + 1, maps(*shape)
    found: list[tuple[Tensor, ...]] = []
    for pool in (ours, lambda input: theirs(input, 2)):
        input = maps(*shape).requires_grad_()
        (first,) = torch.autograd.grad((pool(input) ** 2 * weight).sum(), input, create_graph=True)
        (second,) = torch.autograd.grad((first * direction).sum(), input)
        found.append((first.detach(), second))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # from within torch.func.jvp
@pytest.mark.parametrize(("ours", "theirs"), POOLINGS)
def test_they_serve_every_transform_of_functions(ours, theirs) -> None:
    input, tangent = maps(4, 2, 3, 6, 6), maps(4, 2, 3, 6, 6).flip(0)

    def squares(pool):
        return lambda maps: (pool(maps) ** 2).sum()

    transforms = [
        torch.func.vmap,
        lambda pool: torch.func.vmap(torch.func.grad(squares(pool))),
        lambda pool: lambda maps: torch.func.jvp(pool, (maps[0],), (tangent[0],))[1],
        lambda pool: lambda maps: torch.func.jvp(torch.func.grad(squares(pool)), (maps[0],), (tangent[0],))[1],
        lambda pool: lambda maps: torch.func.grad(lambda m: torch.func.grad(squares(pool))(m).square().sum())(maps[0]),
        lambda pool: lambda maps: torch.func.hessian(squares(pool))(maps[0, :1, :1]),
    ]
    for transform in transforms:
        expected = transform(lambda maps: theirs(maps, 2))(input)
        torch.testing.assert_close(transform(ours)(input), expected, rtol=0, atol=0)
