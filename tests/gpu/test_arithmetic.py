"""Means, gradients and training on a GPU against plain loops on the CPU in float32; see `conftest.py` for a CPU."""

import pytest
import torch
from parity import BACKWARD, ERROR, SPEC, engine_on, error, images, pair
from torch.nn import functional as F

from datacondense import Recipe, networks
from datacondense.augment import parse_training
from datacondense.data.image_set import LabelledImages
from datacondense.methods.distances import layerwise
from datacondense.training.ensemble import BatchedNetwork, train_ensemble
from datacondense.training.loop import train
from datacondense.utils.streams import Streams

pytestmark = pytest.mark.gpu
every_precision = pytest.mark.parametrize("precision", ERROR)


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
        assert made.grad is not None
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


@pytest.mark.parametrize(
    ("arch", "augment"),
    [
        ("ConvNetW32", "color_crop_cutout_flip_scale_rotate"),
        ("ConvNetBN", "none"),
        ("MLP", "dc:crop_scale_rotate_noise"),
    ],
)
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
