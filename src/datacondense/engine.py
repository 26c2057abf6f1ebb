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

_HELD_BYTES = {"cpu": 2**30, "cuda": 2**34}  # of the images of all classes compared together, and their activations
_CHUNK_BYTES = {"cpu": 2**24, "cuda": 2**31}  # of the widest layer of all images of a chunk
_CLASSES_SIDE_BY_SIDE = {"cpu": False, "cuda": True}  # batched weight gradients of convolutions cost a CPU twice a loop
_COMPILE_PAYS = {"cpu": 5e12, "cuda": 5e14}  # floating-point operations: about half a minute of eager work


@final
@dataclass(frozen=True)
class Load:
    """What one iteration of a method asks of the machine, for each class."""

    passes: int
    """Images passed forward; a backward counts as two."""
    real: int
    """Real images held at a time."""
    synthetic: int
    """Synthetic images whose activations are held at a time."""


@final
@dataclass(frozen=True)
class Execution:
    """How a run computes. Everything here may change the last bits of a result, so a resumed run keeps it."""

    device: str
    precision: Precision
    compile: bool
    chunk: int
    """Images in one forward."""
    classes_at_once: int
    """Classes whose images are compared together; fewer need less memory."""
    threads: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    arch: str,
    spec: Spec,
    passes: int,
    *,
    load: Load | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    compile: Compile = "auto",
    classes_at_once: int | None = None,
) -> Execution:
    """Settle what was left to us, by rules that give the same answer each time on one machine.

    passes: how many images the whole run will pass forward. `compile="auto"` compiles when the arithmetic on them is
    long enough to pay for compiling and a compiler is there.
    load: what is held in memory; without `classes_at_once`, as many classes are compared together as fit 1 GiB (16 GiB
    on a GPU), and all without a load.
    Raises InputError as `check` does, and for a number of classes below 1.
    """
    if classes_at_once is not None and classes_at_once < 1:
        raise InputError(f"--classes-at-once {classes_at_once}: must be at least 1")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = _kind(device)
    with torch.device("meta"):
        flops, widest, held = _cost(build(arch, spec), spec)
    if load is not None and classes_at_once is None:
        images = 3 * 4 * math.prod(spec.shape) * load.real  # as sampled, augmented, and in between
        classes_at_once = _HELD_BYTES[kind] // max(images + held * load.synthetic, 1)
    pays = passes * flops >= _COMPILE_PAYS[kind] and not _missing_compiler(kind)
    execution = Execution(
        device=device,
        precision=precision,
        compile=compile == "on" or (compile == "auto" and pays),
        chunk=_power_of_two(_CHUNK_BYTES[kind] // widest, 8, 256 if kind == "cpu" else 8192),
        classes_at_once=min(max(classes_at_once or spec.classes, 1), spec.classes),
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
        self._compiled: dict[Callable[..., Any], Callable[..., Any]] = {}
        self._weight_gradients: dict[tuple[Network, bool], Callable[..., dict[str, Tensor]]] = {}

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

    def class_gradients(
        self, network: Network, images: Tensor, labels: Tensor, *, differentiable: bool = False
    ) -> dict[str, Tensor]:
        """Gradient of each class's mean cross-entropy with respect to each weight.

        Normalised images (K, n, C, H, W) with labels (K,) -> {weight: (K, *shape)}. Networks with batch statistics must
        be in evaluation mode, for classes and chunks pass apart. `differentiable` keeps the graph back to the images.
        """
        classes, n = images.shape[:2]
        weights = {name: weight.detach() for name, weight in network.named_parameters()}
        most = max(self.execution.chunk // 2, 1)  # backward keeps as much again
        together = _equal_part(classes, max(most // n, 1)) if _CLASSES_SIDE_BY_SIDE[self.device.type] else 1
        key = network, together > 1
        if key not in self._weight_gradients:
            self._weight_gradients[key] = _weight_gradients(*key)
        size = _equal_part(n, most)
        padding = -n % size if self.execution.compile else 0
        images = F.pad(images, (0, 0) * 3 + (0, padding))
        share = F.pad(images.new_full((n,), 1 / n), (0, padding))  # what each image counts; padding nothing
        blocks = []
        with torch.set_grad_enabled(differentiable):
            for block, of_block in zip(images.split(together), labels.split(together), strict=True):
                parts = zip(block.split(size, dim=1), share.split(size), strict=True)
                chunks = [
                    self._call(self._weight_gradients[key], some, of_block, part, weights) for some, part in parts
                ]
                blocks.append({name: torch.stack([chunk[name] for chunk in chunks]).sum(0) for name in weights})
            return {name: torch.cat([block[name] for block in blocks]) for name in weights}

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
        output = self._call(function, images)
        return output.float() if output.dtype == torch.bfloat16 else output

    def _call(self, function: Callable[..., Any], images: Tensor, *rest: Any) -> Any:
        """Compiled where the Execution says so, in its precision."""
        if self.execution.compile:
            if function not in self._compiled:
                self._compiled[function] = torch.compile(function, dynamic=False)
            function = self._compiled[function]
            if images.dim() == 4:
                images = images.contiguous(memory_format=torch.channels_last)
        if self.execution.precision != "bf16":
            return function(images, *rest)
        with torch.autocast(self.device.type, torch.bfloat16):
            return function(images, *rest)


def _weight_gradients(network: Network, side_by_side: bool) -> Callable[..., dict[str, Tensor]]:
    """A function of images (G, n, C, H, W), labels (G,), shares (n,) and weights: the gradients of G classes' losses.

    The loss of a class is the cross-entropy of its images, each times its share. `side_by_side` runs the classes as one
    batched computation, otherwise G is 1. Differentiation happens inside (torch.func), because what torch.compile has
    compiled can be differentiated once only.
    """

    def loss(weights: dict[str, Tensor], images: Tensor, label: Tensor, share: Tensor) -> Tensor:
        logits = torch.func.functional_call(network, weights, (images,))
        return (F.cross_entropy(logits, label.expand(len(images)), reduction="none") * share).sum()

    of_class = torch.func.grad(loss)
    of_classes = torch.func.vmap(of_class, in_dims=(None, 0, 0, None))

    def gradients(images: Tensor, labels: Tensor, share: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if side_by_side:
            return of_classes(weights, images, labels, share)
        alone = images[0]  # (n, C, H, W)
        if torch.compiler.is_compiling():
            alone = alone.contiguous(memory_format=torch.channels_last)
        return {name: gradient[None] for name, gradient in of_class(weights, alone, labels[0], share).items()}

    return gradients


def _cost(network: Network, spec: Spec) -> tuple[int, int, int]:
    """Of one image: floating-point operations forward, bytes of the widest layer, and bytes of all layers (float32)."""
    layers: list[int] = []

    def measure(module: nn.Module, _args: Any, output: Tensor) -> None:
        if not any(module.children()):
            layers.append(output.numel() * 4)

    hooks = [module.register_forward_hook(measure) for module in network.modules()]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.empty(1, *spec.shape, device="meta"))
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops(), max(layers), sum(layers)


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
