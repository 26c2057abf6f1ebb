"""Every network of the registry as a plain module of PyTorch, in code that knows nothing of this package."""

import copy
import io
import pickle
import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datacondense import NETWORKS, Spec
from datacondense.networks import Network, build
from datacondense.utils.streams import Streams

SPEC = Spec("x", ("a", "b", "c"), (1, 16, 16), (0.5,), (0.5,))
LABELS = torch.tensor([0, 1, 2, 0])
NO_COMPILER = pytest.mark.skipif(not shutil.which("g++"), reason="no compiler")

COMPILED = [
    *(pytest.param(name, "aot_eager", id=name) for name in ("ConvNet", "ConvNetBN", "ConvNetMP", "MLP", "LeNet")),
    *(pytest.param(name, "eager", id=name) for name in ("ConvNetLN", "ConvNetNP", "AlexNet", "VGG11")),  # larger graphs
    pytest.param("ResNet18_AP", "eager", id="ResNet18_AP", marks=pytest.mark.slow),
    pytest.param("ConvNet", "inductor", id="ConvNet-inductor", marks=[pytest.mark.slow, NO_COMPILER]),
]


SERVING = [name for name in NETWORKS if name not in ("ConvNetD5", "ConvNetD6")]  # those need 32 and 64 pixels


def made(name: str) -> Network:
    network = build(name, SPEC).eval()
    network.reset(Streams(0)("network"))
    return network


def images() -> Tensor:
    return torch.randn(len(LABELS), *SPEC.shape, generator=torch.Generator().manual_seed(1))


def gradients(function: Callable[[Tensor], Tensor], network: nn.Module) -> list[Tensor]:
    """Logits, and the gradients of their loss in the images and in all weights."""
    batch = images().requires_grad_()
    logits = function(batch)
    F.cross_entropy(logits, LABELS).backward()
    weights = [torch.zeros_like(one) if one.grad is None else one.grad for one in network.parameters()]
    assert batch.grad is not None
    return [logits.detach(), batch.grad, *weights]


def assert_near(found: list[Tensor], expected: list[Tensor]) -> None:
    """Rounding moves a few pixels across the kink of a ReLU, so norms are compared, not numbers."""
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-2 * other.norm() + 1e-3


@pytest.mark.parametrize("name", SERVING)
def test_copies_and_files_hold_the_same_network(name: str) -> None:
    network, file = made(name), io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    loaded = build(name, SPEC).eval()
    loaded.load_state_dict(network.state_dict())
    expected = network(images())
    for other in (
        copy.deepcopy(network),
        pickle.loads(pickle.dumps(network)),
        torch.load(file, weights_only=False),
        loaded,
    ):
        assert torch.equal(other(images()), expected)
        other.reset(Streams(1)("network"))
        assert torch.equal(network(images()), expected)


@pytest.mark.parametrize("name", SERVING)
def test_layout_and_precision_are_free(name: str) -> None:
    expected = gradients(network := made(name), network)
    last = made(name).to(memory_format=torch.channels_last)  # pyright: ignore (overload missing in the stubs)
    assert_near(gradients(last, last), expected)
    exact = made(name).double()
    assert exact.embed(images().double()).dtype == torch.float64
    torch.testing.assert_close(exact(images().double()).float(), expected[0], rtol=1e-3, atol=1e-3)
    for dtype in (torch.bfloat16, torch.float16):
        assert made(name).to(dtype)(images().to(dtype)).isfinite().all()


@pytest.mark.parametrize("name", SERVING)
def test_gradients_of_each_image_are_those_of_one_after_the_other(name: str) -> None:
    network, inputs = made(name).double(), images().double()  # in float32, rounding moves pixels across a kink
    weights: dict[str, Tensor] = {name: one.detach() for name, one in network.named_parameters()}
    buffers = dict(network.named_buffers())

    def loss(weights: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(network, (weights, buffers), (image[None],)), label[None])

    gradient = torch.func.grad(loss)
    at_once = torch.func.vmap(gradient, in_dims=(None, 0, 0))(weights, inputs, LABELS)
    alone = gradient(weights, inputs[2], LABELS[2])
    assert_near([one[2] for one in at_once.values()], list(alone.values()))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "backend"), COMPILED)
def test_compiled_by_the_user_it_is_differentiated_in_images_and_weights(
    name: str, backend: str, training: bool
) -> None:
    torch._dynamo.reset()
    network, other = made(name).train(training), made(name).train(training)
    compiled = torch.compile(network, backend=backend, dynamic=False)
    assert_near(gradients(compiled, network), gradients(other, other))
    embed = torch.compile(network.embed, backend=backend, dynamic=False)
    batch = images().requires_grad_()
    embed(batch).square().sum().backward()
    assert batch.grad is not None
    assert torch.isfinite(batch.grad).all()


@pytest.mark.parametrize("name", ["ConvNet", "LeNet", "MLP"])
def test_exported_it_serves_any_number_of_images(name: str) -> None:
    network = made(name)
    count = torch.export.Dim("count", min=2, max=64)
    exported = torch.export.export(network, (images(),), dynamic_shapes=({0: count},))
    batch = torch.cat([images(), images()])
    torch.testing.assert_close(exported.module()(batch), network(batch), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")  # PyTorch's own
@pytest.mark.parametrize("name", ["ConvNet", "LeNet"])
def test_traced_it_is_saved_as_torchscript(name: str) -> None:
    network, file = made(name), io.BytesIO()
    torch.jit.save(torch.jit.trace(network, images()), file)
    file.seek(0)
    torch.testing.assert_close(torch.jit.load(file)(images()), network(images()), rtol=1e-4, atol=1e-4)
