# pyright: reportUnknownMemberType=false
"""The linear head of a module of others, and the module without it."""

import copy
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, cast

from torch import Tensor, nn


def linear_head(module: nn.Module, run: Callable[[nn.Module], object]) -> str | None:
    """Return the name of the linear layer whose output is the logits; None without one.

    Args:
        module: In evaluation mode.
        run: Passes a few images through a module.
    """
    calls: list[tuple[str, Tensor, Tensor]] = []  # name of a layer, its input and its output

    def recorder(name: str) -> Callable[..., None]:
        def record(_layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            calls.append((name, arguments[0], output))

        return record

    layers = cast("Iterable[tuple[str, nn.Module]]", module.named_modules())
    linear = [(name, layer) for name, layer in layers if name and isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_hook(recorder(name)) for name, layer in linear]
    try:
        logits = run(module)
    finally:
        for hook in hooks:
            hook.remove()
    found = [(name, features) for name, features, output in calls if output is logits]
    if len(found) != 1 or found[0][1].dim() != 2 or [name for name, _, _ in calls].count(found[0][0]) > 1:
        return None
    name, features = found[0]
    try:
        embedding = run(without_head(module, name))
    except Exception:  # its forward uses the head in another way than to call it
        return None
    return name if isinstance(embedding, Tensor) and embedding.shape == features.shape else None


def without_head(module: nn.Module, name: str) -> nn.Module:
    """Return a module with the identity in place of the layer `name`. It shares all tensors with the original."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in tensors(module).values()}
    return copy.deepcopy(module, {**shared, id(module.get_submodule(name)): nn.Identity()})


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and buffers of a module, each once."""
    return dict(chain(module.named_parameters(), module.named_buffers()))
