"""A moving average of parameters, kept beside them as buffers."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn


@final
class MovingAverage(nn.Module):
    """The moving average a of parameters x, in buffers of their names: a <- d a + (1 - d) x.

    After t updates d = min(decay, (1 + t) / (10 + t)), so that the first parameters are soon forgotten.

    Args:
        parameters: Name -> parameter; the average begins with their values.
        decay: Largest d.
    """

    updates: Tensor

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        super().__init__()
        self.decay = decay
        self._parameters_by_name = dict(parameters)  # a dict of its own, so that they are no parameters of this module
        self.register_buffer("updates", torch.tensor(0))
        for name, parameter in parameters.items():
            self.register_buffer(_buffer(name), parameter.detach().clone())

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the parameters as they are now."""
        done = int(self.updates)
        decay = min(self.decay, (1 + done) / (10 + done))
        self.updates += 1
        for name, parameter in self._parameters_by_name.items():
            self.get_buffer(_buffer(name)).lerp_(parameter, 1 - decay)

    @contextmanager
    def in_place(self) -> Generator[None, None, None]:
        """Let the parameters hold their averages until the end."""
        kept = {name: parameter.data for name, parameter in self._parameters_by_name.items()}
        try:
            for name, parameter in self._parameters_by_name.items():
                parameter.data = self.get_buffer(_buffer(name))
            yield
        finally:
            for name, parameter in self._parameters_by_name.items():
                parameter.data = kept[name]


def _buffer(name: str) -> str:
    """Return the name of the buffer of a parameter: a module has no names with dots."""
    return name.replace(".", "_")
