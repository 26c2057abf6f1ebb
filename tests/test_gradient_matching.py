"""What is particular to gradient matching: the published loops, training between updates, frozen statistics."""

import pytest
import torch

from datacondense import InputError
from datacondense.engine import Engine
from datacondense.execution import decide
from datacondense.methods import DC, DSA, Problem
from datacondense.streams import Streams
from datacondense.synthetic import Pixels


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
        ({"lr_net": 0.0}, "--lr-net 0.0"),
        ({"distance": "l2"}, "--distance l2: take one of ours, mse, cos"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DC(**wrong).check()


def problem_for(method: DC, toy, ipc: int = 3) -> Problem:
    real = toy()
    return Problem(real, ipc, method.arch, method.augment, Engine(decide(method.arch, real.spec, 1)))


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
    for loss in method.iterate(synthetic, problem, Streams(0).at(0)):
        for term in loss:
            term.backward(inputs=list(synthetic.parameters()))
        weights.append(network.head.weight.detach().clone())
    assert trained == 4
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_statistics_of_batch_norm_come_from_real_images_and_are_frozen(toy) -> None:
    method = DC(batch_real=4, arch="ConvNetBN", updates=2, epochs=1)
    problem = problem_for(method, toy)
    synthetic = method.start(problem, Streams(0))
    network = problem.fresh_network(Streams(0)("x"))
    norm = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    for loss in method.iterate(synthetic, problem, Streams(0).at(0)):
        assert norm.running_mean is not None
        before = norm.running_mean.clone()
        for term in loss:
            assert not network.training
            term.backward(inputs=list(synthetic.parameters()))
        assert torch.equal(norm.running_mean, before)
        assert before.abs().sum() > 0
