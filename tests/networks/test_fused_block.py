import shutil

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn import functional as F

from datacondense.networks import fused_block as module
from datacondense.networks.fused_block import first_block, serves

EAGER = {function: function for function in (module._folded, module._pooled, module._sums)}


def layer_by_layer(images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float) -> Tensor:
    maps = F.conv2d(images, kernel, padding=padding)
    return F.avg_pool2d(F.group_norm(maps, len(kernel), scale, shift, eps).relu(), 2)


def arguments(n: int, channels: int, h: int, w: int) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, channels, h, w, generator=generator) * 2 + 0.5
    kernel = torch.randn(8, channels, 3, 3, generator=generator) / 3
    scale, shift = torch.rand(8, generator=generator) + 0.5, torch.randn(8, generator=generator) / 3
    return images, [weight.requires_grad_() for weight in (kernel, scale, shift)]


@pytest.mark.parametrize(("n", "channels", "h", "w", "padding"), [(5, 1, 8, 8, 3), (3, 3, 9, 12, 1), (1, 2, 4, 5, 1)])
def test_it_is_the_layers_in_double_precision(
    n: int, channels: int, h: int, w: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMPILED", EAGER)
    compare(n, channels, h, w, padding)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no compiler")
def test_so_it_is_compiled_once_for_any_number_of_images() -> None:
    graphs = []
    for n in (5, 7, 8):  # as many images as channels, too
        compare(n, 1, 9, 12, 3)
        graphs.append(counters["stats"]["unique_graphs"])
    assert len(set(graphs)) == 1


def compare(n: int, channels: int, h: int, w: int, padding: int) -> None:
    images, weights = arguments(n, channels, h, w)
    exact = [weight.detach().double().requires_grad_() for weight in weights]
    expected = layer_by_layer(images.double(), *exact, padding, 1e-5)  # pyright: ignore (three weights)
    made = first_block(images, *weights, padding, 1e-5)
    torch.testing.assert_close(made.double(), expected, rtol=1e-5, atol=1e-5)
    gradient = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad(made, weights, gradient)
    theirs = torch.autograd.grad(expected, exact, gradient.double())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_smooth_images_cost_little_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPILED", EAGER)
    _, weights = arguments(1, 1, 16, 16)
    ramp = torch.linspace(-2, 2, 16).expand(1, 1, 16, 16)
    with torch.no_grad():
        weights[0] -= weights[0].mean((1, 2, 3), keepdim=True)  # edge filters, which nearly vanish on a ramp
        made = first_block(ramp, *weights, 1, 1e-5)
        exact = layer_by_layer(ramp.double(), *(weight.double() for weight in weights), 1, 1e-5)  # pyright: ignore
    torch.testing.assert_close(made.double(), exact, rtol=2e-3, atol=2e-3)


def test_pytorch_finds_no_fault_with_the_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPILED", EAGER)
    images, weights = arguments(2, 1, 8, 8)
    for tests in ("test_schema", "test_autograd_registration", "test_faketensor"):
        torch.library.opcheck(first_block, (images, *weights, 1, 1e-5), test_utils=tests)
    output = torch.rand(2, 8, 4, 4)
    torch.library.opcheck(module._backward, (output, images, *weights, 1, 1e-5), test_utils="test_faketensor")


def test_it_is_for_compiled_code_and_few_channels_in_single_precision() -> None:
    images, (kernel, *_) = arguments(2, 3, 8, 8)
    seen = []

    def look(images: Tensor) -> Tensor:
        seen.append(serves(images, kernel))
        return images * 2

    look(images)
    assert seen == [False]  # not compiled
    for expected, few in ((True, images), (False, images.repeat(1, 2, 1, 1)), (False, images.double())):
        seen.clear()
        torch.compile(look, backend="eager", dynamic=False)(few)
        assert seen == [expected]


def test_a_gradient_of_the_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPILED", EAGER)
    images, weights = arguments(2, 1, 8, 8)
    made = first_block(images.requires_grad_(), *weights, 1, 1e-5)
    with pytest.raises(AssertionError, match="use `embed`"):
        made.sum().backward()
