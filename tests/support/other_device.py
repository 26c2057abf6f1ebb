# pyright: reportUnknownMemberType=false, reportPrivateUsage=false
"""A device that is only pretended: its tensors lie in the memory of the CPU, and mixing both raises as on a GPU.

Operations run on the CPU and give its values. PyTorch sees a device of its own type, `far:0`, so code that forgets to
move a tensor, or draws on the device with a generator of the CPU, fails here as it would on a GPU.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

NAME = "far"
_CROSSING = {"aten::copy_", "aten::_to_copy"}
_INDEXED = {"aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_"}  # take indices of the CPU
_WAITS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero"}


class Far(Tensor):
    """A tensor on the pretended device; `raw` is the tensor of the CPU that holds its values."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor) -> "Far":
        far = Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(f"{NAME}:0"),
        )
        far.raw = raw
        return far

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Far({self.raw!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class Pretended(TorchDispatchMode):
    """Makes new tensors on the pretended device, and counts the operations that a GPU would be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.tensors = 0
        """Operations on tensors of the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition(".")[0]
        if name in _WAITS and any(isinstance(one, Far) for one in tree_flatten(args)[0]):
            self.waits[name] += 1
        self.tensors += any(isinstance(one, Far) for one in tree_flatten(args)[0])
        crossing = _crossing(name, args, kwargs or {})
        if crossing:
            self.waits[crossing] += 1
        return _run(func, args, kwargs or {})


def _crossing(name: str, args: Any, kwargs: Any) -> str:
    """Return the way of a copy between the devices that waits for the work before it; empty for any other."""
    if name == "aten::_to_copy":
        device = kwargs.get("device")
        source, far = isinstance(args[0], Far), device is not None and torch.device(device).type == NAME
        far = source if device is None else far
        lazy = kwargs.get("non_blocking", False)
    elif name == "aten::copy_":
        source, far, lazy = isinstance(args[1], Far), isinstance(args[0], Far), (*args, False)[2]
    else:
        return ""
    if source == far:
        return ""
    return "to the CPU" if source else "" if lazy else "from the CPU"


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func.name().partition(".")[0]
    flat = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
    far = [one for one in flat if isinstance(one, Far)]
    near = [one for one in flat if not isinstance(one, Far) and one.dim()]
    device = kwargs.get("device")
    lands = bool(far) if device is None else torch.device(device).type == NAME
    if far and near and name not in _CROSSING and not (name in _INDEXED and _indexed(args)):
        raise RuntimeError(f"{func.name()}: all tensors must be on the same device, but found {NAME}:0 and cpu")
    if name == "aten::copy_":
        lands = isinstance(args[0], Far)
    if lands and kwargs.get("generator") is not None:
        raise RuntimeError(f"{func.name()}: expected a generator of {NAME}:0, but found one of the cpu")
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    kwargs.pop("pin_memory", None)
    raw_args, raw_kwargs = tree_map(lambda one: one.raw if isinstance(one, Far) else one, (args, kwargs))
    known = {id(one.raw): one for one in far}
    with _disable_current_modes():
        result = func(*raw_args, **raw_kwargs)

    def wrapped(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        if id(one) in known:
            return known[id(one)]
        return Far(one) if lands else one

    return tree_map(wrapped, result)


def _indexed(args: Any) -> bool:
    """Return whether a tensor of the device is indexed: it alone takes indices of the CPU, but no values of it."""
    values = args[2] if len(args) > 2 else args[0]
    return isinstance(args[0], Far) and (isinstance(values, Far) or not values.dim())


def _group_norm(
    images: Tensor, groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """PyTorch's group norm in plain arithmetic: its gradient under vmap takes no tensors of Python's making."""
    parts = images.reshape(len(images), groups, -1)
    centred = parts - parts.mean(2, keepdim=True)
    normed = (centred * (centred.square().mean(2, keepdim=True) + eps).rsqrt()).view(images.shape)
    shape = (-1, *[1] * (images.dim() - 2))
    return normed if weight is None or bias is None else normed * weight.view(shape) + bias.view(shape)


_registered: list[bool] = []


@contextmanager
def pretended() -> Generator[Pretended, None, None]:
    """Yield the mode in which the device `far` exists."""
    if not _registered:
        from torch.utils import backend_registration

        backend_registration._setup_privateuseone_for_python_backend(NAME)
        _registered.append(True)
    of_pytorch, functional.group_norm = functional.group_norm, _group_norm
    before = torch._C._only_lift_cpu_tensors()  # torch.tensor makes its tensor on the CPU, and then moves it
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        # a thread of its own for the device, as a GPU has one, does not go with modes of Python
        with torch.autograd.set_multithreading_enabled(False), Pretended() as mode:
            yield mode
    finally:
        torch._C._set_only_lift_cpu_tensors(before)
        functional.group_norm = of_pytorch
