"""A call of `auto` with checked arguments, its clock, and the progress that it reports."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

from ..data.image_set import ImageSet
from ..engine.execution import Compute
from ..run.observers import Observer, Observers, RunProgress
from ..run.signals import Request
from ..utils.distributed import Processes
from ..utils.errors import Stopped
from .auto_record import Pace, Record
from .auto_table import Entrant


@final
class Clock:
    """The time of a call: of this session, and of all sessions.

    Args:
        budget: seconds of the whole call.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.began = time.perf_counter()
        self.before = 0.0
        """Seconds of earlier sessions."""

    @property
    def session(self) -> float:
        """Return the seconds of this session."""
        return time.perf_counter() - self.began

    @property
    def spent(self) -> float:
        """Return the seconds of all sessions."""
        return self.before + self.session

    @property
    def left(self) -> float:
        """Return the seconds of the budget that no session has spent."""
        return max(self.budget - self.spent, 0.0)


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """A call of `auto`."""

    real: ImageSet
    entrants: Sequence[Entrant]
    seed: int
    compute: Compute
    processes: Processes
    observers: Observers
    record: Record
    clock: Clock
    request: Request
    hold_out: float
    """Share of the training images of each class on which candidates are scored."""
    most_epochs: int
    most_nets: int
    planned: list[float] = field(default_factory=list)
    """Last planned end of the call, in seconds of all sessions."""

    def trying(self) -> Compute:
        """Return how candidates are tried: compiled only on request, since each would have to be compiled anew."""
        return replace(self.compute, compile="off") if self.compute.compile == "auto" else self.compute

    def tell(self, text: str) -> None:
        """Report a line."""
        self.observers.message(text)

    def save(self) -> None:
        """Write the record as it is now."""
        if self.processes.leads:
            self.record.save(self.clock.spent)

    def check_stop(self) -> None:
        """Raise Stopped if the user has asked to stop."""
        if self.processes.any(self.request()):
            raise self.stopped()

    def stopped(self) -> Stopped:
        """Save the record; return the error for a call that the user stops before its final run."""
        self.save()
        where = "the same command with --resume continues it" if self.record.run else "nothing was kept"
        return Stopped(f"stopped before the final run: no set was written; {where}", self.request.signal)

    def show(self, what: str) -> None:
        """Report the part of the whole call that is done, by time."""
        end = self.planned[-1] if self.planned else self.clock.budget
        self.observers.preparing(min(self.clock.spent / end, 0.99), what)


@final
class Watch(Observer):
    """Measures the speed of a run, and reports its progress as a part of the whole call."""

    def __init__(self, task: Task, what: str) -> None:
        self.task = task
        self.what = what
        self.began = time.perf_counter()
        self.ends: list[float] = []

    def preparing(self, done: float, what: str) -> None:
        self.task.show(self.what)

    def update(self, done: float, iterations: int) -> None:
        self.task.show(self.what)

    def progress(self, progress: RunProgress) -> None:
        self.ends.append(time.perf_counter())
        self.task.show(self.what)

    def message(self, text: str) -> None:
        self.task.tell(f"{self.what}: {text}")

    def pace(self) -> Pace | None:
        """Return the measured speed; None of a run with fewer than three iterations."""
        if len(self.ends) < 3:
            return None
        each = (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)
        return Pace(start=max(self.ends[0] - self.began - each, 0.0), iteration=each)
