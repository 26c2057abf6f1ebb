"""Means, gradients and training on a GPU against plain loops on the CPU in float32; see `conftest.py` for a CPU."""

import pytest
import torch
from torch.nn import functional as F

from datacondense import Recipe, Spec, networks
from datacondense.augment import parse_training
from datacondense.data.image_set import LabelledImages
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.methods.distances import layerwise
from datacondense.training.ensemble import BatchedNetwork, train_ensemble
from datacondense.training.loop import train
from datacondense.utils.streams import Streams

pytestmark = pytest.mark.gpu
SPEC = Spec("x", ("a", "b", "c"), (1, 16, 16), (0.5,), (0.5,))
ERROR = {"fp32": 2e-5, "tf32": 4e-3, "bf16": 3e-2}
"""Precision -> the largest relative error, norm(found - expected) / norm(expected), of a forward."""
BACKWARD = 4  # times that of a gradient
every_precision = pytest.mark.parametrize("precision", ERROR)


def engine_on(device: str, precision: str = "fp32", **changes) -> Engine:
    if precision == "tf32" and device == "cpu":
        pytest.skip("tf32 is arithmetic of NVIDIA GPUs")
    settings = {"compile": False, "chunk": 8, "classes_at_once": 3, "threads": 1, **changes}
    return Engine(Execution(device=device, precision=precision, **settings))


def pair(engine: Engine, arch: str = "ConvNetW32"):
    """A network on the device of the engine, and the same on the CPU."""
    both = engine.prepare(networks.build(arch, SPEC)), networks.build(arch, SPEC)
    for network in both:
        network.reset(Streams(0)("network"))
    return both


