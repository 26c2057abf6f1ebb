"""Lines on what `condense` decides where the user has not: for own images, and for the number of iterations."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ..augment import parse
from ..data.image_set import ImageSet
from ..data.registry import DATASETS
from ..engine.cost import forward_cost
from ..engine.execution import resolve_device
from ..methods import METHODS, Method, defaults, method_name
from ..networks import AUTO, build, resolved
from ..run.directory import RunDirectory

_LISTED = 10  # classes whose number of images is listed
_WORK = {"cpu": 1.5e14, "cuda": 1.5e16}
"""Floating-point operations of a run: ten minutes on two cores, or on a GPU."""
_SPEED = {"cpu": 1.25e11, "cuda": 2.5e13}
"""Operations in a second, of each thread of a CPU, or of a GPU: a rough guess."""
_EACH = {"cpu": 2e7, "cuda": 0.0}
"""Operations that take as long as the rest of the work on one image; small images cost little else."""
_LEAST = 50
"""The published iterations are at most as many times the updates of the images that are made at least."""


def data_lines(data: str, train: ImageSet, test: ImageSet) -> Iterator[str]:
    """Yield a line on the images of each class and on each decision of reading; none for a data set known by name.

    Args:
        data: the source, as --data names it.
        train: its training images.
        test: its test images.
    """
    if data in DATASETS:
        return
    counts, names = train.counts.tolist(), train.spec.class_names
    if len(names) <= _LISTED:
        each = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
    else:
        each = f"{min(counts)} to {max(counts)} each"
    yield f"training images: {len(train)} of {len(names)} classes: {each}; test images: {len(test)}"
    yield from train.decisions


def method_lines(data: str, method: Method, train: ImageSet) -> Iterator[str]:
    """Yield a line on mirroring and on the network; none for a data set known by name.

    Args:
        data: the source, as --data names it.
        method: the method as it is requested.
        train: the training images.
    """
    if data in DATASETS:
        return
    if "flip" in parse(method.augment, train.spec).strategies:
        yield "mirroring: on; --no-flip if a mirrored image would be of another class, as letters and digits are"
    if method.arch == AUTO:
        _, height, width = train.spec.shape
        arch = resolved(AUTO, train.spec)
        yield f"network: {arch}, whose depth suits images of {height}x{width}; --arch names another"


def iterations_for(
    method: Method, train: ImageSet, ipc: int, *, device: str, out: Path, resume: bool, bounded: bool
) -> tuple[int, str]:
    """Return the iterations of a method for which the user has given none, and a line on them or nothing.

    Those of the run that is resumed, if there is one; otherwise of the published number as many as take minutes by a
    count of operations, which is the same each time on one kind of device. A method of a plug-in keeps its own number.

    Args:
        method: the method, with its published iterations.
        train: the training images.
        ipc: images of each class.
        device: as --device names it.
        out: run directory.
        resume: the run there is to be continued.
        bounded: a time budget bounds the run, so the published number holds.
    """
    name, published = method_name(method), method.iterations
    if published != defaults(name).get("iterations") or METHODS.code(name) != {}:
        return published, ""
    before = _recorded(out, name) if resume else None
    if before is not None:
        return before, ""
    if bounded:
        return published, ""
    kind = torch.device(resolve_device(device)).type
    work = _operations(method, train, ipc, kind)
    updates = method.workload(ipc * method.views(train.spec)).updates
    count = min(max(_rounded(_WORK[kind] / work), math.ceil(published / _LEAST / updates)), published)
    if count == published:
        return published, ""
    speed = _SPEED[kind] * (torch.get_num_threads() if kind == "cpu" else 1)
    return (
        count,
        f"iterations: {count} of the published {published}, roughly {_minutes(count * work / speed)} of work here; "
        "--iterations or --time-budget decides otherwise",
    )


def _operations(method: Method, train: ImageSet, ipc: int, kind: str) -> float:
    """Return the floating-point operations of an iteration."""
    spec = train.spec
    with torch.device("meta"):
        flops, _, _ = forward_cost(build(method.arch, spec), spec)
    return max(method.workload(ipc * method.views(spec)).passes * spec.classes * (flops + _EACH[kind]), 1.0)


def _recorded(out: Path, name: str) -> int | None:
    """Return the iterations of a run of this method; None if there is none."""
    directory = RunDirectory(out)
    run: dict[str, Any] = directory.recorded() if directory.has_run() else {}
    found = run.get("settings", {}).get("iterations")
    return found if run.get("method") == name else None


def _minutes(seconds: float) -> str:
    return f"{max(round(seconds / 60), 1)} min" if seconds < 2 * 3600 else f"{round(seconds / 3600)} h"


def _rounded(number: float) -> int:
    """Return a number with two digits that are not 0."""
    return int(float(f"{number:.1e}"))
