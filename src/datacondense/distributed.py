"""Work shared by several processes (torchrun). One process shares with nobody, and nothing here costs it anything."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, final

import torch
import torch.distributed as dist
from torch import Tensor

from .errors import InputError, LostProcess, reason

T = TypeVar("T")


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
        """Whether this is the process that reads and writes run directories and tells how things stand."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """The part of `count` things that is this process's: contiguous, and none larger than another by two."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def all_sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, all in one message. Every process gets the same bits."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        carried = flat.to(_served(flat.device))
        with _collective():
            dist.all_reduce(carried)
        parts = carried.to(flat.device).split([tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def any(self, wish: bool) -> bool:
        """Whether one of the processes wishes it."""
        if self.size == 1:
            return wish
        wishes = torch.tensor([int(wish)], device=_served(torch.device("cpu")))
        with _collective():
            dist.all_reduce(wishes, dist.ReduceOp.MAX)
        return bool(wishes.item())

    def agreed(self, decide: Callable[[], T]) -> T:
        """What `decide` gives on the leading process, which alone calls it, on all.

        Its InputError or OSError is raised on all.
        """
        if self.size == 1:
            return decide()
        answer: list[Any] = [None, None]
        if self.leads:
            try:
                answer[0] = decide()
            except (InputError, OSError) as error:
                answer[1] = error
        with _collective():
            dist.broadcast_object_list(answer, src=0)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def gathered(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _collective():
            dist.all_gather_object(values, value)
        return values


ALONE = Processes(0, 1)


def all_processes() -> Processes:
    """The processes of PyTorch's process group; this one alone where there is none."""
    if dist.is_available() and dist.is_initialized():
        return Processes(dist.get_rank(), dist.get_world_size())
    return ALONE


def _served(device: torch.device) -> torch.device:
    """`device`, or a GPU for what is on the CPU where NCCL alone carries messages."""
    return device if f"{device.type}:" in dist.get_backend_config() else torch.device("cuda")


@contextmanager
def _collective() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # what PyTorch raises when a connection breaks
        raise LostProcess(f"another process that shares the work was lost ({reason(error)})") from error
