"""Start processes that ignore Ctrl-C."""

import signal
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def interrupts_blocked() -> Generator[None]:
    """Shield processes that are started inside from Ctrl-C; this process receives it when the block ends."""
    if not hasattr(signal, "pthread_sigmask"):  # not on every system
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
