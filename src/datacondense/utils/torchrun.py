"""Processes that torchrun, or whoever sets its environment variables, has started to work together."""

import os
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, final

from .errors import InputError, reason

_TOGETHER = timedelta(hours=1)  # for the sums of an update, which all come to at about the same time
_MEETING = timedelta(minutes=5)
_POLL = 0.01  # seconds
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@final
@dataclass(frozen=True)
class _Launch:
    store: Any
    """What all processes can write to, before and after a restart."""
    id: str
    """The same after torchrun has started all processes again, because one of them failed."""


_launch: _Launch | None = None


def several() -> bool:
    """Return whether this process was started as one of several."""
    if not os.environ.keys() >= set(_VARIABLES):
        return False
    import torch.distributed as dist  # only here and below: a command that needs no torch starts faster without it

    return dist.is_available()


def leads() -> bool:
    """Return whether this process leads, or will when it has joined."""
    dist = sys.modules.get("torch.distributed")
    if dist and dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return not several() or os.environ["RANK"] == "0"


@contextmanager
def joined() -> Iterator[None]:
    """Inside, the processes of the launch are PyTorch's process group, each on a GPU of its own if there are enough.

    Nothing happens without a launch, or where there is a process group already. All processes have come here when the
    first goes on. Raises InputError when they do not within 5 minutes.
    """
    global _launch
    if not several():
        yield
        return
    import torch.distributed as dist

    if dist.is_initialized():
        yield
        return
    # not in every build of PyTorch
    from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage] (documented all the same)
    from torch.distributed.rendezvous import rendezvous

    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=_MEETING)))
    except (dist.DistError, ValueError) as error:
        raise _not_met(reason(error)) from error
    while isinstance(store, PrefixStore):
        store = store.underlying_store
    identity = store.compare_set("datacondense/launch", "", uuid.uuid4().hex).decode()
    own = PrefixStore(f"datacondense/{_met(store, rank, size)}", store)
    own.set(f"gpu/{rank}", str(int(_takes_own_gpu())))
    with_gpus = all(own.get(f"gpu/{other}") == b"1" for other in range(size))
    store.set_timeout(_TOGETHER)
    # NCCL takes no two processes on one GPU.
    backend = "cpu:gloo,cuda:nccl" if with_gpus else "gloo"
    dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=_TOGETHER)
    _launch = _Launch(store, identity)
    yield
    dist.destroy_process_group()  # not after an error: it would wait for processes that have gone another way


def _takes_own_gpu() -> bool:
    """Choose what the device `cuda` means to this process; whether no other process of this machine has the same."""
    import torch

    gpus = torch.cuda.device_count()
    if not gpus or not {"LOCAL_RANK", "LOCAL_WORLD_SIZE"} <= os.environ.keys():
        return False
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    return int(os.environ["LOCAL_WORLD_SIZE"]) <= gpus


def _not_met(why: str) -> InputError:
    said = " ".join(f"{name}={os.environ[name]}" for name in _VARIABLES)
    return InputError(f"the processes of {said} did not meet ({why}): start all of them, by torchrun, or unset these")


def _met(store: Any, rank: int, size: int, within: float = _MEETING.total_seconds()) -> str:
    """A name that the processes of this attempt agree on, and no other has. Raises InputError after so many seconds.

    torchrun's store outlives an attempt, and what is in it leads to processes that are gone. So each process shows a
    name of its own, and the first answers under that name until all have read the answer.
    """
    mine, began = uuid.uuid4().hex, time.monotonic()

    def wait(missing: Iterable[int]) -> None:
        if time.monotonic() - began > within:
            waited = ", ".join(map(str, missing))
            raise _not_met(f"process {rank} has waited {within:g} s for {waited}")
        time.sleep(_POLL)  # not `Store.wait`, which no signal interrupts

    if rank > 0:
        store.set(f"datacondense/here/{rank}", mine)
        while not store.check([f"datacondense/answer/{mine}"]):
            wait([0])
        name = store.get(f"datacondense/answer/{mine}").decode()
        store.set(f"datacondense/{name}/read/{rank}", "")
        return name
    missing = set(range(1, size))
    while missing:
        for other in [other for other in missing if store.check([f"datacondense/here/{other}"])]:
            store.set(f"datacondense/answer/{store.get(f'datacondense/here/{other}').decode()}", mine)
            if store.check([f"datacondense/{mine}/read/{other}"]):
                missing.remove(other)
        wait(sorted(missing))
    return mine


def is_first_report(text: str) -> bool:
    """Return whether no process of the launch has reported `text`, before a restart included: once is enough."""
    if _launch is None:
        return True
    try:
        return _launch.store.add(f"datacondense/said/{text}", 1) == 1
    except RuntimeError:  # the store went with the process that held it
        return True


def mark() -> dict[str, Any] | None:
    """What this process leaves in its files, to know them again after a restart; None without a launch."""
    return {"id": _launch.id, "process": os.getpid()} if _launch else None


def restarted(left: Any) -> bool:
    """Whether a process of this launch that is gone has left the mark `left`."""
    ours = mark()
    return bool(ours and isinstance(left, dict) and left.get("id") == ours["id"] and left != ours)
