import shutil

import pytest
import torch
from torch._dynamo.utils import counters
from torch.nn import functional as F

from datacondense import InputError, Spec
from datacondense.engine import engine as engine_module
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute, Execution, Workload
from datacondense.engine.losses import LOSSES, criterion
from datacondense.engine.torch_switches import cuda_switches
from datacondense.methods.distances import layerwise
from datacondense.networks import build
from datacondense.utils.streams import Streams

SPEC = Spec("x", ("a", "b", "c"), (1, 16, 16), (0.5,), (0.5,))
EAGER = Execution(device="cpu", precision="fp32", compile=False, chunk=4, classes_at_once=3, threads=2)


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
    images = torch.randn(3, 5, 1, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
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


def gradients_one_by_one(network, images: torch.Tensor, labels: torch.Tensor) -> list[list[torch.Tensor]]:
    losses = [F.cross_entropy(network(x), label.expand(len(x))) for x, label in zip(images, labels, strict=True)]
    return [list(torch.autograd.grad(loss, list(network.parameters()), create_graph=True)) for loss in losses]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("side_by_side", [False, True])
@pytest.mark.parametrize("arch", ["ConvNetW32", "ConvNetBN", "MLP"])
def test_class_gradients_are_those_of_each_class_alone(
    arch: str, side_by_side: bool, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine_module._CLASSES_SIDE_BY_SIDE, "cpu", side_by_side)
    images = torch.randn(3, n, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([2, 0, 1])
    engine = Engine(EAGER)  # its chunk of 4 makes parts of 2 here
    network = network_for(engine, arch).double().requires_grad_(True).eval()
    each = labels[:, None].expand(3, n)
    gradients = engine.class_gradients(network, images, each, differentiable=True)
    expected = gradients_one_by_one(network, images, labels)
    for index, name in enumerate(dict(network.named_parameters())):
        torch.testing.assert_close(gradients[name], torch.stack([of_class[index] for of_class in expected]))
    ours = torch.autograd.grad([g.square().sum() for g in gradients.values()], images)
    literal = torch.autograd.grad([g.square().sum() for of_class in expected for g in of_class], images)
    torch.testing.assert_close(ours, literal)
    assert not any(g.requires_grad for g in engine.class_gradients(network, images.detach(), each).values())


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("side_by_side", [False, True])
def test_class_gradients_reach_soft_labels(name: str, side_by_side: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine_module._CLASSES_SIDE_BY_SIDE, "cpu", side_by_side)
    loss, engine = criterion(LOSSES[name], 1.0), Engine(EAGER)  # its chunk of 4 makes parts of 2 here
    images = torch.randn(3, 5, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    labels = torch.randn(3, 5, 3, dtype=torch.float64).softmax(2).requires_grad_()
    network = network_for(engine, "MLP").double().requires_grad_(True).eval()
    gradients = engine.class_gradients(network, images, labels, differentiable=True, loss=loss)
    expected = [
        torch.autograd.grad(loss(network(x), y).mean(), list(network.parameters()), create_graph=True)
        for x, y in zip(images, labels, strict=True)
    ]
    for index, name_ in enumerate(dict(network.named_parameters())):
        torch.testing.assert_close(gradients[name_], torch.stack([of_class[index] for of_class in expected]))
    ours = torch.autograd.grad([g.square().sum() for g in gradients.values()], [images, labels])
    literal = torch.autograd.grad([g.square().sum() for of_class in expected for g in of_class], [images, labels])
    torch.testing.assert_close(ours, literal)
    fixed = engine.class_gradients(network, images, labels, loss=loss)
    assert not any(g.requires_grad for g in fixed.values())
    for index, name_ in enumerate(fixed):
        torch.testing.assert_close(fixed[name_], gradients[name_].detach(), msg=f"{name_} {index}")


def test_different_labels_in_one_class_give_the_mean_of_their_gradients() -> None:
    engine = Engine(EAGER)
    network = network_for(engine, "MLP")
    images, labels = torch.randn(1, 3, 1, 16, 16), torch.tensor([[0, 2, 1]])
    together = engine.class_gradients(network, images, labels)
    alone = engine.class_gradients(network, images.transpose(0, 1), labels.T)
    for name, gradient in together.items():
        torch.testing.assert_close(gradient[0], alone[name].mean(0))


def test_a_batch_of_one_hot_rows_has_the_gradients_of_its_classes() -> None:
    engine, images, labels = Engine(EAGER), torch.randn(7, 1, 16, 16), torch.arange(7) % 3
    gradients, predictions = [], []
    for given in (labels, F.one_hot(labels, 3).float()):
        network = network_for(engine, "MLP").requires_grad_(True)
        predictions.append(engine.add_gradients(network, images, given))
        gradients.append([weight.grad for weight in network.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert torch.equal(*predictions)
    assert predictions[0].dtype == torch.int64


@pytest.mark.slow
@pytest.mark.parametrize(("n", "side_by_side"), [(2, True), (5, False)])
def test_compiled_class_gradients_equal_eager_and_can_be_differentiated(
    n: int, side_by_side: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine_module._CLASSES_SIDE_BY_SIDE, "cpu", side_by_side)
    images = torch.randn(3, n, 1, 16, 16, requires_grad=True)
    soft = torch.randn(3, n, 3).softmax(2).requires_grad_()
    fast, plain = Engine(Execution(**{**EAGER.to_json(), "compile": True})), Engine(EAGER)
    compiled, eager = network_for(fast), network_for(plain)
    results = []
    with fast.active():
        for engine, network in ((fast, compiled), (plain, eager)):
            labels = torch.arange(3)[:, None].expand(3, n)
            made = engine.class_gradients(network, images, labels, differentiable=True)
            of_real = engine.class_gradients(network, images.detach() + 1, labels)
            loss = layerwise(made, of_real)
            made = engine.class_gradients(network, images, soft, differentiable=True)
            of_soft = torch.autograd.grad(layerwise(made, of_real), [images, soft])
            results.append((loss.detach(), torch.autograd.grad(loss, images)[0], *of_soft))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(results[0][1:], results[1][1:], rtol=1e-3, atol=1e-3)


def test_few_classes_at_once_where_memory_would_not_do() -> None:
    names = tuple(map(str, range(200)))
    spec = Spec("x", names, (3, 64, 64), (0.5,) * 3, (0.5,) * 3)
    load = Workload(passes=1, real=256, synthetic=10)
    assert 1 <= Compute().plan("ConvNetD4", spec, 1, load=load).classes_at_once < 20
    assert Compute(classes_at_once=500).plan("ConvNetD4", spec, 1, load=load).classes_at_once == 200
    assert Compute().plan("ConvNetD4", spec, 1).classes_at_once == 200
    assert Compute().plan("ConvNetD4", spec, 1, load=Workload(passes=1, real=1, synthetic=10**6)).classes_at_once == 1
    weights = Workload(passes=1, real=1, synthetic=1, gradients=6)
    assert Compute().plan("ResNet18", spec, 1, load=weights).classes_at_once < 5
    with pytest.raises(InputError, match="--classes-at-once 0: must be at least 1"):
        Compute(classes_at_once=0).plan("ConvNetD4", spec, 1, load=load)


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


def test_the_switches_of_a_gpu_are_set_and_put_back() -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision()
    with cuda_switches(tf32=True):
        assert (cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision()) == (True, True, "high")
    with cuda_switches(tf32=False):
        assert (cudnn.allow_tf32, torch.get_float32_matmul_precision()) == (False, "highest")
    assert (cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before


def test_auto_compiles_long_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Compute().plan("ConvNet", SPEC, 1000).compile
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert Compute().plan("ConvNet", SPEC, 10_000_000).compile
    assert not Compute(compile="off").plan("ConvNet", SPEC, 10_000_000).compile
    assert Compute().plan("ConvNet", SPEC, 1).precision == "fp32"


def test_without_a_compiler_auto_runs_eager_and_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert not Compute().plan("ConvNet", SPEC, 10_000_000).compile
    with pytest.raises(InputError, match=r"torch\.compile cannot work here: no compiler was found \(g\+\+\)"):
        Compute(compile="on").plan("ConvNet", SPEC, 1)


def test_tf32_needs_a_gpu() -> None:
    with pytest.raises(InputError, match="--precision tf32 needs an NVIDIA GPU"):
        Compute(precision="tf32").plan("ConvNet", SPEC, 1)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 9])
def test_class_means_at_every_class_size_around_the_chunk(n: int) -> None:
    images = torch.randn(3, n, 1, 16, 16)
    engine = Engine(EAGER)  # chunks of 4
    network = network_for(engine)
    expected = torch.stack([network.embed(of_class).mean(0) for of_class in images])
    torch.testing.assert_close(engine.class_means(network, images), expected)


@pytest.mark.slow
def test_more_networks_than_pytorch_compiles_by_default_are_all_compiled() -> None:
    """Past 8 compilations of one piece of code PyTorch goes on uncompiled; networks share their forward's code."""
    compiled = Execution(**{**EAGER.to_json(), "compile": True})
    for arch in ("ConvNetAS", "ConvNetMP", "ConvNetGN"):
        engine = Engine(compiled)
        network = network_for(engine, arch).requires_grad_(True)
        graphs = counters["stats"]["unique_graphs"]
        with engine.active():
            for batch in (4, 3):
                engine.add_gradients(network, torch.randn(batch, 1, 16, 16), torch.zeros(batch, dtype=torch.long))
            engine.predict(network.eval(), torch.randn(7, 1, 16, 16))
        assert counters["stats"]["unique_graphs"] == graphs + 3


def test_the_chunk_shrinks_as_images_grow() -> None:
    specs = [Spec("x", ("a",), (3, s, s), (0.5,) * 3, (0.5,) * 3) for s in (8, 32, 64)]
    assert [Compute(compile="off").plan("ConvNet", spec, 1).chunk for spec in specs] == [256, 16, 8]
    if shutil.which("g++"):
        assert [Compute(compile="on").plan("ConvNet", spec, 1).chunk for spec in specs] == [256, 32, 8]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "unknown device 'gpu'"),
        ("cuda:3", "--device cuda:3: PyTorch sees 0 CUDA devices"),
        ("cpu:x", "unknown device"),
    ],
)
def test_a_device_that_is_not_there_is_refused(device: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match=message):
        Compute(device=device).plan("ConvNet", SPEC, 1)
