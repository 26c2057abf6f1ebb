"""Every method of the registry on a toy. A new method adds its toy settings here and passes all of this."""

import json
import statistics
import warnings

import pytest
import torch
from observing import Losses, StopAfter, same
from toy_methods import TOY, toy_method

from datacondense import METHODS, condense, evaluate
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import (
    DC,
    DSA,
    DistributionMatching,
    Iteration,
    ItGan,
    KernelRegression,
    Matching,
    Method,
    Problem,
    Random,
    differentiate,
    method_class,
    method_name,
)
from datacondense.run.updates import as_step
from datacondense.utils.streams import Streams

LONG: dict[str, Method] = {
    "dc": DC(iterations=60, batch_real=40, lr=0.3, arch="ConvNetD1"),
    "dsa": DSA(iterations=60, batch_real=40, lr=0.3, init="noise", arch="ConvNetD1", augment="none"),
    "dm": DistributionMatching(iterations=60, batch_real=40, lr=0.3, arch="ConvNetD1", augment="none"),
    "krr": KernelRegression(iterations=60, batch_real=40, init="real", arch="ConvNetD1", augment="none", margin=0.0),
    "it-gan": ItGan(
        iterations=60,
        lr=0.3,
        weight=0.0,
        init="random",
        batch_real=40,
        generator_steps=400,
        latent=16,
        width=16,
        inversion_steps=20,
        epochs=2,
        networks=3,
        network_steps=20,
        arch="ConvNetD1",
        augment="none",
    ),
}
FAST = {  # what the presets `fast/` set beside the published methods
    "dsa": {
        "init": "kmeans",
        "adam": True,
        "schedule": "cosine",
        "train_on": "real",
        "batch_synthetic": 1,
        "updates": 2,
    },
    "dm": {"init": "kmeans", "adam": True, "schedule": "cosine"},
}
every_method = pytest.mark.parametrize("name", METHODS)
every_matching_method = pytest.mark.parametrize(
    "name", [name for name, method in TOY.items() if isinstance(method, Matching)]
)
every_optimising_method = pytest.mark.parametrize("name", LONG)


def test_the_tables_above_are_complete() -> None:
    assert set(TOY) == set(METHODS)
    assert set(LONG) == {name for name, method in TOY.items() if method.iterations > 0}


@every_method
def test_settings_survive_json(name: str) -> None:
    method = TOY[name]
    assert method_name(method) == name
    again = method_class(name)(**json.loads(json.dumps(method.settings())))
    assert again.settings() == method.settings()


@every_method
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(name: str, toy) -> None:
    state = torch.get_rng_state()
    first, second = (condense(TOY[name], toy(), ipc=2, seed=3) for _ in range(2))
    assert same(first, second)
    assert not same(first, condense(TOY[name], toy(), ipc=2, seed=4))
    assert torch.equal(state, torch.get_rng_state())


@every_method
@pytest.mark.parametrize(
    ("sizes", "channels", "ipc"), [((9, 30), 1, 1), ((20, 5, 20), 3, 5), ((12, 12, 12, 12), 1, 3)], ids=str
)
def test_two_and_more_classes_uneven_gray_and_colour_any_ipc(name: str, sizes, channels: int, ipc: int, toy) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="a batch of 16 images")
        result = condense(TOY[name], toy(sizes=sizes, channels=channels), ipc=ipc)
    assert result.images.shape == (len(sizes) * ipc, channels, 8, 8)
    assert result.classes.tolist() == [label for label in range(len(sizes)) for _ in range(ipc)]
    assert torch.isfinite(result.images).all()


@every_method
def test_interrupted_and_resumed_equals_uninterrupted(name: str, toy, tmp_path) -> None:
    whole = condense(TOY[name], toy(), ipc=2, out=tmp_path / "whole")
    first = condense(TOY[name], toy(), ipc=2, out=tmp_path / "parts", observers=[StopAfter(2)])
    assert first.provenance.iterations_done == min(2, TOY[name].iterations)
    again = condense(TOY[name], toy(), ipc=2, out=tmp_path / "parts", resume=True)
    assert again.provenance.iterations_done == TOY[name].iterations
    assert same(whole, again)
    lines = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("whole", "parts")]
    losses = [[(entry["iteration"], entry["loss"]) for entry in map(json.loads, of_run)] for of_run in lines]
    assert losses[0] == losses[1]
    assert [iteration for iteration, _ in losses[0]] == list(range(1, TOY[name].iterations + 1))


