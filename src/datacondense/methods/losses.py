# pyright: reportUnknownMemberType=false
"""The losses that a method yields, and how each is differentiated in the synthetic images."""

from collections.abc import Generator, Iterable
from typing import TypeAlias

from torch import Tensor

from ..engine.engine import gradient_tensors
from ..synthetic.parameters import Synthetic
from ..utils.distributed import ALONE
from .problem import Problem

Loss: TypeAlias = Tensor | Iterable[Tensor]
"""A scalar, or an iterable of scalars whose sum it is."""
Updates: TypeAlias = Generator[Loss, None, None]
"""The iteration of a method: one loss for each update of the images."""


def differentiate(loss: Loss, synthetic: Synthetic, problem: Problem | None = None) -> float:
    """Add the gradient of a loss to that of the synthetic images, term by term.

    With several processes the terms of all are summed. A loss in one term exists in all of them, and that of the
    leading process counts; such a loss must not be made of `Problem.groups`, which differ between processes.

    Args:
        loss: A scalar, or scalars whose sum it is; each is differentiated before the next is computed.
        synthetic: Its parameters receive the gradient. With several processes they must have none before.
        problem: The problem that the loss was computed from; None for a single process.

    Returns:
        The value of the loss.
    """
    processes = problem.engine.processes if problem else ALONE
    parameters, value = list(synthetic.parameters()), 0.0
    if isinstance(loss, Tensor):
        assert not (problem and problem.sharded), (
            "a loss over Problem.groups must yield its terms one by one, not their sum: "
            "each process has only a part of them"
        )
        loss = [loss] if processes.leads else []
    for term in loss:
        term.backward(inputs=parameters)
        value += float(term.detach())
    if processes.size > 1:
        total = parameters[0].new_tensor([value])
        processes.all_sum([*gradient_tensors(parameters), total])
        value = float(total)
    if problem:
        problem.sharded = False
    return value
