import shutil

import pytest
import torch

from datacondense import InputError, Spec
from datacondense.engine import Engine, Execution, decide
from datacondense.networks import build
from datacondense.streams import Streams

SPEC = Spec("x", ("a", "b", "c"), (1, 16, 16), (0.5,), (0.5,))
EAGER = Execution(device="cpu", precision="fp32", compile=False, chunk=4, threads=2)


def network_for(engine: Engine, arch: str = "ConvNetW32"):
    network = engine.prepare(build(arch, SPEC)).requires_grad_(False)
    network.reset(Streams(0)("network"))
    return network


def test_chunks_do_not_change_the_class_means() -> None:
    images = torch.randn(3, 7, 1, 16, 16)
    small, large = Engine(EAGER), Engine(Execution(**{**EAGER.to_json(), "chunk": 64}))
    network = network_for(small)
    expected = torch.stack([network.embed(of_class).mean(0) for of_class in images])
    torch.testing.assert_close(small.class_means(network, images), expected)
    torch.testing.assert_close(large.class_means(network, images), expected)


def test_a_graph_is_built_only_when_asked_for() -> None:
    images = torch.randn(3, 2, 1, 16, 16, requires_grad=True)
    engine = Engine(EAGER)
    network = network_for(engine)
    assert not engine.class_means(network, images).requires_grad
    assert engine.class_means(network, images, differentiable=True).requires_grad


def test_batch_statistics_mix_the_classes_in_one_forward() -> None:
    images = torch.randn(3, 7, 1, 16, 16)
    engine = Engine(EAGER)  # its chunk of 4 must not apply
    network = network_for(engine, "ConvNetBN").train()
    expected = network.embed(images.flatten(0, 1)).unflatten(0, (3, 7)).mean(1)
    torch.testing.assert_close(engine.class_means(network, images), expected)
    apart = torch.stack([network.embed(of_class).mean(0) for of_class in images])
    assert not torch.allclose(apart, expected, rtol=1e-2)


@pytest.mark.slow
def test_compiled_equals_eager_also_for_an_odd_last_chunk_and_after_a_reset() -> None:
    images = torch.randn(3, 5, 1, 16, 16, requires_grad=True)
    fast, plain = Engine(Execution(**{**EAGER.to_json(), "compile": True})), Engine(EAGER)
    compiled, eager = network_for(fast), network_for(plain)
    for seed in (1, 2):
        for network in (compiled, eager):
            network.reset(Streams(seed)("network"))
        outputs = [
            engine.class_means(network, images, differentiable=True)
            for engine, network in ((fast, compiled), (plain, eager))
        ]
        torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)
        gradients = [torch.autograd.grad(output.square().sum(), images)[0] for output in outputs]
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(fast.class_means(compiled, images), outputs[1].detach(), rtol=1e-4, atol=1e-5)


def test_bf16_comes_back_as_float32_and_near() -> None:
    images = torch.randn(3, 2, 1, 16, 16)
    engine = Engine(Execution(**{**EAGER.to_json(), "precision": "bf16"}))
    network = network_for(engine)
    means = engine.class_means(network, images)
    assert means.dtype == torch.float32
    torch.testing.assert_close(means, Engine(EAGER).class_means(network, images), rtol=0.1, atol=0.05)


def test_threads_are_set_while_active_and_put_back() -> None:
    before = torch.get_num_threads()
    with Engine(Execution(**{**EAGER.to_json(), "threads": 1})).active():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_auto_compiles_long_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not decide("ConvNet", SPEC, 1000).compile
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert decide("ConvNet", SPEC, 10_000_000).compile
    assert not decide("ConvNet", SPEC, 10_000_000, compile="off").compile


def test_without_a_compiler_auto_runs_eager_and_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert not decide("ConvNet", SPEC, 10_000_000).compile
    with pytest.raises(InputError, match=r"--compile on: no C\+\+ compiler was found"):
        decide("ConvNet", SPEC, 1, compile="on")


def test_the_chunk_shrinks_as_images_grow() -> None:
    chunks = [decide("ConvNet", Spec("x", ("a",), (3, s, s), (0.5,) * 3, (0.5,) * 3), 1).chunk for s in (8, 32, 64)]
    assert chunks == [256, 32, 8]


@pytest.mark.parametrize(
    ("device", "message"), [("gpu", "unknown device 'gpu'"), ("cuda", "--device cuda: this PyTorch sees no CUDA")]
)
def test_a_device_that_is_not_there_is_refused(device: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=message):
        decide("ConvNet", SPEC, 1, device=device)
