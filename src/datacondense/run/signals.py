"""Turn Ctrl-C, SIGTERM and a time budget into a request to stop between two updates."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

from ..utils.errors import Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@final
class Request:
    """The signal that requests a stop; calling it returns whether there was one."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.signal: int | None = None
        self.report = report

    def __call__(self) -> bool:
        return self.signal is not None


_request: Request | None = None


@contextmanager
def stop_signals(report: Callable[[str], None] = lambda text: None) -> Iterator[Request]:
    """Turn Ctrl-C and SIGTERM inside the block into a request to stop. A second Ctrl-C stops at once.

    report: called with a message on the request. A nested block shares the request of the outer one.
    """
    global _request
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield Request(report)
        return
    if _request is not None:
        outer, _request.report = _request.report, report
        try:
            yield _request
        finally:
            _request.report = outer
        return
    request = _request = Request(report)

    def handle(number: int, _frame: object) -> None:
        if request():
            raise KeyboardInterrupt
        request.signal = number
        name = signal.Signals(number).name
        request.report(f"{name}: stopping after this update of the images; a second Ctrl-C stops at once")

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield request
    finally:
        _request = None
        for number, handler in before.items():
            signal.signal(number, handler)


def stoppable(report: Callable[[float, str], None], request: Request, unfinished: str) -> Callable[[float, str], None]:
    """Return a report of a fraction done and what is done, which first raises Stopped after a request to stop.

    unfinished: what is lost, and how to continue.
    """

    def call(done: float, what: str) -> None:
        if request():
            raise Stopped(unfinished, request.signal)
        report(done, what)

    return call


@final
class Stop:
    """The stop of a session: after a signal, or after `budget` seconds, counted from now."""

    def __init__(self, budget: float | None = None) -> None:
        self.request = Request(lambda text: None)
        self.budget = budget
        self.began = time.perf_counter()

    def __call__(self) -> bool:
        return self.request() or self.late

    @property
    def late(self) -> bool:
        """Return whether the time is up."""
        return self.budget is not None and time.perf_counter() - self.began >= self.budget

    def share(self, parts: int) -> int:
        """Return the number of equal parts of the time that have passed; 0 without a budget."""
        return int(parts * (time.perf_counter() - self.began) / self.budget) if self.budget else 0

    def cuts(self, compiles: bool) -> bool:
        """Return whether an error comes from a compiler that the signal interrupted too, and is therefore no fault."""
        return compiles and self.request()

    def error(self, what: str) -> Stopped:
        """Return the error for unfinished work before the first iteration."""
        cause = signal.Signals(self.request.signal).name if self.request.signal else "the time budget"
        return Stopped(
            f"stopped by {cause} before the first iteration ({what}): no set was written, and earlier files are "
            f"unchanged; the same command continues with the trained networks in the cache",
            self.request.signal,
        )
