# pyright: reportUnknownMemberType=false
"""The losses that a method yields, and their gradients."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from torch import Tensor

from ..engine.engine import gradient_tensors
from ..utils.distributed import ALONE
from ..utils.errors import InputError
from .problem import Problem

Loss: TypeAlias = Tensor | Iterable[Tensor]
"""A scalar, or an iterable of scalars whose sum it is."""


@final
@dataclass(frozen=True)
class Step:
    """One update by the optimiser of a name, or by several at once. Yielding a plain loss yields `Step(loss)`."""

    loss: Loss
    """A scalar, or an iterable of scalars whose sum it is."""
    of: str | tuple[str, ...] = "images"
    """Name of the optimiser in `Method.optimisers`, or names of several, whose parameters get the gradient."""
    maximise: bool = False
    """Ascend the loss instead of descending it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the optimisers."""
        return (self.of,) if isinstance(self.of, str) else self.of


Updates: TypeAlias = Generator[Step | Loss, None, None]
"""The iteration of a method: one step, or one loss of the images, for each update."""


def differentiate(
    loss: Loss, parameters: Sequence[Tensor], problem: Problem | None = None, *, maximise: bool = False
) -> Tensor:
    """Add the gradient of a loss to that of the parameters, term by term.

    A parameter that no term depends on gets no gradient. With several processes the terms of all are summed. A loss in
    one term exists in all of them, and that of the leading process counts; such a loss must not be made of
    `Problem.groups`, which differ between processes.

    Args:
        loss: A scalar, or scalars whose sum it is; each is differentiated before the next is computed.
        parameters: Those that require a gradient receive it. With several processes they must have none before.
        problem: The problem that the loss was computed from; None for a single process.
        maximise: Add the gradient of the negative loss.

    Returns:
        The value of the loss, float64 (), on the device of the parameters.

    Raises:
        InputError: No parameter requires a gradient, or the loss or a term of it is no scalar with a gradient.
    """
    processes = problem.engine.processes if problem else ALONE
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    if not parameters:
        raise InputError("all parameters of a step are frozen: call requires_grad_(True) on them first")
    value = torch.zeros((), dtype=torch.float64, device=parameters[0].device)
    if isinstance(loss, Tensor):
        _check(loss)  # in every process
        assert not (problem and problem.sharded), (
            "a loss over Problem.groups must yield its terms one by one, not their sum: "
            "each process has only a part of them"
        )
        loss = [loss] if processes.leads else []
    elif not isinstance(loss, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] (it is the user's)
        _check(loss)
    for term in loss:
        _check(term)
        term.backward(-torch.ones_like(term) if maximise else None, inputs=parameters)
        value += term.detach().to(value).squeeze()
    if processes.size > 1:
        total = value.to(parameters[0].dtype)
        having = torch.tensor([parameter.grad is not None for parameter in parameters]).to(total)
        processes.all_sum([*gradient_tensors(parameters), total, having])
        for parameter, count in zip(parameters, having.cpu(), strict=True):
            if not count:  # Adam, momentum and decay would move it under a gradient of zeros
                parameter.grad = None
        value = total.double()
    if problem:
        problem.sharded = False
    return value


def _check(term: object) -> None:
    """Raise InputError for anything but a scalar that has a gradient."""
    if not isinstance(term, Tensor):
        raise InputError(f"yields {type(term).__name__}: yield a scalar tensor, an iterable of them, or a Step")
    if term.numel() != 1:
        raise InputError(f"yields a loss of shape {tuple(term.shape)}: yield a scalar, such as its sum")
    if not term.requires_grad:
        raise InputError("yields a loss without gradient: compute it from the parameters of the step")
