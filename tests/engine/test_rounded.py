"""The networks in benchmarks/rounded.py, which round as bf16 does, against real bf16."""

import shutil
from typing import Any, cast

import pytest
import torch
from rounded import Rounded, RoundedConv2d, rounded_convnet, roundings_kept
from torch import Tensor, nn

from datacondense import Spec
from datacondense.networks import ConvNet, Network
from datacondense.utils.streams import Streams

SPEC = Spec("x", ("a", "b", "c"), (1, 8, 8), (0.5,), (0.5,))
SMALL: dict[str, Any] = {
    "width": 16,
    "depth": 2,
    "activation": "swish",
}  # ReLU's kinks change gradients by more than rounding does


def outcome(network: nn.Module, images: Tensor, *, autocast: bool = False) -> list[Tensor]:
    """Return the output, and the gradients of its sum under random factors in images and kernels."""
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        made = network(images)
    towards = torch.randn(made.shape, generator=torch.Generator().manual_seed(1))
    kernels = [weight for weight in network.parameters() if weight.dim() > 1]
    gradients = torch.autograd.grad((made.float() * towards).sum(), [images, *kernels])
    return [made.detach().float(), *gradients]


def noise(n: int) -> Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def drawn(network: Network) -> Network:
    network.reset(Streams(0)("network"))
    return network


@pytest.mark.parametrize("kernel", [1, 3])
def test_two_convolutions_round_as_bf16_does(kernel: int) -> None:
    exact = nn.Sequential(nn.Conv2d(1, 32, kernel), nn.Conv2d(32, 16, kernel))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in exact.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5)
    same = nn.Sequential(RoundedConv2d(1, 32, kernel), RoundedConv2d(32, 16, kernel))
    same.load_state_dict(exact.state_dict())
    # where PyTorch has no fast bf16, it adds up the gradients of several images or taps in bf16
    batch = noise(1 if kernel == 1 else 6)
    parts = slice(None) if kernel == 1 else slice(1)
    real, made = outcome(exact, batch, autocast=True)[parts], outcome(same, batch)[parts]
    for one, other, without in zip(made, real, outcome(exact, batch)[parts], strict=True):
        assert float((one - other).norm()) < 0.1 * float((without - other).norm())  # a sum in another order


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no compiler")
def test_so_do_all_layers_compiled() -> None:
    nets = drawn(ConvNet(SPEC, **SMALL)), drawn(rounded_convnet(SPEC, **SMALL))
    exact, same = (net.get_submodule("features") for net in nets)
    with torch.no_grad():
        unrounded = exact(noise(6))
        with torch.autocast("cpu", torch.bfloat16):
            real = cast("nn.Module", torch.compile(exact, dynamic=False))(noise(6)).float()
    with roundings_kept():
        made = outcome(cast("nn.Module", torch.compile(same, dynamic=False)), noise(6))
    for one, other in zip(made, outcome(same, noise(6)), strict=True):
        assert float((one - other).norm()) < 1e-3 * float(other.norm())
    assert float((made[0] - real).norm()) < 0.1 * float((unrounded - real).norm())


def test_its_head_sees_what_travels_in_bf16() -> None:
    network = rounded_convnet(SPEC)
    assert isinstance(list(network.features)[-1], Rounded)  # pyright: ignore[reportArgumentType]
