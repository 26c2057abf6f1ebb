# pyright: reportUnknownMemberType=false
"""The losses that a method yields, and their gradients."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from torch import Tensor

from ..engine.engine import gradient_tensors
from ..utils.distributed import ALONE
from .problem import Problem

Loss: TypeAlias = Tensor | Iterable[Tensor]
"""A scalar, or an iterable of scalars whose sum it is."""


@final
@dataclass(frozen=True)
class Step:
    """One update by the optimiser of a name. Yielding a plain loss yields `Step(loss)`."""

    loss: Loss
    """A scalar, or an iterable of scalars whose sum it is."""
    of: str = "images"
    """Name of the optimiser in `Method.optimisers`, whose parameters get the gradient."""
    maximise: bool = False
    """Ascend the loss instead of descending it."""


Updates: TypeAlias = Generator[Step | Loss, None, None]
"""The iteration of a method: one step, or one loss of the images, for each update."""


def differentiate(
    loss: Loss, parameters: Sequence[Tensor], problem: Problem | None = None, *, maximise: bool = False
) -> Tensor:
    """Add the gradient of a loss to that of the parameters, term by term.

    With several processes the terms of all are summed. A loss in one term exists in all of them, and that of the
    leading process counts; such a loss must not be made of `Problem.groups`, which differ between processes.

    Args:
        loss: A scalar, or scalars whose sum it is; each is differentiated before the next is computed.
        parameters: They receive the gradient. With several processes they must have none before.
        problem: The problem that the loss was computed from; None for a single process.
        maximise: Add the gradient of the negative loss.

    Returns:
        The value of the loss, float64 (), on the device of the parameters.
    """
    processes = problem.engine.processes if problem else ALONE
    value = torch.zeros((), dtype=torch.float64, device=parameters[0].device)
    if isinstance(loss, Tensor):
        assert not (problem and problem.sharded), (
            "a loss over Problem.groups must yield its terms one by one, not their sum: "
            "each process has only a part of them"
        )
        loss = [loss] if processes.leads else []
    for term in loss:
        term.backward(-torch.ones_like(term) if maximise else None, inputs=parameters)
        value += term.detach().to(value).squeeze()
    if processes.size > 1:
        total = value.to(parameters[0].dtype)
        processes.all_sum([*gradient_tensors(parameters), total])
        value = total.double()
    if problem:
        problem.sharded = False
    return value
