"""Process many items in threads, with results in order and few of them in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from ...utils import hardware
from ..options import ReadProgress

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_REPORTS = 200  # number of progress reports in total


def workers() -> int:
    """Return the number of threads: one per processor that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ordered(
    work: Callable[[_Item], _Result], items: Sequence[_Item], what: str, progress: ReadProgress, *, each: int = 1
) -> Iterator[_Result]:
    """Yield work(item) of every item, in order, with at most two items per thread in progress.

    each: bytes that one item may take; fewer items are in progress when they would take a quarter of the free memory.
    what: passed to `progress` with the number of results. Raise the first error of `work`, and cancel the rest.
    """
    every = max(len(items) // _REPORTS, 1)
    remaining = iter(items)
    pool = ThreadPoolExecutor(workers())
    most = max(1, min(2 * workers(), hardware.available_memory() // 4 // each))
    waiting: deque[Future[_Result]] = deque()
    try:
        progress(what, 0, len(items))
        waiting.extend(pool.submit(work, item) for item in islice(remaining, most))
        for done in range(1, len(items) + 1):
            result = waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(remaining, 1))
            yield result
            if done % every == 0 or done == len(items):
                progress(what, done, len(items))
    finally:
        pool.shutdown(cancel_futures=True)
