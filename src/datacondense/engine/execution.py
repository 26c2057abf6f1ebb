# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Device, precision, compilation and chunks: `Compute` is the request, `Execution` the plan."""

import math
import os
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, final

import torch
from msgspec import Meta
from typing_extensions import TypedDict

from ..data.spec import Spec
from ..networks import build
from ..utils.distributed import Processes
from ..utils.errors import InputError
from ..utils.ranges import Batch, check_fields, plain_fields
from ..utils.schema import DEVICE, Fields, Positive, check, to_dict
from .cost import forward_cost
from .precision import Settled, auto_precision, note_slow_bf16


class ExecutionFields(Fields, kw_only=True, forbid_unknown_fields=True):
    """The fields of `Execution` in a file. A resumed run takes all of them, so an unknown field is an error."""

    device: Annotated[str, Meta(pattern=DEVICE)]
    precision: Settled
    compile: bool
    chunk: Positive
    classes_at_once: Positive
    threads: Annotated[int, Meta(ge=1, le=2**12)]
    graphs: bool = False


Precision = Literal["auto", "fp32", "tf32", "bf16"]
Compile = Literal["auto", "on", "off", "graphs"]

_HELD_BYTES = 2**30  # on a CPU, for all classes that are compared together: their images, activations and gradients
# On a CPU, of the widest layer of all images of a chunk: what stays in the cache. Uncompiled code holds several such
# layers at a time, and the C library returns large ones to the system, which clears them each time they are used.
_CHUNK_BYTES = {"compiled": 2**24, "uncompiled": 2**23}
_HELD_SHARE, _CHUNK_SHARE = 8, 64  # on a GPU, the same as parts of its memory
_NETWORKS_SIDE_BY_SIDE = {"cpu": False, "cuda": True}
_COMPILE_PAYS = {"cpu": 5e12, "cuda": 5e14}  # floating-point operations: about half a minute of eager work


@final
@dataclass(frozen=True)
class Workload:
    """Work and memory of one iteration of a method, for each class."""

    passes: int
    """Images passed forward; a backward counts as two."""
    real: int
    """Real images held at a time."""
    synthetic: int
    """Synthetic images whose activations are held at a time."""
    gradients: int = 0
    """Gradients of all weights held at a time."""
    updates: int = 1
    """Updates of the images in one iteration."""
    together: int = 1
    """Updates that share one batch of real images, and the work on it."""
    epochs: int = 0
    """Epochs that a network trains on the synthetic images between two updates."""


