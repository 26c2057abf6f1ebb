# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Compiled functions as CUDA graphs: one launch for a whole function, where many small ones cost more than their work.

A graph reads and writes the same memory each time it runs. So that no result changes under its owner, results, and
gradients that leave the function, are copied out of that memory.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def graphed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors and of dicts of tensors to CUDA graphs."""
    return apart(torch.compile(function, dynamic=False, mode="reduce-overhead"))


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose results, and gradients in its arguments, share no memory with its next call."""

    def call(*arguments: Any) -> Any:
        return _each(torch.clone, function(*(_each(_with_own_gradient, one) for one in arguments)))

    return call


def begin_step() -> None:
    """Let the graphs use the memory of the last step again; no loss that was computed before is differentiated after.

    Without this, a loss that was never differentiated, as when memory ran out, would hold that memory.
    """
    torch.compiler.cudagraph_mark_step_begin()


def _each(change: Callable[[Tensor], Tensor], value: Tensor | dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
    """Change a tensor, or each tensor of a dict."""
    return {name: change(one) for name, one in value.items()} if isinstance(value, dict) else change(value)


def _with_own_gradient(tensor: Tensor) -> Tensor:
    return _OwnGradient.apply(tensor) if tensor.requires_grad and torch.is_grad_enabled() else tensor


class _OwnGradient(torch.autograd.Function):
    """The identity, whose backward copies: `.grad` of a leaf would otherwise be memory of the graph itself."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient.clone()
