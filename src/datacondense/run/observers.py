"""Observers of a run: displays, loggers, and objects of users of the Python interface."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError


@final
@dataclass(frozen=True)
class RunProgress:
    """The progress of a run after an iteration."""

    iteration: int
    """Iterations that are done."""
    iterations: int
    """Iterations of the whole run."""
    loss: float
    """Mean over the updates of this iteration."""
    seconds: float
    """Wall time over all sessions of the run."""


class Observer:
    """Base class of objects that `condense` notifies. Override what you need; no method may change the run."""

    def preparing(self, done: float, what: str) -> None:
        """Receive the progress of long work before the first iteration, for methods with such work.

        Args:
            done: the part of this work that is done, in [0, 1].
            what: the name of the work; a new name means new work.
        """

    def update(self, done: float, iterations: int) -> None:
        """Receive the progress inside an iteration of several updates.

        Args:
            done: iterations that are done, with a fraction.
            iterations: iterations of the whole run.
        """

    def progress(self, progress: RunProgress) -> None:
        """Receive the progress after each iteration.

        Args:
            progress: iterations, loss and seconds.
        """

    def images(self, iteration: int, synthetic: SyntheticSet) -> None:
        """Receive the set when a session starts, at snapshots and checkpoints, and when it ends.

        Args:
            iteration: iterations that are done; each occurs once in a session.
            synthetic: the set at this iteration.
        """

    def message(self, text: str) -> None:
        """Receive a message for the user.

        Args:
            text: one line.
        """


@final
class Observers(Observer):
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._all = tuple(observers)
        # a set is made only for observers that look at it
        self._looking = tuple(one for one in self._all if type(one).images is not Observer.images)

    @property
    def look(self) -> bool:
        """Return whether one of them uses images."""
        return bool(self._looking)

    def preparing(self, done: float, what: str) -> None:
        for one in self._all:
            one.preparing(done, what)

    def update(self, done: float, iterations: int) -> None:
        for one in self._all:
            one.update(done, iterations)

    def progress(self, progress: RunProgress) -> None:
        for one in self._all:
            one.progress(progress)

    def images(self, iteration: int, synthetic: SyntheticSet) -> None:
        for one in self._looking:
            one.images(iteration, synthetic)

    def message(self, text: str) -> None:
        for one in self._all:
            one.message(text)


def checked_observers(observers: Iterable[Observer]) -> tuple[Observer, ...]:
    """Return the observers, also those of an iterator. Raise InputError for an object that is no Observer."""
    found = tuple(observers)
    for one in found:
        if not isinstance(one, Observer):
            raise InputError(f"{one!r} is not an observer: derive its class from datacondense.Observer")
    return found
