import shutil

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn import functional as F

from datacondense.networks import fused_block as module
from datacondense.networks.fused_block import first_block, serves

EAGER = {one: one for one in (module._folded, module._pooled, module._sums, module._to_image)}


def layer_by_layer(images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float) -> Tensor:
    maps = F.conv2d(images, kernel, padding=padding)
    return F.avg_pool2d(F.group_norm(maps, len(kernel), scale, shift, eps).relu(), 2)


def arguments(n: int, channels: int, h: int, w: int) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, channels, h, w, generator=generator) * 2 + 0.5
    kernel = torch.randn(8, channels, 3, 3, generator=generator) / 3
    scale, shift = torch.rand(8, generator=generator) + 0.5, torch.randn(8, generator=generator) / 3
    return images, (kernel.requires_grad_(), scale.requires_grad_(), shift.requires_grad_())


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
    kernel, scale, shift = exact = [weight.detach().double().requires_grad_() for weight in weights]
    exact_images = images.double().requires_grad_()
    images.requires_grad_()
    expected = layer_by_layer(exact_images, kernel, scale, shift, padding, 1e-5)
    made = first_block(images, *weights, padding, 1e-5, torch.float32)
    torch.testing.assert_close(made.double(), expected, rtol=1e-5, atol=1e-5)
    gradient = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad(made, [images, *weights], gradient)
    theirs = torch.autograd.grad(expected, [exact_images, *exact], gradient.double())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_smooth_images_cost_little_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPILED", EAGER)
    _, (kernel, scale, shift) = arguments(1, 1, 16, 16)
    ramp = torch.linspace(-2, 2, 16).expand(1, 1, 16, 16)
    with torch.no_grad():
        kernel -= kernel.mean((1, 2, 3), keepdim=True)  # edge filters, which nearly vanish on a ramp
        made = first_block(ramp, kernel, scale, shift, 1, 1e-5, torch.float32)
        exact = layer_by_layer(ramp.double(), kernel.double(), scale.double(), shift.double(), 1, 1e-5)
    torch.testing.assert_close(made.double(), exact, rtol=2e-3, atol=2e-3)


def test_pytorch_finds_no_fault_with_the_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPILED", EAGER)
    images, weights = arguments(2, 1, 8, 8)
    kernel, scale, shift = weights
    for dtype in (torch.float32, torch.bfloat16):
        for tests in ("test_schema", "test_autograd_registration", "test_faketensor"):
            torch.library.opcheck(module._forward, (images, *weights, 1, 1e-5, dtype), test_utils=tests)
    with torch.no_grad():
        _, *folded = module._forward(images, kernel, scale, shift, 1, 1e-5, torch.float32)
    gradient = torch.rand(2, 8, 4, 4)
    for operation, last in ((module._weight_gradients, scale), (module._image_gradient, shift)):
        given = gradient, images, folded, kernel, last, 1
        torch.library.opcheck(operation, given, test_utils=("test_schema", "test_faketensor"))


def test_only_the_gradients_asked_for_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPILED", EAGER)
    images, weights = arguments(2, 1, 8, 8)
    kernel, scale, shift = (weight.detach() for weight in weights)
    gradient = torch.randn(2, 8, 4, 4)
    both = torch.autograd.grad(
        first_block(images.requires_grad_(), *weights, 1, 1e-5, torch.float32), [images, *weights], gradient
    )
    of_images = torch.autograd.grad(first_block(images, kernel, scale, shift, 1, 1e-5, torch.float32), images, gradient)
    of_weights = torch.autograd.grad(first_block(images.detach(), *weights, 1, 1e-5, torch.float32), weights, gradient)
    assert all(torch.equal(one, other) for one, other in zip(both, of_images + of_weights, strict=True))


def test_a_result_in_bf16_is_the_rounded_one_and_so_are_its_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPILED", EAGER)
    images, weights = arguments(2, 1, 8, 8)
    images.requires_grad_()
    whole = first_block(images, *weights, 1, 1e-5, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):  # products inside stay in float32
        half = first_block(images, *weights, 1, 1e-5, torch.bfloat16)
        gradient = torch.randn(2, 8, 4, 4).bfloat16()
        ours = torch.autograd.grad(half, [images, *weights], gradient)
    assert torch.equal(half, whole.bfloat16())
    for one, other in zip(ours, torch.autograd.grad(whole, [images, *weights], gradient.float()), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other)


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
