"""Updates of the images: gradient, learning rate of the schedule, step, and the check that they stay finite."""

import math
from typing import final

import torch

from ..methods import Loss, Method, Problem, differentiate
from ..synthetic.parameters import Synthetic
from ..utils.errors import Diverged


@final
class Updates:
    """The optimiser of the images, and the updates that it makes in one session."""

    def __init__(self, method: Method, problem: Problem, synthetic: Synthetic) -> None:
        self.method = method
        self.problem = problem
        self.synthetic = synthetic
        self.optimiser = method.optimiser(synthetic)
        self._rates = [group["lr"] for group in self.optimiser.param_groups] if self.optimiser else []
        self._moved = False  # an update has been made

    def apply(self, loss: Loss, share: float, iteration: int) -> float:
        """Differentiate a loss, term by term, and apply the update. Return the loss.

        share: the part of all iterations that is done, which sets the learning rates. iteration: for messages.
        Raises Diverged, with the images as before the update, if the loss or the images are not finite.
        """
        assert self.optimiser is not None, "a method with iterations has an optimiser"
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * self.method.rate(share)
        parameters = list(self.synthetic.parameters())
        before = [p.detach().clone() for p in parameters]
        self.optimiser.zero_grad()
        value = differentiate(loss, self.synthetic, self.problem)
        self.optimiser.step()
        fault = "" if math.isfinite(value) else "the loss is no longer finite"
        fault = fault or self.synthetic.fault()
        if fault:
            with torch.no_grad():
                for parameter, good in zip(parameters, before, strict=True):
                    parameter.copy_(good)
            raise Diverged(self._cause(f"{fault} at iteration {iteration} (loss {value:g})", value))
        self._moved = True
        return value

    def _cause(self, fault: str, loss: float) -> str:
        """Return a message on the fault, and the setting to change."""
        if not (self._moved or math.isfinite(loss)):
            return (
                f"{fault}, before the first update: the learning rate is not the cause; the run returns the images "
                f"that it started from; use another --arch, or other initial images with --init, --start or --seed"
            )
        rate = self.method.settings().get("lr")
        return f"{fault}: the likely setting is the learning rate of the images, --lr {rate}; use a smaller one"