@final
@dataclass(frozen=True)
class Execution:
    """Settled device, precision and chunks. Each may change the last bits of a result, so a resumed run keeps all."""

    device: str
    precision: Settled
    compile: bool
    chunk: int
    """Images in one forward."""
    classes_at_once: int
    """Classes whose images are compared together; fewer need less memory."""
    threads: int
    graphs: bool = False
    """Compiled code runs as CUDA graphs."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; without `graphs` where it is False, as in older records."""
        return {name: value for name, value in asdict(self).items() if name != "graphs" or value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Execution":
        """Return the inverse of `to_json`. Raises DamagedFile for a field that is missing, unknown or invalid."""
        return cls(**to_dict(check(values, ExecutionFields)))

    def halved(self) -> "Execution":
        """Return an Execution with chunks of half the size, or an equal one if they are already the smallest."""
        return replace(self, chunk=max(self.chunk // 2, 1), classes_at_once=max(self.classes_at_once // 2, 1))


@final
@dataclass(frozen=True)
class Compute:
    """The requested device, precision, compilation and memory; `plan` settles the open ones."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N; auto takes a GPU if PyTorch sees one."""
    precision: Precision = "auto"
    """Arithmetic of the networks: auto takes tf32 on an NVIDIA GPU and fp32 elsewhere. With bf16, convolutions and
    linear layers multiply bf16; weights, the statistics of norms, logits, losses and images are fp32."""
    compile: Compile = "auto"
    """torch.compile: auto compiles if the work is long enough to repay it and a compiler is installed; graphs compiles
    to CUDA graphs."""
    classes_at_once: Batch | None = None
    """Classes whose images are compared together; fewer need less memory. None takes as many as fit."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def plan(self, arch: str, spec: Spec, passes: int, load: Workload | None = None) -> Execution:
        """Settle the open fields, by rules that give the same answer each time on one machine.

        Without `classes_at_once`, as many classes are compared together as fit 1 GiB (an eighth of the memory of a
        GPU), at least one; all of them without a load.

        Args:
            arch: architecture of the networks.
            spec: of the images.
            passes: images that the whole run passes forward; they decide whether compilation pays.
            load: what one iteration holds in memory.

        Returns:
            The execution, which this machine can run.

        Raises:
            InputError: a field is out of range, or this machine lacks the device, the precision or the compiler.
        """
        check_fields(self)
        device = resolve_device(self.device)
        kind = _kind(device)
        memory = _memory(device) if kind == "cuda" else None
        with torch.device("meta"):
            network = build(arch, spec)
            flops, widest, layers = forward_cost(network, spec)
        classes = self.classes_at_once
        if classes is None and load is not None:
            weights = 4 * sum(weight.numel() for weight in network.parameters())
            images = 4 * 4 * math.prod(spec.shape) * load.real  # as sampled, augmented, and twice in between
            per_class = images + layers * load.synthetic + weights * load.gradients
            classes = (memory // _HELD_SHARE if memory else _HELD_BYTES) // max(per_class, 1)
        pays = passes * flops >= _COMPILE_PAYS[kind] and not _missing_compiler(kind)
        compiles = self.compile in ("on", "graphs") or (self.compile == "auto" and pays)
        precision = auto_precision(kind, compiled=compiles) if self.precision == "auto" else self.precision
        chunk_bytes = memory // _CHUNK_SHARE if memory else _CHUNK_BYTES["compiled" if compiles else "uncompiled"]
        if precision == "bf16":
            widest //= 2  # between the layers, half of the bytes of fp32
        execution = Execution(
            device=device,
            precision=precision,
            compile=compiles,
            graphs=self.compile == "graphs",
            chunk=_power_of_two(chunk_bytes // widest, 8, 256 if kind == "cpu" else 8192),
            classes_at_once=spec.classes if classes is None else min(max(classes, 1), spec.classes),
            threads=torch.get_num_threads(),
        )
        check_available(execution)
        return execution


class ComputeOptions(TypedDict, total=False):
    """Short forms of the fields of `Compute`, as keywords."""

    device: str
    """auto, cpu, cuda or cuda:N."""
    precision: Precision
    """Arithmetic of the networks: auto, fp32, tf32 or bf16."""
    compile: Compile
    """torch.compile: auto, on, off or graphs."""


class RunComputeOptions(ComputeOptions, total=False):
    """Short forms of all fields of `Compute`, as keywords."""

    classes_at_once: Batch | None
    """Classes whose images are compared together; fewer need less memory. None takes as many as fit."""


def resolve_compute(compute: Compute | None, options: Mapping[str, Any]) -> Compute:
    """Return `compute`, or a Compute built from the short forms among `options`.

    Raises:
        InputError: both were passed, or a value is out of range.
    """
    short = {field.name: options[field.name] for field in fields(Compute) if field.name in options}
    if compute is None:
        compute = Compute(**short)
    elif not isinstance(compute, Compute):  # pyright: ignore[reportUnnecessaryIsInstance] (callers may lack types)
        raise InputError(f"compute={compute!r} is not a Compute: give one, such as datacondense.Compute(device='cpu')")
    elif short:
        raise InputError(f"compute and {', '.join(short)} exclude each other: set {', '.join(short)} in compute")
    check_fields(compute)
    return plain_fields(compute)


def networks_at_once(execution: Execution, arch: str, spec: Spec, batch: int) -> int:
    """Return the number of networks that train side by side on batches of `batch` images.

    On a GPU as many as an eighth of its memory holds; on a CPU one, whose activations stay in the cache.
    """
    kind = _kind(execution.device)
    if not _NETWORKS_SIDE_BY_SIDE[kind]:
        return 1
    with torch.device("meta"):
        network = build(arch, spec)
        _, _, layers = forward_cost(network, spec)
    if not network.side_by_side:
        return 1
    weights = 4 * sum(weight.numel() for weight in network.parameters())
    per_network = 2 * layers * batch + 4 * weights  # backward keeps as much again; gradient, momentum and a copy
    return max(_memory(execution.device) // _HELD_SHARE // per_network, 1)


def resolve_device(device: str) -> str:
    """Return the device, with auto resolved. Raises InputError for an unknown one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    _check_device(device)
    return device


def check_shared(device: str, processes: Processes) -> None:
    """Raise InputError for a GPU by its number when several processes share the work: each has its own."""
    if processes.size > 1 and device.startswith("cuda:"):
        raise InputError(
            f"--device {device}: several processes cannot share one GPU: use --device cuda, which gives each its own"
        )


def check_available(execution: Execution) -> None:
    """Raise InputError when this machine lacks the device, its precision or the compiler that an Execution needs."""
    kind = _kind(execution.device)
    _check_device(execution.device)
    if execution.precision == "tf32" and kind != "cuda":
        raise InputError("--precision tf32 needs an NVIDIA GPU: use fp32 or bf16")
    if execution.graphs and kind != "cuda":
        raise InputError("--compile graphs needs an NVIDIA GPU: use on")
    if execution.precision == "bf16" and kind == "cpu":
        note_slow_bf16()
    missing = _missing_compiler(kind)
    if execution.compile and missing:
        raise InputError(f"torch.compile cannot work here: {missing}; install it or use --compile off")


def _check_device(device: str) -> None:
    if _kind(device) == "cuda":
        index = torch.device(device).index or 0
        if index >= torch.cuda.device_count():
            raise InputError(f"--device {device}: PyTorch sees {torch.cuda.device_count()} CUDA devices")


def _memory(device: str) -> int:
    """Return the memory of a GPU, in bytes."""
    return torch.cuda.get_device_properties(device).total_memory


def _kind(device: str) -> str:
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in _COMPILE_PAYS:
        raise InputError(f"unknown device {device!r}: use auto, cpu, cuda or cuda:N")
    return kind


def _missing_compiler(kind: str) -> str:
    """Return the part that torch.compile lacks on this machine; empty if it lacks nothing."""
    if kind == "cuda" and not find_spec("triton"):
        return "the triton package is missing"
    compilers = [os.environ.get("CC", "gcc"), "clang"] if kind == "cuda" else [os.environ.get("CXX", "g++")]
    if not any(map(shutil.which, compilers)):
        return f"no compiler was found ({' or '.join(compilers)})"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return "" if header.exists() else f"Python's headers are missing ({header})"


def _power_of_two(value: int, low: int, high: int) -> int:
    return min(max(1 << max(value.bit_length() - 1, 0), low), high)
