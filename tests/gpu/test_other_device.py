"""All that a GPU would run, on a pretended device: a tensor left on the CPU, or drawn by the wrong generator, fails."""

import dataclasses
from typing import Any

import pytest
import torch
from other_device import NAME, pretended
from torch.utils import backend_registration

from datacondense import SyntheticSet, condense, evaluate
from datacondense.engine import cost, engine, execution, precision
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import (
    DC,
    DSA,
    DistributionMatching,
    Forgetting,
    Herding,
    Iteration,
    ItGan,
    KCenter,
    Method,
    Problem,
    Random,
)
from datacondense.run.updates import Updates, as_step
from datacondense.utils.streams import Streams

SMALL: dict[str, Any] = {"iterations": 2, "batch_real": 8, "arch": "ConvNetD1"}
TWICE: dict[str, Any] = {**SMALL, "updates": 2}
IT_GAN: dict[str, Any] = {
    "batch_latents": 2,
    "generator_steps": 2,
    "inversion_steps": 2,
    "networks": 2,
    "network_steps": 2,
    "width": 4,
    "latent": 4,
}
CASES: dict[str, Method] = {
    "dm": DistributionMatching(**SMALL),
    "dm, from k-means, in tiles": DistributionMatching(**SMALL, init="kmeans", form="tiles"),
    "dm, by frequencies, in bytes": DistributionMatching(**SMALL, form="dct", store="u8", adam=True),
    "dm, batch statistics": DistributionMatching(**{**SMALL, "arch": "ConvNetBN"}),
    "dc": DC(**TWICE, epochs=1),
    "dc, batch statistics": DC(**{**TWICE, "arch": "ConvNetBN"}, epochs=1),
    "dsa": DSA(**TWICE, epochs=1),
    "dsa, on real images": DSA(**TWICE, train_on="real", batch_synthetic=1, repeats=2, init="noise"),
    "random": Random(arch="ConvNetD1"),
    "herding": Herding(arch="ConvNetD1", epochs=1),
    "k-center": KCenter(arch="ConvNetD1", epochs=1),
    "forgetting": Forgetting(arch="ConvNetD1", epochs=1),
    "it-gan": ItGan(**SMALL, **IT_GAN),
}


@pytest.fixture(autouse=True)
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device runs classes and networks side by side, as a GPU does."""
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this version of PyTorch has no devices that are written in Python")
    for table, value in (
        (execution._COMPILE_PAYS, 1e30),
        (precision._AUTO, "fp32"),
        (execution._NETWORKS_SIDE_BY_SIDE, True),
        (engine._CLASSES_SIDE_BY_SIDE, True),
        (cost._PER_LAYER, 1e9),
    ):
        monkeypatch.setitem(table, NAME, value)
    monkeypatch.setattr(execution, "_memory", lambda device: 2**33)


LONG = {"dsa, on real images", "dm, from k-means, in tiles"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in CASES])
def test_a_method_stays_on_its_device_and_makes_the_images_of_the_cpu(name: str, toy) -> None:
    expected = condense(CASES[name], toy(), 2, device="cpu", compile="off")
    with pretended() as mode:
        made = condense(CASES[name], toy(), 2, device=f"{NAME}:0", compile="off")
    assert mode.tensors > 10
    torch.testing.assert_close(made.images, expected.images, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"archs": ["ConvNetBN"]}, {"augment": "dc:crop_scale_rotate_noise"}], ids=["", "BN", "dc"]
)
def test_networks_side_by_side_stay_on_their_device_and_score_as_on_the_cpu(options, toy) -> None:
    examples: SyntheticSet = condense(CASES["random"], toy(), 4, compile="off")
    settings = {"nets": 2, "epochs": 3, "compile": "off", **options}
    expected = evaluate(examples, toy(draw=1), device="cpu", **settings).accuracy
    with pretended() as mode:
        found = evaluate(examples, toy(draw=1), device=f"{NAME}:0", **settings).accuracy
    assert mode.tensors > 10
    for arch, accuracies in expected.items():
        assert found[arch] == pytest.approx(accuracies, abs=1 / 60)  # an image or two on the border


@pytest.mark.parametrize("method", [DistributionMatching(**SMALL), DC(**TWICE, epochs=3)], ids=["dm", "dc"])
def test_an_iteration_waits_for_the_device_only_where_its_loss_is_read(method, toy) -> None:
    method = dataclasses.replace(method, augment="none")
    with pretended() as mode:
        problem = Problem(toy().to(f"{NAME}:0"), 2, method.arch, "none", Engine(_plan(method, toy())))
        synthetic = method.start(problem, Streams(0))
        updates = Updates(method, problem, synthetic, None)
        losses: list[float] = []
        for number in range(2):
            mode.waits.clear()
            run = Iteration(synthetic, None, problem, Streams(0).at(number), number)
            losses = [updates.apply(as_step(one), 0.0, number) for one in method.iterate(run)]
        assert mode.waits == {"to the CPU": len(losses)}


def _plan(method, real):
    return Compute(f"{NAME}:0", compile="off").plan(method.arch, real.spec, 0, method.workload(2))


def test_the_pretended_device_refuses_what_a_gpu_refuses() -> None:
    with pretended():
        far = torch.zeros(3, device=f"{NAME}:0")
        with pytest.raises(RuntimeError, match="all tensors must be on the same device"):
            _ = far + torch.zeros(3)
        with pytest.raises(RuntimeError, match="expected a generator of far:0"):
            torch.rand(3, generator=torch.Generator(), device=f"{NAME}:0")
        with pytest.raises(RuntimeError, match="all tensors must be on the same device"):
            torch.zeros(3)[torch.zeros(1, dtype=torch.int64, device=f"{NAME}:0")]
