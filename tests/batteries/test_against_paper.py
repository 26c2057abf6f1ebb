"""The fast path against the published algorithm in benchmarks/naive.py: same loss, same image gradient."""

import naive
import pytest
import torch

from datacondense import Spec
from datacondense.augment import parse
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.methods.distances import DISTANCES, Distance
from datacondense.networks import build
from datacondense.utils.streams import Streams


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@pytest.mark.parametrize("augment", ["none", "auto"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 16)])
def test_distribution_matching(shape: tuple[int, int, int], augment: str, dtype: torch.dtype, tolerance: float) -> None:
    classes, ipc, batch_real = 7, 2, 6
    spec = Spec("x", tuple("abcdefg"), shape, (0.5,) * shape[0], (0.5,) * shape[0])
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(classes, batch_real, *shape, generator=generator, dtype=dtype)
    synthetic = torch.randn(classes, ipc, *shape, generator=generator, dtype=dtype, requires_grad=True)
    view = parse(augment, spec).draw(Streams(0)("augment"), classes)

    network = build("ConvNet", spec).to(dtype).requires_grad_(False)
    network.reset(Streams(0)("network"))
    engine = Engine(Execution(device="cpu", precision="fp32", compile=False, chunk=5, classes_at_once=7, threads=2))
    means = engine.class_means(network, view(synthetic), differentiable=True)
    loss = (engine.class_means(network, view(real)) - means).square().sum()
    (gradient,) = torch.autograd.grad(loss, synthetic)

    oracle = naive.NaiveConvNet(shape[0], shape[1], classes).to(dtype)
    weights = zip(oracle.state_dict(), network.state_dict().values(), strict=True)
    oracle.load_state_dict(dict(weights))  # both list their layers in the same order

    def augment_class(k: int):
        keep = view.choice[k : k + 1], view.u[k : k + 1].to(dtype)
        return lambda images: type(view)(view.names, *keep)(images[None])[0]

    expected = naive.dm_loss(oracle.embed, list(real), list(synthetic), [augment_class(k) for k in range(classes)])
    (expected_gradient,) = torch.autograd.grad(expected, synthetic)

    assert relative_error(loss.detach(), expected.detach()) < tolerance
    assert relative_error(gradient, expected_gradient) < tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@pytest.mark.parametrize("distance", [name for name in DISTANCES if not name.startswith("conv")])  # those: test_idc.py
@pytest.mark.parametrize("arch", ["ConvNet", "ConvNetBN", "MLP"])
@pytest.mark.parametrize("augment", ["none", "auto"])
def test_gradient_matching(arch: str, augment: str, distance: Distance, dtype: torch.dtype, tolerance: float) -> None:
    spec = Spec("x", tuple("abc"), (1, 28, 28), (0.5,), (0.5,))
    classes, ipc, batch_real = 3, 2, 7
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(classes, batch_real, 1, 28, 28, generator=generator, dtype=dtype)
    synthetic = torch.randn(classes, ipc, 1, 28, 28, generator=generator, dtype=dtype, requires_grad=True)
    view = parse(augment, spec).draw(Streams(0)("augment"), classes)
    network = build(arch, spec).to(dtype)
    network.reset(Streams(0)("network"))
    with torch.no_grad():
        network.train()(real.flatten(0, 1))  # sets the statistics of BatchNorm
    network.eval()

    engine = Engine(Execution(device="cpu", precision="fp32", compile=False, chunk=8, classes_at_once=3, threads=2))
    labels = torch.arange(classes)
    of_real = engine.class_gradients(network, view(real), labels[:, None].expand(real.shape[:2]))
    of_synthetic = labels[:, None].expand(synthetic.shape[:2])
    made = engine.class_gradients(network, view(synthetic), of_synthetic, differentiable=True)
    loss = DISTANCES[distance](made, of_real)
    (gradient,) = torch.autograd.grad(loss, synthetic)

    views = [lambda images, k=k: view[k : k + 1](images[None])[0] for k in range(classes)]
    expected = naive.dc_loss(network, list(real), list(synthetic), views, distance)
    (expected_gradient,) = torch.autograd.grad(expected, synthetic)

    assert relative_error(loss.detach(), expected.detach()) < tolerance
    assert relative_error(gradient, expected_gradient) < tolerance
