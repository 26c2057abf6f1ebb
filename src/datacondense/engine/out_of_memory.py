"""Out of memory: retry with smaller pieces, and measure the peak."""

import ctypes
import gc
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, final

import torch

from .engine import Engine

T = TypeVar("T")

_MESSAGES = (
    "can't allocate memory",  # PyTorch on a CPU
    "not enough memory",  # the same on Windows
    "CUDA error: out of memory",  # CUDA's own
    "std::bad_alloc",  # C++
    "could not create a primitive",  # oneDNN, which runs convolutions on a CPU
    "STATUS_ALLOC_FAILED",  # libraries of CUDA
)
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on any device, in any wording of PyTorch."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MESSAGES)


def retry_smaller(attempt: Callable[[], T], engine: Engine, restore: Callable[[], None]) -> T:
    """Return the result of `attempt`; where memory runs out, shrink the engine and try again with half as much.

    The engine keeps the size that fitted. The error is raised where the size is the least already.

    Args:
        attempt: The work.
        engine: Its execution decides how much the work holds at a time.
        restore: Undoes what a failed attempt has changed.
    """
    while True:
        try:
            return attempt()
        except (RuntimeError, MemoryError) as error:
            if not (is_out_of_memory(error) and engine.shrink()):
                raise
        restore()  # here the error is gone, and with its traceback all that the attempt held
        release_memory(engine.device)


def release_memory(device: torch.device) -> None:
    """Return freed memory, which allocators keep in pieces of sizes that did not fit, to the system."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
        if trim is not None:
            trim(0)


@final
class Peak:
    """The most bytes held at a time during a block of `peak_memory`; 0 until it has ended."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def peak_memory(device: torch.device) -> Generator[Peak, None, None]:
    """Measure the peak memory of a block; the result is filled in when the block has ended.

    On a GPU, bytes that PyTorch has allocated there. On a CPU, resident memory of the whole process, including earlier
    allocations: the peak is counted from here if Linux can reset it, and since the process began otherwise.
    """
    peak = Peak()
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _reset_peak()
    yield peak
    peak.bytes = torch.cuda.max_memory_allocated(device) if on_gpu else _resident_peak()


def _reset_peak() -> None:
    if _RESET.exists():
        try:
            _RESET.write_text("5")
        except OSError:  # a container may forbid it; the peak is that since the process began then
            return


def _resident_peak() -> int:
    found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE) if _STATUS.exists() else None
    if found:
        return int(found.group(1)) * 1024
    import resource  # only here: it is not on every system

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
