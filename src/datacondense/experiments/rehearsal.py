"""Memories of continual learning: what is kept of the classes of each step, made by a method or read from a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from ..data import splits
from ..data.image_set import ImageSet
from ..methods import Method
from ..run.directory import RunDirectory
from ..run.driver import condense
from ..run.observers import Observer
from ..run.signals import stop_signals
from ..synthetic.set import SyntheticSet
from ..utils.distributed import Processes
from ..utils.errors import InputError, Stopped


@final
@dataclass(frozen=True)
class Kept:
    """What a memory keeps of the classes of one step."""

    part: SyntheticSet
    """With the labels that the classes have in the whole set."""
    place: Path
    """Where it is, and where the scores at this step go."""
    seconds: float


@final
@dataclass(frozen=True)
class Condensing:
    """A memory that a method makes, each step in a run directory of its own."""

    method: Method
    train: ImageSet
    per_class: int
    out: Path
    overwrite: bool
    observers: tuple[Observer, ...]
    how: dict[str, Any]
    processes: Processes

    def steps(self, seed: int, steps: Sequence[Sequence[int]]) -> Iterator[Kept]:
        """What is kept at each step of an order. Raises Stopped where the user stops the method."""
        for number, classes in enumerate(steps):
            place = self.out / f"order{seed}" / f"step{number + 1}"
            with stop_signals() as asked:
                made = condense(
                    self.method,
                    of_classes(self.train, classes),
                    self.per_class,
                    seed=seed,
                    out=place,
                    resume=not self.overwrite,
                    overwrite=self.overwrite,
                    observers=() if _complete(place) and not self.overwrite else self.observers,
                    processes=self.processes,
                    **self.how,
                )
            done = made.provenance["iterations_done"]
            if done < self.method.iterations:
                without = " without --overwrite" if self.overwrite else ""
                raise Stopped(
                    f"stopped after iteration {done} in {place}: the same command{without} goes on", asked.signal
                )
            numbers = torch.tensor(classes)
            part = SyntheticSet(made.images, numbers[made.labels], self.train.spec, made.provenance)
            yield Kept(part, place, made.provenance["wall_seconds"])


def _complete(place: Path) -> bool:
    """Whether there is nothing to do in a run directory: there are many, of which nobody wants to read."""
    run = RunDirectory(place)
    return run.has_run() and run.recorded().get("status") == "complete"


def of_classes(real: ImageSet, classes: Sequence[int]) -> ImageSet:
    """The images of some classes as a set of its own, whose labels are the places in `classes`.

    Mean and standard deviation stay those of the whole set, as published.
    """
    images, labels = splits.select_classes(real, torch.from_numpy(splits.new_numbers(classes, real.spec.classes)))
    spec = replace(real.spec, class_names=tuple(real.spec.class_names[k] for k in classes))
    return ImageSet(images, labels, spec)


def given(one: SyntheticSet, steps: Sequence[Sequence[int]], place: Path) -> Iterator[Kept]:
    """What a finished memory has of each step."""
    for number, classes in enumerate(steps):
        index = torch.nonzero(torch.isin(one.labels, torch.tensor(classes))).flatten()
        images, labels = one.batch(index)
        directory = place / f"step{number + 1}"
        directory.mkdir(parents=True, exist_ok=True)
        yield Kept(SyntheticSet(images, labels, one.spec, one.provenance), directory, 0.0)


def steps_of(one: SyntheticSet, train: ImageSet, steps: int) -> list[list[int]]:
    """The classes of each step of a finished memory. Raises InputError where it is none, or of other steps."""
    difference = train.spec.difference(one.spec)
    if difference:
        raise InputError(f"the memory is of other data than {train.spec.name}: {difference}")
    found = one.provenance.get("steps")
    if not isinstance(found, list):
        raise InputError("the set does not tell in which steps its classes came: name a file of continual learning")
    numbers = {name: k for k, name in enumerate(train.spec.class_names)}
    if any(name not in numbers for step in found for name in step):
        raise InputError("the set tells of classes that the data do not have")
    each = [name for step in found for name in step]
    present = {one.spec.class_names[label] for label in one.labels.unique().tolist()}
    if len(set(each)) < len(each) or set(each) != present or not all(found):
        raise InputError("the steps of the set do not have each class of its images once")
    if len(found) != steps:
        raise InputError(f"the memory came in {len(found)} steps, not in --steps {steps}")
    return [[numbers[name] for name in step] for step in found]
