"""The output of `--dry-run`, of `condense` and `evaluate`."""

from collections.abc import Iterator, Mapping

import msgspec

from ..engine.execution import Execution
from ..evaluation.dry_run import EvaluationEstimate, NetworkEstimate
from ..run.dry_run import Estimate
from ..utils.timing import duration
from .console import print_json, print_line

_UNITS = {"GB": 1e9, "MB": 1e6, "kB": 1e3}


def estimate_lines(estimate: Estimate, time_budget: float | None) -> Iterator[str]:
    """Yield lines on the time, memory and settings that a run would take."""
    how = estimate.execution
    pace = estimate.iteration_seconds
    iterations = f"{duration(pace * estimate.iterations)} for {estimate.iterations} iterations of {_each(pace)}"
    yield f"time: about {duration(estimate.seconds)}: {duration(estimate.start_seconds)} to start, {iterations}"
    if estimate.training_seconds:
        seconds = duration(estimate.training_seconds)
        yield f"networks: about {seconds} of the start for their training on the real images; the cache keeps them"
    if time_budget is not None and time_budget < estimate.seconds:
        done = int(max(time_budget - estimate.start_seconds, 0) / pace) if pace else 0
        where = f"after about {done} iterations" if done else "before the first iteration ends"
        yield f"--time-budget stops it after {duration(time_budget)}: {where}"
    rest = max(estimate.peak_bytes - estimate.real_bytes, 0)
    whose = "of the GPU" if how.device.startswith("cuda") else "of the process"
    real = f"{size(estimate.real_bytes)} real images" if estimate.real_bytes else "real images are read as needed"
    yield f"memory: peak about {size(estimate.peak_bytes)} {whose}: {real}, {size(rest)} the rest"
    yield f"synthetic images: {estimate.images}, {size(estimate.images_bytes)}"
    yield (
        f"decided: {_decided(how)}, {how.classes_at_once} classes at once in chunks of {how.chunk} images, "
        f"network {estimate.arch}, augmentation {estimate.augment}"
    )


def evaluation_lines(estimates: Mapping[str, EvaluationEstimate]) -> Iterator[str]:
    """Yield lines on the time, memory and settings that an evaluation would take. estimates: by name of the set."""
    parts = [(name, arch, one) for name, each in estimates.items() for arch, one in each.networks.items()]
    total = sum(one.seconds for _, _, one in parts)
    start = sum(one.start_seconds for _, _, one in parts)
    nets = sum(one.nets for _, _, one in parts)
    yield f"time: about {duration(total)}: {duration(start)} to start, {duration(total - start)} for {nets} networks"
    for name, arch, one in parts:
        yield f"{name}: {_networks(arch, one)}"
    on_gpu = any(one.execution.device.startswith("cuda") for _, _, one in parts)
    peak = max(each.peak_bytes for each in estimates.values())
    yield f"memory: peak about {size(peak)} {'of the GPU' if on_gpu else 'of the process'}"
    plans: dict[Execution, list[str]] = {}
    for _, arch, one in parts:
        plans.setdefault(one.execution, []).append(arch)
    for how, archs in plans.items():
        whose = f" for {', '.join(dict.fromkeys(archs))}" if len(plans) > 1 else ""
        yield f"decided{whose}: {_decided(how)}, chunks of {how.chunk} images"


def show_estimates(estimates: Mapping[str, EvaluationEstimate], *, as_json: bool) -> None:
    """Print the lines of an evaluation. as_json: print the estimates as JSON too."""
    for line in evaluation_lines(estimates):
        print_line(line)
    if as_json:
        print_json(msgspec.to_builtins(estimates))


def _networks(arch: str, one: NetworkEstimate) -> str:
    return (
        f"{one.nets} networks {arch} in {duration(one.nets * one.network_seconds)}, each in "
        f"{duration(one.network_seconds)}: {one.epochs} epochs of {_each(one.epoch_seconds)} and a test of "
        f"{_each(one.test_seconds)}"
    )


def _each(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _decided(how: Execution) -> str:
    compiled = "compiled to CUDA graphs" if how.graphs else "compiled" if how.compile else "not compiled"
    return f"device {how.device}, {how.precision}, {compiled}, {how.threads} threads"


def size(count: int) -> str:
    """Return a number of bytes in GB, MB or kB."""
    unit = next((name for name, least in _UNITS.items() if count >= least), "kB")
    return f"{count / _UNITS[unit]:.3g} {unit}"
