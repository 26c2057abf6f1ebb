"""Who is told what happens in a run: displays, loggers, users of the Python interface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

from ..synthetic.set import SyntheticSet


@final
@dataclass(frozen=True)
class Progress:
    """Where a run stands after an iteration."""

    iteration: int
    """Iterations that are done."""
    iterations: int
    loss: float
    """Mean over the updates of this iteration."""
    seconds: float
    """Wall time over all sessions of the run."""


class Observer(Protocol):
    """Is told what happens in a run. It must not change the run."""

    def progress(self, progress: Progress) -> None:
        """An iteration is done."""
        ...

    def message(self, text: str) -> None:
        """Something that the user should read, one line."""
        ...


@runtime_checkable
class UpdateObserver(Observer, Protocol):
    """Is told of updates inside an iteration too, where a method makes several in one."""

    def update(self, done: float, iterations: int) -> None:
        """An update is done, but not yet its iteration. done: iterations, with a fraction."""
        ...


@runtime_checkable
class StartObserver(Observer, Protocol):
    """Is told of long work before the first iteration too, where a method has some."""

    def preparing(self, done: float, what: str) -> None:
        """done: which part of it. what: in words; after another text it is other work."""
        ...


@runtime_checkable
class ImageObserver(Observer, Protocol):
    """Is shown the images too: as a session starts, at snapshots and checkpoints, and as it ends."""

    def images(self, iteration: int, synthetic: SyntheticSet) -> None:
        """The set as it is when `iteration` iterations are done; once in a session for each that is shown."""
        ...


def preparing(observers: Sequence[Observer]) -> Callable[[float, str], None]:
    """What tells those of the observers that listen of work before the first iteration."""

    def tell(done: float, what: str) -> None:
        for observer in observers:
            if isinstance(observer, StartObserver):
                observer.preparing(done, what)

    return tell
