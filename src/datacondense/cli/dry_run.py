"""The output of `condense --dry-run`."""

from collections.abc import Iterator

from ..run.dry_run import Estimate
from ..utils.timing import duration

_UNITS = {"GB": 1e9, "MB": 1e6, "kB": 1e3}


def estimate_lines(estimate: Estimate, time_budget: float | None) -> Iterator[str]:
    """Yield lines on the time, memory and settings that a run would take."""
    how = estimate.execution
    pace = estimate.iteration_seconds
    each = f"{pace:.1f} s" if pace >= 1 else f"{1000 * pace:.3g} ms"
    iterations = f"{duration(pace * estimate.iterations)} for {estimate.iterations} iterations of {each}"
    yield f"time: about {duration(estimate.seconds)}: {duration(estimate.start_seconds)} to start, {iterations}"
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
        f"decided: device {how.device}, {how.precision}, {'compiled' if how.compile else 'not compiled'}, "
        f"{how.threads} threads, {how.classes_at_once} classes at once in chunks of {how.chunk} images, "
        f"augmentation {estimate.augment}"
    )


def size(count: int) -> str:
    """Return a number of bytes in GB, MB or kB."""
    unit = next((name for name, least in _UNITS.items() if count >= least), "kB")
    return f"{count / _UNITS[unit]:.3g} {unit}"
