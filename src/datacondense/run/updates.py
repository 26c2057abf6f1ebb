"""Updates by the optimisers of a method: gradient, learning rate of the schedule, step, and the check that all stays
finite."""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from ..methods import Loss, Method, Problem, Step, differentiate
from ..synthetic.parameters import Synthetic
from ..utils.errors import Diverged, InputError, unknown

IMAGES = "images"
"""Name of the optimiser of the images."""


@final
class Updates:
    """The optimisers of a method, and the updates that they make in one session."""

    def __init__(self, method: Method, problem: Problem, synthetic: Synthetic, state: nn.Module | None) -> None:
        self.method = method
        self.problem = problem
        self.synthetic = synthetic
        self.optimisers = method.optimisers(synthetic, state)
        name = type(method).__name__
        if not isinstance(self.optimisers, dict) or not (self.optimisers or not method.iterations):
            raise InputError(f"{name}.optimisers must return a dict of optimisers by name, such as {{{IMAGES!r}: ...}}")
        self._rates = {key: [group["lr"] for group in one.param_groups] for key, one in self.optimisers.items()}
        self._moved = False  # an update has been made

    def apply(self, update: Step | Loss, share: float, iteration: int) -> float:
        """Differentiate a loss, term by term, and apply the update. Return the loss.

        share: the part of all iterations that is done, which sets the learning rates. iteration: for messages.
        Raises Diverged, with the parameters as before the update, if the loss or a parameter is not finite.
        """
        step = as_step(update)
        if step.of not in self.optimisers:
            raise unknown("optimiser", step.of, self.optimisers)
        optimiser = self.optimisers[step.of]
        for group, rate in zip(optimiser.param_groups, self._rates[step.of], strict=True):
            group["lr"] = rate * self.method.rate(share)
        parameters = parameters_of(optimiser)
        before = [p.detach().clone() for p in parameters]
        optimiser.zero_grad()
        value = float(differentiate(step.loss, parameters, self.problem, maximise=step.maximise))
        optimiser.step()
        fault = "" if math.isfinite(value) else "the loss is no longer finite"
        fault = fault or self.synthetic.fault() or _fault(step.of, parameters)
        if fault:
            with torch.no_grad():
                for parameter, good in zip(parameters, before, strict=True):
                    parameter.copy_(good)
            raise Diverged(self._cause(f"{fault} at iteration {iteration} (loss {value:g})", value, step.of))
        self._moved = True
        return value

    def _cause(self, fault: str, loss: float, of: str) -> str:
        """Return a message on the fault, and the setting to change."""
        if not (self._moved or math.isfinite(loss)):
            return (
                f"{fault}, before the first update: the learning rate is not the cause; the run returns the images "
                f"that it started from; use another --arch, or other initial images with --init, --start or --seed"
            )
        if of != IMAGES:
            return f"{fault}: the likely setting is the learning rate of the optimiser {of!r}; use a smaller one"
        rate = self.method.settings().get("lr")
        return f"{fault}: the likely setting is the learning rate of the images, --lr {rate}; use a smaller one"


def as_step(update: Step | Loss) -> Step:
    """Return the step that a method has yielded, of a plain loss the step of the images."""
    return update if isinstance(update, Step) else Step(update)


def parameters_of(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """Return the parameters of an optimiser."""
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def mean_loss(losses: Sequence[float]) -> float:
    """Return the mean of losses, added one after the other: `sum` rounds otherwise from Python 3.12 on."""
    total = 0.0
    for loss in losses:
        total += loss
    return total / len(losses)


def _fault(name: str, parameters: list[Tensor]) -> str:
    finite = torch.stack([torch.isfinite(parameter).all() for parameter in parameters]).all()
    return "" if bool(finite) else f"the parameters of the optimiser {name!r} are no longer finite"
