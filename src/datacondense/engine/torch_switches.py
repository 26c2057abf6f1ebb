# pyright: reportUnknownMemberType=false
"""PyTorch's process-wide switches: threads, determinism, TF32, limits of compilation; memory that is kept."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache

import torch

from ..utils.signal_mask import interrupts_blocked
from .execution import Execution

_LEARNT_BYTES = 2**25 - 2**16  # just below glibc's limit, with room for its header


@contextmanager
def switches_for(execution: Execution) -> Generator[None, None, None]:
    """Set the switches by an Execution, and restore them on leaving."""
    threads = torch.get_num_threads()
    _keep_freed_memory()
    with ExitStack() as stack:
        torch.set_num_threads(execution.threads)
        stack.callback(torch.set_num_threads, threads)
        if torch.device(execution.device).type == "cuda":
            stack.enter_context(cuda_switches(tf32=execution.precision == "tf32"))
        if execution.compile:
            # Networks share their forward's code, on which PyTorch counts compilations, and past 8 it would run
            # uncompiled without a warning. PyTorch 2.6 has these limits nowhere else than in this private module.
            from torch._dynamo import config

            with interrupts_blocked():  # the processes that compile would report Ctrl-C at length
                _start_compilers()
            limits: AbstractContextManager[None] = config.patch(  # pyright: ignore[reportUnknownVariableType]
                recompile_limit=1024, accumulated_recompile_limit=4096, fail_on_recompile_limit_hit=True
            )
            stack.enter_context(limits)  # pyright: ignore[reportUnknownArgumentType]
        yield


@contextmanager
def cuda_switches(*, tf32: bool) -> Generator[None, None, None]:
    """Make convolutions deterministic, and use TF32 if requested; restore both on leaving."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision()
    cudnn.deterministic, cudnn.allow_tf32 = True, tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32 = before[:2]
        torch.set_float32_matmul_precision(before[2])


@cache
def _keep_freed_memory() -> None:
    """Let the C library reuse freed tensors instead of returning them to the system, which would clear their pages.

    glibc learns from the largest block of up to 32 MiB that was freed: from then on it takes smaller ones from its heap
    and keeps up to twice as much of it. Without this, activations of a few MB are cleared again in each step.
    """
    torch.empty(_LEARNT_BYTES, dtype=torch.uint8, device="cpu")


def _start_compilers() -> None:
    """Start the processes in which PyTorch compiles, if its version has them; no public function does it."""
    from torch._inductor import async_compile

    start: Callable[[], None] | None = getattr(async_compile, "maybe_warm_pool", None)
    if start is not None:
        start()
