"""Networks that are given as modules or functions: registered by name as long as they are needed."""

import copy
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias, Union, cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from ..data.spec import Spec
from ..utils.errors import InputError
from ..utils.registry import check_name
from .base import Network
from .module import ModuleNetwork, checked, default_device
from .registry import NETWORKS

Arch: TypeAlias = Union[str, nn.Module, Callable[[Spec], nn.Module]]  # noqa: UP007 (a name of it is documented)
"""A name in NETWORKS, a module, or a function that makes one for a Spec."""


@contextmanager
def registered(archs: Iterable[Arch] | Arch | None) -> Generator[list[str]]:
    """Enter modules and functions among `archs` into NETWORKS, and remove them on leaving.

    Args:
        archs: One or several; None for none.

    Yields:
        Their names: a module has that of its class, a function its own.

    Raises:
        InputError: A name exists already or cannot be one, or an object is neither of these kinds.
    """
    one = isinstance(archs, str | nn.Module) or not isinstance(archs, Iterable)
    listed: list[object] = [] if archs is None else [archs] if one else list(cast("Iterable[object]", archs))
    added: list[str] = []
    try:
        yield [_entered(arch, added) for arch in listed]
    finally:
        for name in added:
            del NETWORKS[name]


def _entered(one: object, added: list[str]) -> str:
    """Return the name of a network; enter a module or function into NETWORKS, and its name into `added`."""
    if isinstance(one, str):
        return one
    if not callable(one):
        raise InputError(f"{one!r} is no network: give a name, a module, or a function that makes a module for a Spec")
    name = type(one).__name__ if isinstance(one, nn.Module) else getattr(one, "__name__", "")
    try:
        check_name("network", name)
    except InputError as error:
        raise InputError(f"{error}: define a function, such as def my_network(spec): ...") from None
    if name in NETWORKS:
        raise InputError(f"there is already a network {name}: rename the class or function of this one")
    NETWORKS[name] = partial(_copied, name, one) if isinstance(one, nn.Module) else checked(name, one)
    added.append(name)
    return name


def _copied(name: str, module: nn.Module, spec: Spec) -> Network:
    """Return a network of copies of a module, whose layers draw their weights anew."""
    if isinstance(module, Network):
        return copy.deepcopy(module).to(default_device())
    return ModuleNetwork(partial(_redrawn, name, module), spec, name)


@torch.no_grad()
def _redrawn(name: str, module: nn.Module) -> nn.Module:
    """Return a copy of a module whose layers have drawn their weights by `reset_parameters`.

    Raises InputError for weights that are not drawn by it.
    """
    fresh = copy.deepcopy(module)
    weights = {
        path: weight for path, weight in fresh.named_parameters() if not isinstance(weight, UninitializedParameter)
    }
    for weight in weights.values():
        weight.fill_(torch.nan)
    for layer in reversed(list(fresh.modules())):  # a layer may draw the weights of its parts in another way
        for method in ("reset_parameters", "_reset_parameters"):  # the latter of nn.MultiheadAttention
            if callable(reset := getattr(layer, method, None)):
                reset()
    kept = [path for path, weight in weights.items() if weight.isnan().any()]
    if kept:
        raise InputError(
            f"network {name}: no layer draws the weights {kept[0]} by reset_parameters(): give a function that makes "
            "the module, such as def my_network(spec): ..."
        )
    return fresh