def images(classes: int = 3, n: int = 5) -> torch.Tensor:
    return torch.randn(classes, n, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert found.isfinite().all()
    return float((found.detach().cpu().double() - expected.double()).norm() / expected.double().norm())


@every_precision
@pytest.mark.parametrize("n", [3, 20])  # several classes in a chunk, and a class in several
def test_class_means(device: str, precision: str, n: int) -> None:
    engine = engine_on(device, precision)
    here, plain = pair(engine)
    expected = torch.stack([plain.embed(of_class).mean(0) for of_class in images(n=n)])
    there = images(n=n).to(device).requires_grad_()
    with engine.active():
        means = engine.class_means(here, there)
        assert means.device.type == device
        assert means.dtype == torch.float32
        assert error(means, expected) < ERROR[precision]
        near = images(n=n).requires_grad_()
        torch.stack([plain.embed(of_class).mean(0) for of_class in near]).square().sum().backward()
        engine.class_means(here, there, differentiable=True).square().sum().backward()
        assert error(there.grad, near.grad) < BACKWARD * ERROR[precision]


@every_precision
@pytest.mark.parametrize("n", [3, 20])
def test_class_gradients_and_their_own_gradient_in_the_images(device: str, precision: str, n: int) -> None:
    engine = engine_on(device, precision)
    here, plain = pair(engine)
    labels, there, near = torch.arange(3)[:, None].expand(3, n), images(n=n).to(device), images(n=n).requires_grad_()
    parameters = list(plain.parameters())
    losses = [F.cross_entropy(plain(x), y) for x, y in zip(near, labels, strict=True)]
    each = [torch.autograd.grad(loss, parameters, create_graph=True) for loss in losses]
    names = [name for name, _ in plain.named_parameters()]
    expected = {name: torch.stack([one[index] for one in each]) for index, name in enumerate(names)}
    with engine.active():
        found = engine.class_gradients(here, there, labels.to(device))
        matrices = [name for name in names if expected[name].dim() > 2]  # a bias before a norm has no gradient
        for name in matrices:
            assert error(found[name], expected[name].detach()) < BACKWARD * ERROR[precision], name
        of_real = {name: value + 1e-3 for name, value in found.items()}
        made = there.clone().requires_grad_()
        layerwise(engine.class_gradients(here, made, labels.to(device), differentiable=True), of_real).backward()
        if precision == "fp32":  # an angle between nearly equal gradients is mostly rounding otherwise
            layerwise(expected, {name: value.detach() + 1e-3 for name, value in expected.items()}).backward()
            assert error(made.grad, near.grad) < 1e-2
        assert made.grad.isfinite().all()


@every_precision
def test_the_gradients_of_a_batch_in_chunks(device: str, precision: str) -> None:
    engine = engine_on(device, precision)
    here, plain = pair(engine)
    batch, labels = images(1, 21)[0], torch.arange(21) % 3
    logits = plain(batch)
    F.cross_entropy(logits, labels).backward()
    with engine.active():
        predictions = engine.add_gradients(here, batch.to(device), labels.to(device))
    assert (predictions.cpu() == logits.argmax(1)).float().mean() > 0.9
    for (name, weight), expected in zip(here.named_parameters(), plain.parameters(), strict=True):
        if weight.dim() > 1:
            assert error(weight.grad, expected.grad) < BACKWARD * ERROR[precision], name


@pytest.mark.parametrize("arch", ["ConvNetW32", "ConvNetBN", "MLP"])
@pytest.mark.parametrize("augment", ["none", "color_crop_cutout_flip_scale_rotate", "dc:crop_scale_rotate_noise"])
def test_networks_side_by_side_are_those_that_a_cpu_trains(device: str, arch: str, augment: str) -> None:
    labels = torch.arange(40) % 3
    batch = images(1, 40)[0] + labels[:, None, None, None]
    augmentation = parse_training(augment, SPEC, arch)
    recipe = Recipe(epochs=2, batch=16, augment=str(augmentation))
    streams = [Streams(0).at("evaluate", index) for index in range(3)]
    engine = engine_on(device)
    with engine.active():
        examples = LabelledImages(batch.to(device), labels.to(device), SPEC)
        form = BatchedNetwork(engine.prepare(networks.build(arch, SPEC)))
        stack = train_ensemble(form, examples, streams, engine, recipe, augment=augmentation)
    for index, one in enumerate(streams):
        alone = networks.build(arch, SPEC)
        train(alone, LabelledImages(batch, labels, SPEC), one, engine_on("cpu"), recipe, augment=augmentation)
        for name, tensor in alone.state_dict().items():
            state = stack.weights[name] if name in stack.weights else stack.buffers[name]
            torch.testing.assert_close(state[index].detach().cpu(), tensor, rtol=3e-3, atol=3e-3, msg=name)


@pytest.mark.parametrize("graphs", [False, True], ids=["on", "graphs"])
@every_precision
def test_compiled_code_repeats_what_the_cpu_gives(cuda: str, precision: str, graphs: bool) -> None:
    engine = engine_on(cuda, precision, compile=True, graphs=graphs)
    here, plain = pair(engine)
    labels = torch.arange(3)[:, None].expand(3, 4).to(cuda)
    kept, expected = [], []
    with engine.active():
        for number in range(4):  # the first warms up, the second records a graph, the others replay it
            engine.begin_step()
            shift = images(n=4) + number / 8
            for network in (here, plain):
                network.reset(Streams(number)("network"))
            made = shift.to(cuda).requires_grad_()
            means = engine.class_means(here, made, differentiable=True)
            means.square().sum().backward()
            gradients = engine.class_gradients(here, shift.to(cuda), labels)
            kept.append((means.detach(), gradients["head.weight"]))
            near = shift.clone().requires_grad_()
            of_cpu = torch.stack([plain.embed(of_class).mean(0) for of_class in near])
            of_cpu.square().sum().backward()
            losses = [F.cross_entropy(plain(x), y) for x, y in zip(shift, labels.cpu(), strict=True)]
            of_heads = torch.stack([torch.autograd.grad(loss, plain.head.weight)[0] for loss in losses])
            expected.append((of_cpu.detach(), of_heads))
            assert error(made.grad, near.grad) < BACKWARD * ERROR[precision]
    for found, plainly in zip(kept, expected, strict=True):  # also the first, though later calls ran in its memory
        assert error(found[0], plainly[0]) < ERROR[precision]
        assert error(found[1], plainly[1]) < BACKWARD * ERROR[precision]


@pytest.mark.parametrize("graphs", [False, True], ids=["on", "graphs"])
def test_a_compiled_training_takes_the_steps_of_an_eager_one(cuda: str, graphs: bool) -> None:
    weights = []
    batch, labels = images(1, 20)[0].to(cuda), (torch.arange(20) % 3).to(cuda)
    for compiled in (True, False):
        engine = engine_on(cuda, compile=compiled, graphs=graphs and compiled)
        network, _ = pair(engine)
        sgd = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        with engine.active():
            for _ in range(5):
                sgd.zero_grad()
                engine.add_gradients(network, batch, labels)  # three chunks: gradients are added up over them
                sgd.step()
        weights.append([weight.detach() for weight in network.parameters()])
    for found, expected in zip(*weights, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
