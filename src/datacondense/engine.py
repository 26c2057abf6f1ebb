"""The hot primitives: embeddings of many images through one network, in chunks, compiled where that pays."""

import math
import os
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

_CHUNK_BYTES = {"cpu": 2**24, "cuda": 2**31}  # of the widest layer: a share of the last-level cache, of device memory
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
    Raises InputError for a device or a compiler that is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = _device_kind(device)
    with torch.device("meta"):
        flops, activation = _cost(build(arch, spec), spec)
    missing = _missing_compiler(kind)
    if compile == "on" and missing:
        raise InputError(f"--compile on: {missing}; install it or take --compile auto")
    return Execution(
        device=device,
        precision=precision,
        compile=compile == "on" or (compile == "auto" and not missing and images * flops >= _COMPILE_PAYS[kind]),
        chunk=_power_of_two(_CHUNK_BYTES[kind] // activation, 8, 256 if kind == "cpu" else 8192),
        threads=torch.get_num_threads(),
    )


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
        before = torch.get_num_threads(), torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
        tf32 = self.execution.precision == "tf32"
        _set_switches(self.execution.threads, tf32, "high" if tf32 else "highest")
        try:
            yield
        finally:
            _set_switches(*before)

    def prepare(self, network: Network) -> Network:
        """Move to the device, in the memory layout that the compiled code runs fastest in."""
        network = network.to(self.device)
        if self.execution.compile:
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore (overload missing in the stubs)
        return network

    def class_means(self, network: Network, images: Tensor, *, differentiable: bool = False) -> Tensor:
        """Mean embedding of each class: normalised images (K, n, C, H, W) -> (K, D).

        All classes run in one flat batch, in chunks. A network with batch statistics sees all images in a single
        forward, so that its statistics mix the classes (Zhao & Bilen 2023). `differentiable` keeps the graph back to
        the images; otherwise none is built.
        """
        with torch.set_grad_enabled(differentiable):
            embeddings = self._in_chunks(network.embed, images.flatten(0, 1), whole=network.batch_statistics)
            return embeddings.unflatten(0, images.shape[:2]).mean(1)

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Predicted class of each normalised image (N, C, H, W) -> (N,). Call `network.eval()` before."""
        with torch.no_grad():
            return self._in_chunks(network, images, whole=False).argmax(1)

    def add_gradients(self, network: Network, images: Tensor, labels: Tensor) -> None:
        """Add to each weight's `.grad` the gradient of the mean cross-entropy of one batch (N, C, H, W), (N,).

        Chunk by chunk, forward and backward, so that activations stay in the cache; networks with batch statistics
        see the whole batch.
        """
        size = self._chunk_size(len(images), whole=network.batch_statistics)
        for some_images, some_labels in zip(images.split(size), labels.split(size), strict=True):
            logits = self._run(network, some_images)
            (F.cross_entropy(logits, some_labels, reduction="sum") / len(images)).backward()

    def _chunk_size(self, count: int, *, whole: bool) -> int:
        """Equal chunks, so that compiled code serves few shapes; all `count` images where they must stay together."""
        return count if whole else math.ceil(count / math.ceil(count / self.execution.chunk))

    def _in_chunks(self, function: Callable[[Tensor], Tensor], images: Tensor, *, whole: bool) -> Tensor:
        size = self._chunk_size(len(images), whole=whole)
        chunks = list(images.split(size))
        if self.execution.compile and len(chunks[-1]) < size:
            chunks[-1] = torch.cat([chunks[-1], chunks[-1].new_zeros(size - len(chunks[-1]), *images.shape[1:])])
        return torch.cat([self._run(function, chunk) for chunk in chunks])[: len(images)]

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


def _device_kind(device: str) -> str:
    kind = device.partition(":")[0]
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"--device {device}: this PyTorch sees no CUDA device; take --device cpu")
    if kind not in _CHUNK_BYTES:
        raise InputError(f"unknown device {device!r}: take auto, cpu, cuda or cuda:N")
    return kind


def _missing_compiler(kind: str) -> str:
    """What torch.compile lacks on this machine; empty when it lacks nothing."""
    if kind == "cuda":
        return "" if find_spec("triton") else "the triton package is missing"
    if not any(map(shutil.which, [os.environ.get("CXX", "g++"), "g++", "clang++"])):
        return "no C++ compiler was found (g++ or clang++)"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return "" if header.exists() else f"Python's headers are missing ({header})"


def _power_of_two(value: int, low: int, high: int) -> int:
    return min(max(1 << max(value.bit_length() - 1, 0), low), high)


def _set_switches(threads: int, cudnn_tf32: bool, matmul: str) -> None:
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = cudnn_tf32
    torch.set_float32_matmul_precision(matmul)
