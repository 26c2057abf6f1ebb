"""Work shared by several processes (torchrun). A single process returns at once from every call here."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, final
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor

from .errors import DatacondenseError, LostProcess, reason

T = TypeVar("T")

_untyped: Any = dist  # calls whose types PyTorch leaves out
_LONG = timedelta(days=30)  # a process may wait hours for another's networks; one that has ended is noticed at once
_BROKEN = (  # Gloo's messages for a broken connection
    "Connection closed by peer",
    "Connection reset",
    "Read error",
    "Broken pipe",
    "Timed out",
    "Socket closed",
    "pair closure",
    "connectFullMesh failed",
)


@final
@dataclass(frozen=True)
class Processes:
    """`size` processes of which this is number `rank`; each calls the same methods in the same order.

    All but `shard` and `leads` raise LostProcess when another process has ended.
    """

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """True for the process that reads and writes run directories and reports progress."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """Return this process's part of `count` items: contiguous; the sizes of two parts differ by at most one."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def all_sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, all in one message. Every process gets the same bits."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        with _collective():
            carries = f"{flat.device.type}:" in dist.get_backend_config()  # NCCL cannot carry CPU tensors
            _untyped.all_reduce(flat, group=None if carries else _control())
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def any(self, wish: bool) -> bool:
        """Return True on all processes when `wish` is True on any."""
        if self.size == 1:
            return wish
        wishes = torch.tensor([int(wish)])
        with _collective():
            _untyped.all_reduce(wishes, dist.ReduceOp.MAX, group=_control())
        return bool(wishes.item())

    def agreed(self, decide: Callable[[], T]) -> T:
        """Call `decide` on the leading process only, and return its result on all.

        A DatacondenseError or OSError that it raises is raised on all.
        """
        if self.size == 1:
            return decide()
        answer: list[Any] = [None, None]
        if self.leads:
            try:
                answer[0] = decide()
            except (DatacondenseError, OSError) as error:
                answer[1] = error
        with _collective():
            dist.broadcast_object_list(answer, src=0, group=_control())
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def gathered(self, value: T) -> list[T]:
        """Return the values of all processes, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _collective():
            _untyped.all_gather_object(values, value, group=_control())
        return values


ALONE = Processes(0, 1)


def all_processes() -> Processes:
    """Return the processes of PyTorch's process group; this one alone when there is none."""
    if dist.is_available() and dist.is_initialized():
        return Processes(dist.get_rank(), dist.get_world_size())
    return ALONE


_controls: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # process group -> group for small messages


def _control() -> Any:
    """Return a Gloo group of all processes for small messages on the CPU, with a long timeout."""
    world = dist.group.WORLD
    if world not in _controls:
        _controls[world] = _untyped.new_group(backend="gloo", timeout=_LONG)
    return _controls[world]


@contextmanager
def _collective() -> Generator[None]:
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, dist.DistNetworkError | dist.DistBackendError)
        if not lost and not any(words in str(error) for words in _BROKEN):
            raise
        raise LostProcess(f"another process that shared the work has ended ({reason(error)})") from error
