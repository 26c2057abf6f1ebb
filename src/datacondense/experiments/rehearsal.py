"""Fill a rehearsal memory step by step: images condensed by a method, or taken from a finished set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch

from ..data import splits
from ..data.image_set import ImageSet
from ..engine.execution import Compute
from ..methods import Method, with_network
from ..run.directory import RunDirectory, forget_scores
from ..run.driver import condense
from ..run.observers import Observer
from ..run.signals import stop_signals
from ..synthetic.set import SyntheticSet
from ..synthetic.targets import renumbered
from ..utils.distributed import Processes
from ..utils.errors import InputError
from ..utils.ranges import plain_fields
from .finished import check_finished


@final
@dataclass(frozen=True)
class StepMemory:
    """The images that a rehearsal memory stores for the classes of one step."""

    part: SyntheticSet
    """With the labels of the classes in the whole set."""
    place: Path
    """Directory of this step, for its scores."""
    seconds: float
    """Time to make them."""


@final
@dataclass(frozen=True)
class MethodMemory:
    """A rehearsal memory made by a method, each step in its own run directory."""

    method: Method
    train: ImageSet
    ipc: int
    out: Path
    overwrite: bool
    observers: tuple[Observer, ...]
    compute: Compute
    processes: Processes

    def steps(self, seed: int, steps: Sequence[Sequence[int]]) -> Iterator[StepMemory]:
        """Make the images of each step of one class order. Raises Stopped if the user stops the method.

        All have the recipe of the whole memory, which may depend on its number of images.
        """
        recipe = plain_fields(with_network(self.method, self.train.spec)).recipe(self.train.spec, self.ipc)
        for number, classes in enumerate(steps):
            place = self.out / f"order{seed}" / f"step{number + 1}"
            with stop_signals() as stop:
                made = condense(
                    self.method,
                    select_classes(self.train, classes),
                    self.ipc,
                    seed=seed,
                    out=place,
                    compute=self.compute,
                    resume=not self.overwrite,
                    overwrite=self.overwrite,
                    observers=() if _complete(place) and not self.overwrite else self.observers,
                    processes=self.processes,
                )
            check_finished(made, self.method, stop, place, overwrite=self.overwrite, processes=self.processes)
            labels = renumbered(made.labels, classes, self.train.spec.classes)
            part = SyntheticSet(made.images, labels, self.train.spec, made.provenance, recipe=recipe)
            yield StepMemory(part, place, made.provenance.wall_seconds or 0.0)


def _complete(place: Path) -> bool:
    """Return whether a run directory is complete: the many complete steps need no progress lines."""
    run = RunDirectory(place)
    return run.has_run() and run.recorded().get("status") == "complete"


def select_classes(real: ImageSet, classes: Sequence[int]) -> ImageSet:
    """Return the images of some classes as a separate set, whose labels are the positions in `classes`.

    Mean and standard deviation stay those of the whole set, as published.
    """
    images, labels = splits.select_classes(real, torch.from_numpy(splits.new_numbers(classes, real.spec.classes)))
    spec = replace(real.spec, class_names=tuple(real.spec.class_names[k] for k in classes))
    return ImageSet(images, labels, spec)


def split_memory(
    one: SyntheticSet, steps: Sequence[Sequence[int]], place: Path, *, overwrite: bool
) -> Iterator[StepMemory]:
    """Split a finished rehearsal memory into its steps. `overwrite`: forget earlier scores of a step."""
    for number, classes in enumerate(steps):
        index = torch.nonzero(torch.isin(one.classes, torch.tensor(classes))).flatten()
        images, labels = one.batch(index)
        directory = place / f"step{number + 1}"
        directory.mkdir(parents=True, exist_ok=True)
        if overwrite:
            forget_scores(directory)
        yield StepMemory(SyntheticSet(images, labels, one.spec, one.provenance, recipe=one.recipe), directory, 0.0)


def recorded_steps(one: SyntheticSet, train: ImageSet, steps: int) -> list[list[int]]:
    """Return the classes of each step of a finished memory. Raises InputError where it is none, or of other steps."""
    difference = train.spec.difference(one.spec)
    if difference:
        raise InputError(f"the memory was made from different data than {train.spec.name}: {difference}")
    found = one.provenance.steps
    if not found:
        raise InputError("the set does not record the steps of its classes: name a file of continual learning")
    numbers = {name: k for k, name in enumerate(train.spec.class_names)}
    if any(name not in numbers for step in found for name in step):
        raise InputError("the set records classes that the data do not have")
    each = [name for step in found for name in step]
    present = {one.spec.class_names[label] for label in one.classes.unique().tolist()}
    if len(set(each)) < len(each) or set(each) != present or not all(found):
        raise InputError("the steps of the set do not list each class of its images once")
    if len(found) != steps:
        raise InputError(f"the memory has {len(found)} steps, not --steps {steps}")
    return [[numbers[name] for name in step] for step in found]
