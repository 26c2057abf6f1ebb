"""IDC as a setting of gradient matching: the published loop over classes, and its learning rates in our units."""

import naive_idc
import pytest
import torch
from observing import Losses
from torch import Tensor

from datacondense import condense
from datacondense.augment import Siamese, parse
from datacondense.augment.mix import Mix
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.experiments.idc_presets import joint
from datacondense.methods import DSA
from datacondense.methods.distances import DISTANCES, Distance
from datacondense.networks import build
from datacondense.synthetic.decoders import TileDecoder
from datacondense.utils.streams import Streams

FACTOR = 2


def of_classes(view, classes: int):
    """Return the augmentation of each class of a draw."""
    return [lambda x, k=k: view[k : k + 1](x[None])[0] for k in range(classes)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-9)])
@pytest.mark.parametrize("distance", ["conv-mse", "conv-l1"])
def test_loss_and_gradient_are_those_of_the_loop_over_classes(
    distance: Distance, dtype: torch.dtype, tolerance: float, toy
) -> None:
    real, ipc, classes = toy(channels=3), 2, 3
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(classes, 7, 3, 8, 8, generator=generator, dtype=dtype)
    stored = torch.randn(classes, ipc, 3, 8, 8, generator=generator, dtype=dtype, requires_grad=True)
    network = build("ConvNetD2", real.spec).to(dtype)
    network.reset(Streams(0)("network"))
    view = parse("color_crop_cutout", real.spec).draw(Streams(0)("augment"), classes)

    engine = Engine(Execution(device="cpu", precision="fp32", compile=False, chunk=8, classes_at_once=3, threads=1))
    made = TileDecoder(factor=FACTOR).decode({"images": stored}, real.spec)
    labels = torch.arange(classes)[:, None]
    of_real = engine.class_gradients(network, view(batch), labels.expand(batch.shape[:2]))
    of_made = engine.class_gradients(network, view(made), labels.expand(made.shape[:2]), differentiable=True)
    loss = DISTANCES[distance](of_made, of_real)
    (gradient,) = torch.autograd.grad(loss, stored)

    augment = of_classes(view, classes)
    losses: list[Tensor] = []
    for k in range(classes):
        views = naive_idc.decode(stored[k], FACTOR)
        losses.append(naive_idc.class_loss(network, batch[k], views, k, augment[k], distance))
    expected = torch.stack(losses).sum()
    (expected_gradient,) = torch.autograd.grad(expected, stored)
    torch.testing.assert_close(loss, expected, rtol=tolerance, atol=0)
    assert float((gradient - expected_gradient).norm() / expected_gradient.norm()) < tolerance


def test_two_iterations_of_three_updates_are_those_of_the_published_loop(toy) -> None:
    """Losses and images of `condense`, which steps all classes at once, against classes that take turns."""
    real, ipc, classes, lr, momentum = toy(sizes=(12, 15, 12, 20)), 2, 4, 0.05, 0.5
    lr_joint, momentum_joint = joint(lr, momentum, classes)
    method = DSA(
        iterations=2,
        lr=lr_joint,
        momentum=momentum_joint,
        batch_real=6,
        form="tiles",
        factor=FACTOR,
        distance="conv-mse",
        updates=3,
        train_on="real",
        steps=2,
        warm_up=0,
        batch_net=16,
        mix_net="cutmix",
        momentum_net=0.9,
        decay_net=5e-4,
        lr_net=0.05,
        augment="color_crop_cutout",
        arch="ConvNetD1",
    )
    watching = Losses()
    start = condense(DSA(**{**method.settings(), "iterations": 0}), real, ipc, seed=5)
    ours = condense(method, real, ipc, seed=5, classes_at_once=3, observers=[watching])

    streams, siamese = Streams(5), parse("color_crop_cutout", real.spec)
    stored = start.tensors()["images"].clone().requires_grad_(True)
    sgd = torch.optim.SGD([stored], lr=lr, momentum=momentum)
    network = build("ConvNetD1", real.spec)
    for iteration in range(2):
        network.reset(streams.at(iteration)("network"))
        of_network = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        losses = []
        for update in range(3):
            here = streams.at(iteration, update)
            for step in range(2 if update else 0):
                place = here.at(step)
                images, labels = real.batch(torch.randint(len(real), (16,), generator=place("train")))
                images = Siamese(("color", "crop")).per_image(place("train_augment"), 16)(images)
                mixed = Mix("cutmix", 0.5, 1.0).draw(place("train_mix"), 16)(images, labels, classes)
                naive_idc.train(network, [mixed], of_network)
            augment = of_classes(siamese.draw(here("augment"), classes), classes)
            batch, _ = real.batch(real.draw(6, here("real")).flatten())
            batches = list(batch.unflatten(0, (classes, 6)))
            losses.append(sum(naive_idc.inner_step(network, stored, sgd, batches, augment, "conv-mse", FACTOR)))
        assert watching.values[iteration] == pytest.approx(sum(losses) / 3, rel=1e-4)
    buffer = sgd.state[stored]["momentum_buffer"]
    with torch.no_grad():
        for k in range(classes):  # the steps that class k would still take before its next gradient
            for _ in range(k):
                buffer[k * ipc : (k + 1) * ipc] *= momentum
                stored[k * ipc : (k + 1) * ipc] -= lr * buffer[k * ipc : (k + 1) * ipc]
    torch.testing.assert_close(ours.tensors()["images"], stored.detach(), rtol=1e-3, atol=1e-4)


def test_a_step_in_normalised_pixels_is_the_published_step_in_plain_ones() -> None:
    """x = (p - mean) / std: a step of lr on p is one of lr / std^2 on x."""
    mean, std, lr = 0.3, 0.25, 0.01
    p = torch.tensor([0.1, 0.6], requires_grad=True)
    x = ((p.detach() - mean) / std).requires_grad_(True)
    ((p - mean) / std).square().sum().backward()
    x.square().sum().backward()
    assert p.grad is not None
    assert x.grad is not None
    torch.testing.assert_close((p - lr * p.grad - mean) / std, x - lr / std**2 * x.grad)
