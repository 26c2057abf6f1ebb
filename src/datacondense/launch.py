"""Processes that torchrun, or whoever sets its environment variables, has started to work together."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

_LONG = timedelta(days=30)  # one process may wait hours for another's networks; one that has ended is noticed at once
_store: list[Any] = []  # what all processes of the launch can write to; empty without a launch


def several() -> bool:
    """Whether this process was started as one of several."""
    return dist.is_available() and {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


@contextmanager
def joined() -> Iterator[None]:
    """Inside, the processes of the launch are PyTorch's process group, each on a GPU of its own if there are enough.

    Nothing happens without a launch, or where there is a process group already.
    """
    if not several() or dist.is_initialized():
        yield
        return
    from torch.distributed.rendezvous import rendezvous  # not in every build of PyTorch

    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % gpus)  # what the device `cuda` then means
    enough = 0 < int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= gpus
    store, rank, size = next(iter(rendezvous("env://")))
    # Gloo carries the small messages, which are on the CPU; NCCL takes no two processes on one GPU.
    backend = "cpu:gloo,cuda:nccl" if enough else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_LONG)
    _store[:] = [store]
    yield
    dist.destroy_process_group()  # not after an error: it would wait for processes that have gone another way


def said_first(text: str) -> bool:
    """Whether no other process of the launch has said `text` before: what all find out need be said once only."""
    if not _store:
        return True
    try:
        return _store[0].add(f"datacondense/said/{text}", 1) == 1
    except RuntimeError:  # the store went with the process that held it
        return True


def name() -> str | None:
    """What tells one launch from another, the same after a restart; None for a process that torchrun did not start."""
    given = os.environ.get("TORCHELASTIC_RUN_ID")
    return f"{socket.gethostname()}/{os.getppid()}" if given == "none" else given


def restarted() -> bool:
    """Whether torchrun has started all processes again after one of them failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
