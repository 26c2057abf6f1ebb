"""The networks under which a method compares images."""

from dataclasses import dataclass
from typing import final

from ..networks import Network
from .base import Iteration, Method


@final
@dataclass(frozen=True)
class Compared:
    """The networks of one iteration, frozen and in training mode."""

    matching: Network
    """The network whose embeddings are compared."""
    classifying: Network | None
    """The trained network that classifies; None if none was trained."""


@dataclass(frozen=True, kw_only=True)
class ComparedNetworks(Method):
    """A method that compares images under fresh networks."""

    def compared(self, run: Iteration) -> Compared:
        """Return the networks of an iteration."""
        return Compared(run.problem.fresh_network(run.streams("network")), None)
