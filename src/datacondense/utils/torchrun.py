"""Processes that were started together by torchrun, or with its environment variables."""

import os
import sys
import time
import uuid
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast, final

from .errors import InputError, reason

_TOGETHER = timedelta(hours=1)  # for the sums of an update, which all processes reach at about the same time
_MEETING = timedelta(minutes=5)
_POLL = 0.01  # seconds
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@final
@dataclass(frozen=True)
class _Launch:
    store: Any
    """Key-value store of all processes, before and after a restart."""
    id: str
    """Identity that stays the same when torchrun restarts all processes because one failed."""


_launch: _Launch | None = None


def is_launched() -> bool:
    """Return True when this process was started as one of several."""
    if not os.environ.keys() >= set(_VARIABLES):
        return False
    import torch.distributed as dist  # only here and below: a command that needs no torch starts faster without it

    return dist.is_available()


def leads() -> bool:
    """Return True when this process leads, or will lead once it has joined."""
    dist = sys.modules.get("torch.distributed")
    if dist and dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return not is_launched() or os.environ["RANK"] == "0"


@contextmanager
def joined() -> Generator[None]:
    """Make the processes of the launch PyTorch's process group, each on its own GPU if there are enough.

    Do nothing without a launch, or when there is a process group already. Wait until all processes have arrived. Raise
    InputError when they do not within 5 minutes.
    """
    global _launch
    if not is_launched():
        yield
        return
    import torch.distributed as dist

    if dist.is_initialized():
        yield
        return
    # missing in some builds of PyTorch
    from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage] (documented)
    from torch.distributed.rendezvous import rendezvous  # pyright: ignore[reportUnknownVariableType] (partly untyped)

    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=_MEETING)))
    except (dist.DistError, ValueError) as error:
        raise _meeting_error(reason(error)) from error
    while isinstance(store, PrefixStore):
        store = store.underlying_store
    identity = store.compare_set("datacondense/launch", "", uuid.uuid4().hex).decode()
    own = PrefixStore(f"datacondense/{_meet(store, rank, size)}", store)
    own.set(f"gpu/{rank}", str(int(_choose_gpu())))
    with_gpus = all(own.get(f"gpu/{other}") == b"1" for other in range(size))
    store.set_timeout(_TOGETHER)
    # NCCL rejects two processes on one GPU.
    backend = "cpu:gloo,cuda:nccl" if with_gpus else "gloo"
    dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=_TOGETHER)
    _launch = _Launch(store, identity)
    yield
    dist.destroy_process_group()  # not after an error: it would wait for processes that never arrive


def _choose_gpu() -> bool:
    """Set the default GPU of this process. Return True when no other process of this machine has the same."""
    import torch

    gpus = torch.cuda.device_count()
    if not gpus or not {"LOCAL_RANK", "LOCAL_WORLD_SIZE"} <= os.environ.keys():
        return False
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    return int(os.environ["LOCAL_WORLD_SIZE"]) <= gpus


def _meeting_error(why: str) -> InputError:
    variables = " ".join(f"{name}={os.environ[name]}" for name in _VARIABLES)
    return InputError(
        f"the processes of {variables} did not meet ({why}): start all of them with torchrun, or unset these"
    )


def _meet(store: Any, rank: int, size: int, within: float = _MEETING.total_seconds()) -> str:
    """Return a unique name that the processes of this attempt agree on. Raise InputError after `within` seconds.

    torchrun's store outlives an attempt, and its old entries refer to processes that are gone. So each process writes a
    name of its own, and the first answers under that name until all have read the answer.
    """
    mine, began = uuid.uuid4().hex, time.monotonic()

    def wait(missing: Iterable[int]) -> None:
        if time.monotonic() - began > within:
            waited = ", ".join(map(str, missing))
            raise _meeting_error(f"process {rank} has waited {within:g} s for {waited}")
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
        return _launch.store.add(f"datacondense/reported/{text}", 1) == 1
    except RuntimeError:  # the store is gone with its process
        return True


def mark() -> dict[str, Any] | None:
    """Return the mark by which the launch recognises this process's files after a restart; None without a launch."""
    return {"id": _launch.id, "process": os.getpid()} if _launch else None


def restarted(left: object) -> bool:
    """Return True when an earlier process of this launch left the mark `left`."""
    own = mark()
    return bool(own and isinstance(left, dict) and left != own and cast("dict[str, Any]", left).get("id") == own["id"])
