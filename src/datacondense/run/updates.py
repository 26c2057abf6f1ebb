"""Updates by the optimisers of a method: gradient, learning rate of the schedule, step, and the check that all stays
finite."""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from ..methods import Loss, Method, Problem, Step, differentiate
from ..synthetic.parameters import Synthetic
from ..utils.errors import Diverged, InputError, naming, unknown

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
        self._name = type(method).__name__
        with naming(f"{self._name}.optimisers"):
            self._check(state)
        self._rates = {key: [group["lr"] for group in one.param_groups] for key, one in self.optimisers.items()}
        self._moved = False  # an update has been made

    def apply(self, update: Step | Loss, share: float, iteration: int) -> float:
        """Differentiate a loss, term by term, and apply the update. Return the loss.

        share: the part of all iterations that is done, which sets the learning rates. iteration: for messages.
        Raises Diverged if the loss or a parameter is not finite, or if an image cannot be stored; the update is made.
        """
        step = as_step(update)
        chosen = self.chosen(step)
        for name, optimiser in chosen.items():
            for group, rate in zip(optimiser.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * self.method.rate(share)
        loss = self.make(step)
        others = [name for name in chosen if name != IMAGES]
        checks = [loss, self.synthetic.storable(), *(_finite(parameters_of(chosen[name])) for name in others)]
        value, _, *good = finite = torch.stack([one.to(loss) for one in checks]).tolist()  # a GPU is waited for once
        if math.isfinite(value) and all(finite[1:]):
            self._moved = True
            return value
        fault, blamed = "" if math.isfinite(value) else "the loss is no longer finite", step.names[0]
        for name, is_finite in zip(others, good, strict=True):
            if not (fault or is_finite):
                fault, blamed = f"the parameters of the optimiser {name!r} are no longer finite", name
        fault = fault or self.synthetic.fault()
        raise Diverged(self._cause(f"{fault} at iteration {iteration} (loss {value:g})", value, blamed))

    def make(self, step: Step) -> Tensor:
        """Differentiate a loss, and step all its optimisers. Return the loss, ()."""
        optimisers = self.chosen(step).values()
        for optimiser in optimisers:
            optimiser.zero_grad()
        parameters = [parameter for optimiser in optimisers for parameter in parameters_of(optimiser)]
        with naming(f"{self._name}.iterate"):
            loss = differentiate(step.loss, parameters, self.problem, maximise=step.maximise)
        for optimiser in optimisers:
            optimiser.step()
        if IMAGES in step.names:
            self.synthetic.after_update()
        return loss

    def chosen(self, step: Step) -> dict[str, torch.optim.Optimizer]:
        """Return the optimisers of a step by name. Raises InputError, which lists all names, for an unknown one."""
        if not step.names:
            raise InputError(f"{self._name}.iterate: a step names no optimiser: yield Step(loss, of={IMAGES!r})")
        for name in step.names:
            if name not in self.optimisers:
                raise unknown("optimiser", name, self.optimisers)
        return {name: self.optimisers[name] for name in step.names}

    def _check(self, state: nn.Module | None) -> None:
        """Raise InputError unless all optimisers can be saved and restored."""
        if not isinstance(self.optimisers, dict) or not (self.optimisers or not self.method.iterations):
            raise InputError(f"return a dict of optimisers by name, such as {{{IMAGES!r}: ...}}")
        modules = [self.synthetic] if state is None else [self.synthetic, state]
        saved = {id(parameter) for module in modules for parameter in module.parameters()}
        for name, optimiser in self.optimisers.items():
            if not isinstance(name, str) or "." in name:  # a dot ends it in the names of a checkpoint
                raise InputError(f"{name!r} cannot be the name of an optimiser: take letters, digits and _")
            if not isinstance(optimiser, torch.optim.Optimizer):
                raise InputError(f"{name!r} is of type {type(optimiser).__name__}: return a torch.optim.Optimizer")
            if any(id(parameter) not in saved for parameter in parameters_of(optimiser)):
                raise InputError(
                    f"{name!r} holds a parameter that a checkpoint lacks: register it in the module of `state`"
                )

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


def _finite(parameters: Sequence[Tensor]) -> Tensor:
    return torch.stack([torch.isfinite(parameter).all() for parameter in parameters]).all()
