"""What is particular to gradient matching: the published loops, training between updates, frozen statistics."""

import math

import naive
import pytest
import torch
from torch.nn import functional as F

from datacondense import InputError, condense
from datacondense.augment import parse
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import DC, DSA, Iteration, Problem, Step, differentiate
from datacondense.methods.kmeans import representatives
from datacondense.networks import build
from datacondense.synthetic.parameters import Pixels, noise
from datacondense.utils.streams import Streams


@pytest.mark.parametrize(
    ("ipc", "loops"), [(10, (10, 50)), (20, (20, 25)), (30, (30, 20)), (40, (40, 15)), (50, (50, 10))]
)
def test_the_published_loops(ipc: int, loops: tuple[int, int]) -> None:
    assert DC().loops(ipc) == loops
    assert DC().loops(1)[0] == 1


@pytest.mark.parametrize(("ipc", "loops"), [(5, (5, 50)), (15, (15, 38)), (45, (45, 12)), (100, (50, 10))])
def test_other_numbers_of_images_lie_on_straight_lines(ipc: int, loops: tuple[int, int]) -> None:
    assert DC().loops(ipc) == loops
    assert DC(updates=3, epochs=7).loops(ipc) == (3, 7)


def test_dc_and_dsa_are_one_loop_with_other_defaults() -> None:
    assert (DC().augment, DC().init) == ("none", "noise")
    assert (DSA().augment, DSA().init) == ("auto", "real")
    assert DC.iterate is DSA.iterate


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"updates": 0}, "--updates 0"),
        ({"epochs": -1}, "--epochs -1"),
        ({"lr_net": 0.0}, "--lr-net 0"),
        ({"init": "Real"}, "--init Real: use one of real, kmeans, noise"),
        ({"distance": "l2"}, "--distance l2: use one of layerwise, ours, mse, cos, conv-mse, conv-l1"),
        ({"schedule": "linear"}, "--schedule linear: use one of constant, cosine"),
        ({"train_on": "both"}, "--train-on both: use one of synthetic, real"),
        ({"batch_synthetic": 0}, "--batch-synthetic 0"),
        ({"steps": -1}, "--steps -1"),
        ({"repeats": 0}, "--repeats 0"),
        ({"warm_up": -1}, "--warm-up -1"),
        ({"momentum_net": 1.0}, "--momentum-net 1:"),
        ({"decay_net": -1.0}, "--decay-net -1"),
        ({"batch_net": 0}, "--batch-net 0"),
        ({"mix_net": "both"}, "--mix-net both: use one of none, mixup, cutmix"),
        ({"interval": 0}, "--interval 0"),
        ({"batches": "kmeans"}, "--batches kmeans: use one of uniform, stratified, dream"),
        ({"average": 1.0}, "--average 1:"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DC(**wrong).check()


def problem_for(method: DC, toy, ipc: int = 3) -> Problem:
    real = toy()
    return Problem(real, ipc, method.arch, method.augment, Engine(Compute().plan(method.arch, real.spec, 1)))


def test_the_network_trains_on_the_images_between_updates_and_not_after_the_last(toy, monkeypatch) -> None:
    method = DC(batch_real=4, updates=3, epochs=2, arch="ConvNetD1")
    problem = problem_for(method, toy)
    synthetic = method.start(problem, Streams(0))
    assert isinstance(synthetic, Pixels)
    weights = []
    (network,) = [problem.fresh_network(Streams(0)("x"))]
    trained = 0
    train_epoch = problem.train_epoch

    def count(*arguments) -> None:
        nonlocal trained
        trained += 1
        train_epoch(*arguments)

    monkeypatch.setattr(problem, "train_epoch", count)
    for loss in method.iterate(Iteration(synthetic, None, problem, Streams(0).at(0), 0)):
        assert not isinstance(loss, Step)
        differentiate(loss, list(synthetic.parameters()))
        weights.append(network.head.weight.detach().clone())
    assert trained == 4
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_statistics_of_batch_norm_are_those_one_forward_of_real_images_leaves(toy) -> None:
    method = DC(batch_real=4, arch="ConvNetBN", updates=2, epochs=1)
    problem = problem_for(method, toy)
    synthetic = method.start(problem, Streams(0))
    network = problem.fresh_network(Streams(0)("x"))
    first = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    convolution = next(module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
    for update, loss in enumerate(method.iterate(Iteration(synthetic, None, problem, Streams(0).at(0), 0))):
        assert first.running_mean is not None
        before = first.running_mean.clone()
        if update == 0:  # from 0, with PyTorch's momentum of 0.1
            real = problem.real.sample(16, Streams(0).at(0, 0)("statistics")).flatten(0, 1)
            torch.testing.assert_close(before, 0.1 * convolution(real).mean((0, 2, 3)))
        assert not isinstance(loss, Step)
        for term in loss:
            assert not network.training
            term.backward(inputs=list(synthetic.parameters()))
        assert torch.equal(first.running_mean, before)


@pytest.mark.parametrize("augment", ["none", "crop_scale"])
def test_two_iterations_of_three_updates_are_those_of_the_published_loop(toy, augment: str) -> None:
    """The images after `condense` against plain loops over the same draws."""
    real, ipc = toy(sizes=(12, 15, 12, 20)), 2
    method = DC(iterations=2, batch_real=6, updates=3, epochs=2, arch="ConvNetD1", augment=augment, lr=0.3)
    ours = condense(method, real, ipc, seed=5, classes_at_once=3)

    streams, siamese = Streams(5), parse(augment, real.spec)
    images = noise((4, ipc, 1, 8, 8), streams("init"), "cpu").requires_grad_(True)
    sgd = torch.optim.SGD([images], lr=0.3, momentum=0.5)
    labels = torch.arange(4).repeat_interleave(ipc)
    network = build("ConvNetD1", real.spec)
    for iteration in range(2):
        network.reset(streams.at(iteration)("network"))
        of_network = torch.optim.SGD(network.parameters(), lr=0.01)
        for update in range(3):
            here = streams.at(iteration, update)
            views = siamese.draw(here("augment"), 4)
            batch, _ = real.batch(real.draw(6, here("real")).flatten())
            of_class = [lambda x, k=k, views=views: views[k : k + 1](x[None])[0] for k in range(4)]
            loss = naive.dc_loss(network, list(batch.unflatten(0, (4, 6))), list(images), of_class)
            sgd.zero_grad()
            loss.backward(inputs=[images])
            sgd.step()
            if update == 2:
                break
            for epoch in range(2):
                order = torch.randperm(8, generator=here.at(epoch)("order"))
                some = images.detach().flatten(0, 1)[order]
                if siamese:
                    some = siamese.per_image(here.at(epoch, 0)("augment"), 8)(some)
                of_network.zero_grad()
                F.cross_entropy(network(some), labels[order]).backward()
                of_network.step()
    torch.testing.assert_close(ours.images, images.detach().flatten(0, 1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("augment", ["none", "crop_scale"])
def test_networks_trained_on_real_images(toy, augment: str) -> None:
    """The images after `condense` against plain loops over the same draws: Adam on a cosine, part of the images."""
    real, ipc, share = toy(sizes=(12, 15, 12, 20)), 3, 2
    method = DSA(
        iterations=2,
        batch_real=6,
        updates=3,
        repeats=2,
        arch="ConvNetD1",
        augment=augment,
        lr=0.05,
        init="kmeans",
        adam=True,
        momentum=0.9,
        schedule="cosine",
        distance="mse",
        train_on="real",
        lr_net=0.1,
        momentum_net=0.9,
        batch_synthetic=share,
    )
    ours = condense(method, real, ipc, seed=5, classes_at_once=3)

    streams, siamese = Streams(5), parse(augment, real.spec)
    images = real.at(representatives(real, ipc, streams("init"))).requires_grad_(True)
    adam = torch.optim.Adam([images], betas=(0.9, 0.99))
    network = build("ConvNetD1", real.spec)
    for iteration in range(2):
        network.reset(streams.at(iteration)("network"))
        of_network = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        for update in range(3):
            here = streams.at(iteration, update)
            for step in range(2 if update else 10):
                place = here.at(step)
                batch, labels = real.batch(torch.randint(len(real), (128,), generator=place("train")))
                batch = siamese.per_image(place("train_augment"), 128)(batch)
                of_network.zero_grad()
                F.cross_entropy(network(batch), labels).backward()
                of_network.step()
            views = siamese.draw(here("augment"), 4)
            batch, _ = real.batch(real.draw(6, here("real")).flatten())
            of_class = [lambda x, k=k, views=views: views[k : k + 1](x[None])[0] for k in range(4)]
            for repeat in range(2):
                order = torch.rand(4, ipc, generator=here.at(repeat)("synthetic")).argsort(1)[:, :share]
                some = [images[k][order[k]] for k in range(4)]
                loss = naive.dc_loss(network, list(batch.unflatten(0, (4, 6))), some, of_class, "mse")
                done = (iteration + (2 * update + repeat) / 6) / 2
                adam.param_groups[0]["lr"] = 0.05 * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
                adam.zero_grad()
                loss.backward(inputs=[images])
                adam.step()
    torch.testing.assert_close(ours.images, images.detach().flatten(0, 1), rtol=1e-3, atol=1e-3)
