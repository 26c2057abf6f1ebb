"""auto(labels="soft"): real images in 8 bits, and mixed views of them with labels of a teacher."""

import math
from pathlib import Path

import msgspec

from ..data.image_set import ImageSet
from ..data.spec import Spec
from ..evaluation.labelling import LabelOptions, label, label_run, labelling_seconds
from ..evaluation.soft_labels import MOST_VIEWS, TEACHER_STEPS, soft_labels, view_bytes, views_for
from ..methods import Random
from ..networks import AUTO as NETWORK
from ..run.directory import RunDirectory
from ..run.driver import condense
from ..run.signals import stoppable
from ..synthetic.provenance import Auto
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError
from .auto_checks import Asked
from .auto_record import SoftChoice
from .auto_task import Task
from .options import AutoOptions

_NAME = "soft labels"
_SHORTER = (1, 2, 4, 8, 16, 32)
"""A teacher learns for one of these parts of its steps, so that a resumed call finds its training in the cache."""
_IMAGES = 10
_PART = 0.85  # of the time that is left goes to the teacher; the rest to its views, and to a slower machine


def soft_set(asked: Asked, task: Task, ipc: int | None, out: Path | None, options: AutoOptions) -> SyntheticSet:
    """Return random real images of each class in 8 bits, seen in mixed views, with labels of a teacher.

    Args:
        asked: The checked arguments of `auto`; its candidates do not apply. The time budget decides the steps of the
            teacher.
        task: The task of this call, with its record: what was chosen before is taken again.
        ipc: Images of each class; None for as many as fit the bytes, with their views.
        out: As in `auto`.
        options: Keywords of `auto`; those of the race do not apply.

    Raises:
        InputError: The number of bytes is too small.
        Stopped: The user stopped the call; what the teacher has learned is kept.
    """
    content = task.record.content
    if content.soft is None:
        content.soft = task.processes.agreed(lambda: plan_soft(asked, ipc, options))
        content.choice = Auto(
            chosen=_NAME,
            why="--labels soft takes real images, mixed views of them, and a teacher of the views",
            candidates=[],
            held_out=0,
            seconds=task.processes.agreed(lambda: round(task.clock.spent, 3)),
            time_budget=task.clock.budget,
            bytes=asked.bytes,
        )
        task.save()
    chosen = content.soft
    for line in chosen.lines():
        task.tell(line)
    begun = task.processes.agreed(lambda: out is not None and task.record.resumed and RunDirectory(out).has_run())
    made = condense(
        _images(options),
        task.real,
        chosen.ipc,
        seed=task.seed,
        out=out,
        compute=task.compute,
        resume=begun,
        overwrite=out is not None and not begun,
        auto=msgspec.to_builtins(content.choice),
        source=options.get("source"),
        processes=task.processes,
        progress=False,
    )
    unfinished = "stopped before the set had labels: the same command with --resume continues"
    report = stoppable(task.observers.preparing, task.request, unfinished)
    labels = _labels(chosen, task.real.spec)

    def labelled() -> SyntheticSet:
        if out is not None:
            return label_run(made, task.real, out, task.compute, report, labels)
        options: LabelOptions = {**labels, "report": report}
        return label(made, task.real, compute=task.compute, **options)

    return task.processes.agreed(labelled)


def plan_soft(asked: Asked, ipc: int | None, options: AutoOptions) -> SoftChoice:
    """Choose images, views, and the steps of the teacher by the time that is left. Raises InputError for few bytes."""
    task, spec = asked.task, asked.task.real.spec
    count, views = _within(asked.bytes, task.real) if asked.bytes else (ipc or _IMAGES, views_for(spec))
    longest = SoftChoice(ipc=count, views=views, steps=TEACHER_STEPS, seconds=0.0)
    labels = _labels(longest, spec)
    whole = labelling_seconds(_images(options), task.real, count, seed=task.seed, compute=task.compute, asked=labels)
    part = next((one for one in _SHORTER if whole / one <= _PART * task.clock.left), _SHORTER[-1])
    return msgspec.structs.replace(longest, steps=TEACHER_STEPS // part, seconds=whole / part)


def _images(options: AutoOptions) -> Random:
    return Random(arch=options.get("arch") or NETWORK, store="u8")


def _labels(chosen: SoftChoice, spec: Spec) -> LabelOptions:
    return {**soft_labels(spec, chosen.steps), "views": chosen.views, "progress": False}


def _within(bytes: int, real: ImageSet) -> tuple[int, int]:
    """Return the most images of each class, and the views of each, that fit a number of bytes.

    Where all real images fit with the usual views, they have more of them, as far as that is usual.
    """
    spec = real.spec
    left = bytes // spec.classes - 8 * len(spec.mean)
    image, view = math.prod(spec.shape), view_bytes(spec)
    if left < image + view:
        raise InputError(f"--bytes {bytes} is not enough for one image of each class and a view of it: give more")
    count, views = left // (image + views_for(spec) * view), views_for(spec)
    if not count:
        return 1, (left - image) // view
    if count <= (most := int(real.counts.max())):
        return count, views
    return most, min((left // most - image) // view, MOST_VIEWS)
