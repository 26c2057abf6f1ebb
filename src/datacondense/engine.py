"""The hot primitives: embeddings of many images through one network, in chunks, compiled where that pays."""

import math
import os
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from .errors import InputError
from .networks import Network, build
from .types import Spec

Precision = Literal["fp32", "tf32", "bf16"]
Compile = Literal["auto", "on", "off"]

_CHUNK_BYTES = {"cpu": 2**24, "cuda": 2**31}  # of the widest layer of all images of a chunk
_COMPILE_PAYS = {"cpu": 5e12, "cuda": 5e14}  # floating-point operations: about half a minute of eager work


@final
@dataclass(frozen=True)
class Execution:
    """How a run computes. Everything here may change the last bits of a result, so a resumed run keeps it."""

    device: str
    precision: Precision
    compile: bool
    chunk: int
    """Images in one forward."""
    threads: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    arch: str,
    spec: Spec,
    images: int,
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    compile: Compile = "auto",
) -> Execution:
    """Settle what was left to us, by rules that give the same answer each time on one machine.

    images: how many images the whole run will pass forward. `compile="auto"` compiles when the arithmetic on them is
    long enough to pay for compiling and a compiler is there.
    Raises InputError as `check` does.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = _kind(device)
    with torch.device("meta"):
        flops, activation = _cost(build(arch, spec), spec)
    pays = images * flops >= _COMPILE_PAYS[kind] and not _missing_compiler(kind)
    execution = Execution(
        device=device,
        precision=precision,
        compile=compile == "on" or (compile == "auto" and pays),
        chunk=_power_of_two(_CHUNK_BYTES[kind] // activation, 8, 256 if kind == "cpu" else 8192),
        threads=torch.get_num_threads(),
    )
    check(execution)
    return execution


def check(execution: Execution) -> None:
    """Raises InputError when this machine lacks the device, its precision or the compiler that an Execution needs."""
    kind = _kind(execution.device)
    if kind == "cuda":
        index = torch.device(execution.device).index or 0
        if index >= torch.cuda.device_count():
            raise InputError(f"--device {execution.device}: PyTorch sees {torch.cuda.device_count()} CUDA devices")
    if execution.precision == "tf32" and kind != "cuda":
        raise InputError("--precision tf32 needs an NVIDIA GPU: take fp32 or bf16")
    missing = _missing_compiler(kind)
    if execution.compile and missing:
        raise InputError(f"torch.compile cannot work here: {missing}; install it or take --compile off")


@final
class Engine:
    """Runs networks over images as an Execution says. Networks given to it must have gone through `prepare`."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.device = torch.device(execution.device)
        self._compiled: dict[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Set PyTorch's process-wide switches as the Execution says; put them back on leaving."""
        threads = torch.get_num_threads()
        with ExitStack() as stack:
            torch.set_num_threads(self.execution.threads)
            stack.callback(torch.set_num_threads, threads)
            if self.device.type == "cuda":
                stack.enter_context(_cuda_switches(tf32=self.execution.precision == "tf32"))
            if self.execution.compile:
                # Networks share their forward's code, on which PyTorch counts compilations, and past 8 it would go on
                # uncompiled without a word to us.
                from torch._dynamo import config

                stack.enter_context(
                    config.patch(
                        recompile_limit=1024, accumulated_recompile_limit=4096, fail_on_recompile_limit_hit=True
                    )
                )
            yield

    def prepare(self, network: Network) -> Network:
        """Move to the device, in the memory layout that the compiled code runs fastest in."""
        network = network.to(self.device)
        if self.execution.compile:
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore (overload missing in the stubs)
        return network

    def class_means(self, network: Network, images: Tensor, *, differentiable: bool = False) -> Tensor:
        """Mean embedding of each class: normalised images (K, n, C, H, W) -> (K, D).

        Classes run in chunks: several small classes in one, or a large class in several, so that few embeddings exist
        at a time. A network with batch statistics sees all images in a single forward, so that its statistics mix the
        classes (Zhao & Bilen 2023). `differentiable` keeps the graph back to the images; otherwise none is built.
        """
        with torch.set_grad_enabled(differentiable):
            classes, n = images.shape[:2]
            if network.batch_statistics:
                return self._run(network.embed, images.flatten(0, 1)).unflatten(0, (classes, n)).mean(1)
            if n >= self.execution.chunk:
                return torch.stack([self._embed_sum(network, of_class) / n for of_class in images])
            together = _equal_part(classes, self.execution.chunk // n)
            chunks = (
                self._run_padded(network.embed, some.flatten(0, 1), together * n) for some in images.split(together)
            )
            return torch.cat([embedding.unflatten(0, (-1, n)).mean(1) for embedding in chunks])

    def _embed_sum(self, network: Network, images: Tensor) -> Tensor:
        """Sum of the embeddings of images (N, C, H, W) -> (D,)."""
        size = _equal_part(len(images), self.execution.chunk)
        return torch.stack([self._run_padded(network.embed, some, size).sum(0) for some in images.split(size)]).sum(0)

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Predicted class of each normalised image (N, C, H, W) -> (N,). Call `network.eval()` before."""
        size = _equal_part(len(images), self.execution.chunk)
        with torch.no_grad():
            return torch.cat([self._run_padded(network, some, size).argmax(1) for some in images.split(size)])

    def add_gradients(self, network: Network, images: Tensor, labels: Tensor) -> None:
        """Add to each weight's `.grad` the gradient of the mean cross-entropy of one batch (N, C, H, W), (N,).

        Chunk by chunk, forward and backward, so that activations stay in the cache; networks with batch statistics
        see the whole batch.
        """
        size = len(images) if network.batch_statistics else _equal_part(len(images), self.execution.chunk)
        for some_images, some_labels in zip(images.split(size), labels.split(size), strict=True):
            logits = self._run_padded(network, some_images, size)
            (F.cross_entropy(logits, some_labels, reduction="sum") / len(images)).backward()

    def _run_padded(self, function: Callable[[Tensor], Tensor], images: Tensor, size: int) -> Tensor:
        """`_run`, on images filled up to `size` where compiled code would otherwise be compiled for their number."""
        if not self.execution.compile or len(images) == size:
            return self._run(function, images)
        filling = images.new_zeros(size - len(images), *images.shape[1:])
        return self._run(function, torch.cat([images, filling]))[: len(images)]

    def _run(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        if self.execution.compile:
            if function not in self._compiled:
                self._compiled[function] = torch.compile(function, dynamic=False)
            function = self._compiled[function]
            images = images.contiguous(memory_format=torch.channels_last)
        if self.execution.precision != "bf16":
            return function(images)
        with torch.autocast(self.device.type, torch.bfloat16):
            return function(images).float()


def _cost(network: Network, spec: Spec) -> tuple[int, int]:
    """Floating-point operations of one image's forward, and the bytes of its widest layer in float32."""
    widest = 0

    def measure(_module: nn.Module, _args: Any, output: Tensor) -> None:
        nonlocal widest
        widest = max(widest, output.numel() * 4)

    hooks = [module.register_forward_hook(measure) for module in network.modules()]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.empty(1, *spec.shape, device="meta"))
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops(), widest


def _kind(device: str) -> str:
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in _CHUNK_BYTES:
        raise InputError(f"unknown device {device!r}: take auto, cpu, cuda or cuda:N")
    return kind


def _missing_compiler(kind: str) -> str:
    """What torch.compile lacks on this machine; empty when it lacks nothing."""
    if kind == "cuda" and not find_spec("triton"):
        return "the triton package is missing"
    compilers = [os.environ.get("CC", "gcc"), "clang"] if kind == "cuda" else [os.environ.get("CXX", "g++")]
    if not any(map(shutil.which, compilers)):
        return f"no compiler was found ({' or '.join(compilers)})"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return "" if header.exists() else f"Python's headers are missing ({header})"


def _equal_part(count: int, most: int) -> int:
    """The size of parts of `count`, each at most `most`, that are as equal as can be: compiled code has one shape."""
    return math.ceil(count / math.ceil(count / most))


def _power_of_two(value: int, low: int, high: int) -> int:
    return min(max(1 << max(value.bit_length() - 1, 0), low), high)


@contextmanager
def _cuda_switches(*, tf32: bool) -> Iterator[None]:
    """Deterministic convolutions, and TF32 where it is asked for; as before on leaving."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision()
    cudnn.deterministic, cudnn.allow_tf32 = True, tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32 = before[:2]
        torch.set_float32_matmul_precision(before[2])
