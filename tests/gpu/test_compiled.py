"""Compiled code and CUDA graphs on a GPU; a CPU has tests of compiled code of its own."""

from typing import Any

import pytest
import torch
from parity import BACKWARD, ERROR, engine_on, error, images, pair
from torch.nn import functional as F

from datacondense import condense
from datacondense.methods import DSA, DistributionMatching, Method
from datacondense.utils.streams import Streams

pytestmark = pytest.mark.gpu
SMALL: dict[str, Any] = {"iterations": 5, "batch_real": 16, "arch": "ConvNetD1", "augment": "color_crop_cutout_flip"}
METHODS: dict[str, Method] = {"dm": DistributionMatching(**SMALL), "dsa": DSA(**SMALL, updates=2, epochs=1)}


@pytest.mark.parametrize(("precision", "graphs"), [("fp32", True), ("bf16", True), ("tf32", False)])
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


@pytest.mark.parametrize("compile", ["on", "graphs"])
@pytest.mark.parametrize("name", METHODS)
def test_a_compiled_run_makes_the_images_of_an_eager_one(cuda: str, name: str, compile, toy) -> None:
    eager, compiled = (
        condense(METHODS[name], toy(), 2, device=cuda, precision="fp32", compile=one) for one in ("off", compile)
    )
    torch.testing.assert_close(compiled.images, eager.images, rtol=0, atol=2e-2)
    assert compiled.provenance.execution.get("graphs", False) == (compile == "graphs")
