import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datacondense import Spec
from datacondense.engine import precision as precision_module
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute, Execution
from datacondense.engine.losses import ce
from datacondense.engine.weight_gradients import gradient_tensors
from datacondense.networks import ConvNet, Network, build, registered
from datacondense.networks.layers import NORMS
from datacondense.training.ensemble import BatchedNetwork, Ensemble
from datacondense.utils import hardware
from datacondense.utils.streams import Streams

SPEC = Spec("x", ("a", "b", "c"), (1, 16, 16), (0.5,), (0.5,))
AMX, AVX2 = "flags : avx2 avx512_bf16 amx_bf16 amx_tile\n", "flags : avx2 fma\n"
COMPILED = pytest.param(True, marks=[pytest.mark.slow, pytest.mark.skipif(not shutil.which("g++"), reason="no g++")])


def engine_of(precision: str, *, compile: bool = False) -> Engine:
    values = {"device": "cpu", "compile": compile, "chunk": 4, "classes_at_once": 3, "threads": 1}
    return Engine(Execution.from_json({**values, "precision": precision}))


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def processor(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PyTorch's processor be one that says this of itself, with a compiler."""
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(hardware, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    for name in hardware._MAX_ISA:
        monkeypatch.delenv(name, raising=False)


def test_auto_is_fp32_on_every_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (AVX2, AMX):
        processor(text, tmp_path, monkeypatch)
        assert Compute("cpu").plan("ConvNet", SPEC, 10_000_000).precision == "fp32"


def test_the_rule_for_matrix_units_holds_in_compiled_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(precision_module._AUTO, "matrix units", "bf16")

    def planned(passes: int, precision: str = "auto") -> tuple[str, int]:
        execution = Compute("cpu", precision=precision).plan("ConvNet", SPEC, passes)  # pyright: ignore (any text)
        return execution.precision, execution.chunk

    long = 10_000_000
    processor(AVX2, tmp_path, monkeypatch)
    assert planned(long) == ("fp32", 128)
    processor(AMX, tmp_path, monkeypatch)
    assert planned(long) == ("bf16", 256)  # half of the bytes
    assert planned(long, "fp32") == ("fp32", 128)
    assert planned(1) == ("fp32", 64)  # not compiled
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    assert planned(long) == ("fp32", 128)


def test_bf16_on_a_processor_without_it_is_noted_and_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processor(AVX2, tmp_path, monkeypatch)
    with pytest.warns(UserWarning, match="this processor has no bf16 arithmetic: --precision bf16 is far slower"):
        assert Compute("cpu", precision="bf16").plan("ConvNet", SPEC, 1).precision == "bf16"
    for text in (AMX, "flags : avx512_bf16\n", ""):
        processor(text, tmp_path, monkeypatch)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert Compute("cpu", precision="bf16").plan("ConvNet", SPEC, 1).precision == "bf16"


@pytest.mark.parametrize("name", [*(name for name in NORMS if name != "none"), "layer"])
@pytest.mark.parametrize("compile", [False, COMPILED])
def test_norms_of_bf16_maps_have_statistics_in_float32(name: str, compile: bool) -> None:
    norm = nn.LayerNorm([8, 6, 6]) if name == "layer" else NORMS[name](8)  # pyright: ignore (not "layer")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in norm.parameters():
            weight.copy_(torch.rand(weight.shape, generator=generator) + 0.5)
    maps = (8 + torch.randn(4, 8, 6, 6, generator=generator) / 8).bfloat16()  # a mean in bf16 would be off by 1/8 std
    run = torch.compile(norm, dynamic=False) if compile else norm
    with torch.autocast("cpu", torch.bfloat16):
        made = run(maps.requires_grad_())
    gradient = torch.randn(made.shape, generator=generator)
    (ours,) = torch.autograd.grad(made, maps, gradient.to(made.dtype))
    exact = maps.detach().double().requires_grad_()
    expected = norm.double()(exact)
    (theirs,) = torch.autograd.grad(expected, exact, gradient.double())
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(made.double(), expected, rtol=2**-7, atol=2**-7)
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2**-6 * float(theirs.abs().max()))


@pytest.mark.parametrize("arch", ["ConvNetW32", "MLP"])
def test_the_head_multiplies_in_float32(arch: str) -> None:
    network = build(arch, SPEC)
    network.reset(Streams(0)("network"))
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            embedding, logits = network.embed(images(3)), network(images(3))
        assert (embedding.dtype, logits.dtype) == (torch.bfloat16, torch.float32)
        expected = F.linear(embedding.float(), network.head.weight, network.head.bias)
        torch.testing.assert_close(logits, expected)


class Bf16Logits(nn.Module):
    """A module of a user, whose head runs as autocast decides."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(256, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1))


def of_class_gradients(engine: Engine, arch: str, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    network = engine.prepare(build(arch, SPEC))
    labels = torch.arange(3)[:, None].expand(3, 2)
    for differentiable in (True, False):
        engine.class_gradients(network, images(3, 2), labels, differentiable=differentiable, loss=loss)


def of_training(engine: Engine, arch: str, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    engine.add_gradients(engine.prepare(build(arch, SPEC)), images(3), torch.arange(3), loss)


def of_an_ensemble(engine: Engine, arch: str, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    ensemble = Ensemble(BatchedNetwork(build(arch, SPEC), loss), engine, [Streams(seed) for seed in (0, 1)])
    ensemble.add_gradients(images(2, 3), torch.arange(3).expand(2, 3))


@pytest.mark.parametrize("run", [of_class_gradients, of_training, of_an_ensemble])
@pytest.mark.parametrize("arch", ["ConvNetW32", "Bf16Logits"])
def test_losses_are_taken_in_float32(run: Callable[..., None], arch: str) -> None:
    seen: list[torch.dtype] = []

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        seen.append(logits.dtype)
        return ce(logits, labels)

    with registered(Bf16Logits() if arch == "Bf16Logits" else arch):
        run(engine_of("bf16"), arch, loss)
    assert set(seen) == {torch.float32}


def means(engine: Engine) -> list[Tensor]:
    network, real = network_for(engine).requires_grad_(False), images(3, 3).requires_grad_()
    made = engine.class_means(network, real, differentiable=True)
    # the mean of an embedding hardly depends on an image: the norms see to that
    towards = torch.randn(made.shape, generator=torch.Generator().manual_seed(1))
    return [
        engine.class_means(network, real.detach()),
        made.detach(),
        *torch.autograd.grad((made * towards).sum(), real),
    ]


def gradients(engine: Engine) -> list[Tensor]:
    network, real = network_for(engine), images(3, 3).requires_grad_()
    labels = torch.arange(3)[:, None].expand(3, 3)
    made = engine.class_gradients(network, real, labels, differentiable=True)
    fixed = engine.class_gradients(network, real.detach(), labels)
    names = [name for name in made if not (name.startswith("features") and name.endswith("0.bias"))]
    kernels = [name for name in names if made[name].dim() > 2]
    (of_images,) = torch.autograd.grad([made[name].square().sum() for name in kernels], real)
    return [fixed[kernels[1]], made[kernels[1]].detach(), made["head.weight"].detach(), of_images]


def training(engine: Engine) -> list[Tensor]:
    network = network_for(engine)
    sgd = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    before = torch.cat([weight.detach().flatten() for weight in network.parameters()])
    for _ in range(3):
        sgd.zero_grad()
        engine.add_gradients(network, images(6), torch.arange(6) % 3)
        sgd.step()
    return [torch.cat([weight.detach().flatten() for weight in network.parameters()]) - before]


def ensemble(engine: Engine) -> list[Tensor]:
    both = Ensemble(BatchedNetwork(network_for(engine)), engine, [Streams(0), Streams(1)])
    both.add_gradients(images(2, 3), torch.arange(3).expand(2, 3))
    return [torch.cat([gradient.flatten() for gradient in gradient_tensors(both.weights.values())])]


def network_for(engine: Engine) -> Network:
    # without ReLU, whose kinks change gradients by more than rounding does
    network = engine.prepare(ConvNet(SPEC, width=32, activation="swish"))
    network.reset(Streams(0)("network"))
    return network


@pytest.mark.parametrize("run", [means, gradients, training, ensemble])
@pytest.mark.parametrize("compile", [False, COMPILED])
def test_bf16_is_near_fp32(run: Callable[[Engine], list[Tensor]], compile: bool) -> None:
    exact = run(engine_of("fp32"))
    for one, other in zip(run(engine_of("bf16", compile=compile)), exact, strict=True):
        assert one.dtype == torch.float32
        assert 1e-4 < float((one - other).norm() / other.norm()) < 0.02
