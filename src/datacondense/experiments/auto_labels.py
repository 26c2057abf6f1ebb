"""auto(labels="soft"): real images in 8 bits, and mixed views of them with labels of a teacher."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ..data.spec import Spec
from ..evaluation.labelling import LabelOptions, label, label_run, labelling_seconds
from ..evaluation.soft_labels import TEACHER_STEPS, soft_labels, view_bytes, views_for
from ..methods import Random
from ..networks import AUTO
from ..run.driver import condense
from ..run.signals import Request
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError, Stopped
from ..utils.timing import duration
from .auto_checks import Asked
from .options import AutoOptions

_SHORTER = (1, 2, 4, 8, 16, 32)
"""A teacher learns for one of these parts of its steps, so that a resumed call finds its training in the cache."""
_IMAGES = 10
_PART = 0.85  # of the time that is left goes to the teacher; the rest to its views, and to a slower machine


@final
@dataclass(frozen=True)
class SoftPlan:
    """What `auto` makes with soft labels."""

    method: Random
    ipc: int
    labels: LabelOptions
    lines: Sequence[str]
    """What was chosen."""


def soft_set(asked: Asked, ipc: int | None, out: Path | None, request: Request, options: AutoOptions) -> SyntheticSet:
    """Return random real images of each class in 8 bits, seen in mixed views, with labels of a teacher.

    Args:
        asked: The checked arguments of `auto`; its candidates do not apply. The time budget decides the steps of the
            teacher.
        ipc: Images of each class; None for as many as fit the bytes, with their views.
        out: As in `auto`.
        request: Whether the user has asked to stop.
        options: Keywords of `auto`; those of the race do not apply.

    Raises:
        InputError: The number of bytes is too small.
        Stopped: The user stopped the call; what the teacher has learned is kept.
    """
    task = asked.task
    plan = task.processes.agreed(lambda: plan_soft(asked, ipc, options))
    for line in plan.lines:
        task.tell(line)
    passed: Any = {name: value for name, value in options.items() if name in ("resume", "overwrite", "source")}
    run: Any = {"seed": task.seed, "out": out, "compute": task.compute, "processes": task.processes, "progress": False}
    made = condense(plan.method, task.real, plan.ipc, **run, **passed)

    def report(done: float, what: str) -> None:
        if request():
            raise Stopped("stopped before the set had labels: the same command with --resume continues", request.signal)
        task.observers.preparing(done, what)

    def labelled() -> SyntheticSet:
        if out is not None:
            return label_run(made, task.real, out, task.compute, report, plan.labels)
        options: LabelOptions = {**plan.labels, "report": report}
        return label(made, task.real, compute=task.compute, **options)

    return task.processes.agreed(labelled)


def plan_soft(asked: Asked, ipc: int | None, options: AutoOptions) -> SoftPlan:
    """Choose images, views, and the steps of the teacher by the time that is left. Raises InputError for few bytes."""
    task, spec = asked.task, asked.task.real.spec
    method = Random(arch=options.get("arch") or AUTO, store="u8")
    count, views = _within(asked.bytes, spec) if asked.bytes else (ipc or _IMAGES, views_for(spec))
    labels: LabelOptions = {**soft_labels(spec, TEACHER_STEPS), "views": views, "progress": False}
    whole = labelling_seconds(method, task.real, count, seed=task.seed, compute=task.compute, asked=labels)
    part = next((one for one in _SHORTER if whole / one <= _PART * task.clock.left), _SHORTER[-1])
    labels |= {"training_steps": TEACHER_STEPS // part}
    lines = [
        f"images: {count} random real images of each class in 8 bits, {views} mixed views of each",
        f"teacher: {TEACHER_STEPS // part} steps on real images, about {duration(whole / part)}",
    ]
    return SoftPlan(method, count, labels, lines)


def _within(bytes: int, spec: Spec) -> tuple[int, int]:
    """Return the most images of each class, and the views of each, that fit a number of bytes."""
    left = bytes // spec.classes - 8 * len(spec.mean)
    image, view = math.prod(spec.shape), view_bytes(spec)
    views = views_for(spec)
    if left >= image + views * view:
        return left // (image + views * view), views
    if left < image + view:
        raise InputError(f"--bytes {bytes} is not enough for one image of each class and a view of it: give more")
    return 1, (left - image) // view
