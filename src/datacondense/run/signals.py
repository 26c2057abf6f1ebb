"""Ctrl-C, SIGTERM and a time budget as a request to stop at the next good moment."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

from ..utils.errors import Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@final
class Asked:
    """Whether a signal has asked to stop, and which: true when called then."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.signal: int | None = None
        self.tell = tell

    def __call__(self) -> bool:
        return self.signal is not None


_asked: Asked | None = None


@contextmanager
def stop_signals(tell: Callable[[str], None] = lambda text: None) -> Iterator[Asked]:
    """Take Ctrl-C and SIGTERM for a request to stop, inside. A second Ctrl-C stops at once.

    tell: told of the request. Inside another such block it is the request of that one.
    """
    global _asked
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield Asked(tell)
        return
    if _asked is not None:
        outer, _asked.tell = _asked.tell, tell
        try:
            yield _asked
        finally:
            _asked.tell = outer
        return
    asked = _asked = Asked(tell)

    def ask(number: int, _frame: object) -> None:
        if asked():
            raise KeyboardInterrupt
        asked.signal = number
        name = signal.Signals(number).name
        asked.tell(f"{name}: stopping between two updates of the images; once more stops at once")

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield asked
    finally:
        _asked = None
        for number, handler in before.items():
            signal.signal(number, handler)


@final
class Stop:
    """When a session has to stop: after a signal, or after `budget` seconds, counted from now."""

    def __init__(self, budget: float | None = None) -> None:
        self.asked = Asked(lambda text: None)
        self.budget = budget
        self.began = time.perf_counter()

    def __call__(self) -> bool:
        return self.asked() or self.late

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return self.budget is not None and time.perf_counter() - self.began >= self.budget

    def share(self, parts: int) -> int:
        """Return how many of so many equal parts of the time are over; 0 without a budget."""
        return int(parts * (time.perf_counter() - self.began) / self.budget) if self.budget else 0

    def cuts(self, compiles: bool) -> bool:
        """Return whether an error is one of a compiler that the signal has reached as well, and so tells nothing."""
        return compiles and self.asked()

    def error(self, what: str) -> Stopped:
        """Return the error for work before the first iteration that is not finished."""
        cause = signal.Signals(self.asked.signal).name if self.asked.signal else "the time budget"
        return Stopped(
            f"stopped by {cause} before the first iteration ({what}): there is no new set, and what was there is as it "
            f"was; the same command goes on with what it has trained, which is in the cache",
            self.asked.signal,
        )
