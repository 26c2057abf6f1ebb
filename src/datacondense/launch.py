"""Processes that torchrun, or whoever sets its environment variables, has started to work together."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, final

import torch
import torch.distributed as dist

_LONG = timedelta(days=30)  # one process may wait hours for another's networks; one that has ended is noticed at once
_POLL = 0.01  # seconds


@final
@dataclass(frozen=True)
class _Launch:
    store: Any
    """What all processes can write to."""
    id: str
    """The same after torchrun has started all processes again, because one of them failed."""


_launch: _Launch | None = None


def several() -> bool:
    """Whether this process was started as one of several."""
    return dist.is_available() and {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


@contextmanager
def joined() -> Iterator[None]:
    """Inside, the processes of the launch are PyTorch's process group, each on a GPU of its own if there are enough.

    Nothing happens without a launch, or where there is a process group already.
    """
    global _launch
    if not several() or dist.is_initialized():
        yield
        return
    # not in every build of PyTorch
    from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage] (documented all the same)
    from torch.distributed.rendezvous import rendezvous

    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % gpus)  # what the device `cuda` then means
    enough = 0 < int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= gpus
    store, rank, size = next(iter(rendezvous("env://")))
    while isinstance(store, PrefixStore):
        store = store.underlying_store
    identity = store.compare_set("datacondense/launch", "", uuid.uuid4().hex).decode()
    own = PrefixStore(f"datacondense/{_met(store, rank, size)}", store)
    # Gloo carries the small messages, which are on the CPU; NCCL takes no two processes on one GPU.
    backend = "cpu:gloo,cuda:nccl" if enough else "gloo"
    dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=_LONG)
    _launch = _Launch(own, identity)
    yield
    dist.destroy_process_group()  # not after an error: it would wait for processes that have gone another way


def _met(store: Any, rank: int, size: int) -> str:
    """A name that the processes of this attempt agree on, and no other has.

    torchrun's store outlives an attempt, and what is in it leads to processes that are gone. So each process shows a
    name of its own, and the first answers under that name until all have read the answer.
    """
    mine = uuid.uuid4().hex
    if rank > 0:
        store.set(f"datacondense/here/{rank}", mine)
        while not store.check([f"datacondense/answer/{mine}"]):
            time.sleep(_POLL)  # not `wait`, which no signal interrupts
        name = store.get(f"datacondense/answer/{mine}").decode()
        store.set(f"datacondense/{name}/read/{rank}", "")
        return name
    missing = set(range(1, size))
    while missing:
        for other in [other for other in missing if store.check([f"datacondense/here/{other}"])]:
            store.set(f"datacondense/answer/{store.get(f'datacondense/here/{other}').decode()}", mine)
            if store.check([f"datacondense/{mine}/read/{other}"]):
                missing.remove(other)
        time.sleep(_POLL)
    return mine


def said_first(text: str) -> bool:
    """Whether no other process of the launch has said `text` before: what all find out need be said once only."""
    if _launch is None:
        return True
    try:
        return _launch.store.add(f"said/{text}", 1) == 1
    except RuntimeError:  # the store went with the process that held it
        return True


def mark() -> dict[str, Any] | None:
    """What this process leaves in its files, to know them again after a restart; None without a launch."""
    return {"id": _launch.id, "process": os.getpid()} if _launch else None


def restarted(left: Any) -> bool:
    """Whether a process of this launch that is gone has left the mark `left`."""
    ours = mark()
    return bool(ours and isinstance(left, dict) and left.get("id") == ours["id"] and left != ours)