@pytest.mark.parametrize("name", FAST)
def test_resumed_under_a_schedule_equals_uninterrupted(name: str, toy, tmp_path) -> None:
    method = toy_method(name, **FAST[name], lr=0.05)
    whole = condense(method, toy(), ipc=2, out=tmp_path / "whole")
    condense(method, toy(), ipc=2, out=tmp_path / "parts", observers=[StopAfter(2)])
    assert same(whole, condense(method, toy(), ipc=2, out=tmp_path / "parts", resume=True))
    constant = method_class(name)(**{**method.settings(), "schedule": "constant"})
    assert not same(whole, condense(constant, toy(), ipc=2))


@every_optimising_method
@pytest.mark.parametrize("arch", ["ConvNetD1", "ConvNetBN"])
def test_the_gradient_reaches_every_synthetic_image(name: str, arch: str, toy) -> None:
    method = method_class(name)(**{**TOY[name].settings(), "arch": arch})
    real = toy()
    problem = Problem(real, 3, method.arch, method.augment, Engine(Compute().plan(method.arch, real.spec, 1)))
    synthetic = method.start(problem, Streams(0))
    (parameter,) = synthetic.image_parameters()
    step = next(method.iterate(Iteration(synthetic, method.state(problem, Streams(0)), problem, Streams(0).at(0), 0)))
    differentiate(as_step(step).loss, [parameter])
    assert parameter.grad is not None
    assert (parameter.grad.flatten(2).abs().sum(2) > 0).all()


@every_optimising_method
def test_class_by_class_gives_the_same_images_as_all_at_once(name: str, toy) -> None:
    real = toy(sizes=(20, 30, 20, 20))
    joint, by_class, by_pairs = (condense(TOY[name], real, ipc=2, classes_at_once=number) for number in (4, 1, 3))
    assert by_class.provenance.execution["classes_at_once"] == 1
    torch.testing.assert_close(by_class.images, joint.images, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(by_pairs.images, joint.images, rtol=1e-4, atol=1e-5)


def test_batch_statistics_keep_all_classes_together_whatever_is_asked(toy) -> None:
    method = DistributionMatching(iterations=2, batch_real=8, arch="ConvNetBN")
    joint, asked_apart = (condense(method, toy(), ipc=2, classes_at_once=number) for number in (3, 1))
    assert torch.equal(joint.images, asked_apart.images)


@every_optimising_method
def test_the_loss_falls(name: str, toy) -> None:
    losses = Losses()
    condense(LONG[name], toy(), ipc=1, observers=[losses])
    falls_to = 0.7 if name == "it-gan" else 0.5  # of images that a generator can make the first are better already
    assert statistics.fmean(losses.values[-20:]) < falls_to * statistics.fmean(losses.values[:3])


@every_matching_method
def test_noise_is_a_start_too(name: str, toy) -> None:
    method = method_class(name)(**{**TOY[name].settings(), "init": "noise"})
    of_real = method_class(name)(**{**TOY[name].settings(), "init": "real"})
    from_noise, from_real = condense(method, toy(), ipc=2), condense(of_real, toy(), ipc=2)
    assert not same(from_noise, from_real)
    assert torch.isfinite(from_noise.images).all()


@every_optimising_method
@pytest.mark.slow
def test_beats_random_real_images(name: str, toy) -> None:
    train, test = toy(sizes=(200,) * 6), toy(sizes=(100,) * 6, draw=1)
    random = Random(arch="ConvNetD1", augment="none")
    scores = [
        evaluate(condense(method, train, ipc=1), test, nets=3, epochs=100).mean("ConvNetD1")
        for method in (LONG[name], random)
    ]
    assert scores[0] > scores[1] + 0.1
