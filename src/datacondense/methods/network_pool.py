"""Pools of networks: of varied accuracy from the beginning, or trained along with the images."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .. import networks
from ..networks import Network
from ..training.cache_keys import with_code
from ..training.cached import TrainingCache
from ..training.optimiser import build_optimiser
from ..training.trajectories import Weights, from_numbered, numbered, weights_of
from ..utils.streams import Streams
from .problem import Problem

_WEIGHTS = "networks"


class NetworkPool(nn.Module):
    """S networks of one architecture that train along with the images; each has a counter of its steps.

    A method returns it, or a module that contains it, from `Method.state`, so that weights and counters survive an
    iteration. In an iteration it draws a network, compares images under it, trains it for some steps by
    `problem.train_epoch`, `problem.train_step` or a yielded `Step`, counts these, and resets a network that has reached
    its last step.

    Args:
        problem: The problem whose engine runs the networks.
        arch: Name of the architecture.
        size: The number of networks, S.
        streams: Draws the first weights.

    Attributes:
        steps: Steps of each network since its last reset, int64 (S,), on the CPU. The method counts them.
    """

    steps: Tensor

    def __init__(self, problem: Problem, arch: str, size: int, streams: Streams) -> None:
        super().__init__()
        self.networks = nn.ModuleList(problem.engine.prepare(networks.build(arch, problem.spec)) for _ in range(size))
        self.register_buffer("steps", torch.zeros(size, dtype=torch.int64))
        for number in range(size):
            self.reset(number, streams.at(number)("pool"))

    def __len__(self) -> int:
        return len(self.networks)

    def __getitem__(self, number: int) -> Network:
        """Return a network, frozen and in training mode, as `problem.fresh_network` does."""
        network = self.networks[number]
        assert isinstance(network, Network)
        return network.requires_grad_(False).train()

    def draw(self, generator: torch.Generator) -> int:
        """Draw the number of a network."""
        return int(torch.randint(len(self), (), generator=generator))

    def reset(self, number: int, generator: torch.Generator) -> None:
        """Draw the weights of a network anew, and set its counter to 0."""
        self[number].reset(generator)
        self.steps[number] = 0


def train_pool(problem: Problem, arch: str, networks: int, steps: int, streams: Streams) -> list[Weights]:
    """Return the weights of `networks` networks, trained on real images or taken from the cache.

    The first is fresh, the last trained for `steps` steps, and steps are spaced evenly in between.
    """
    key = with_code({"arch": arch, "augment": str(problem.augment), "pool": [networks, steps]}, [arch])
    training = _PoolTraining(problem, networks, steps, streams.at("pool"))
    TrainingCache("pools", problem.real, streams, problem.engine, key).finish(
        training, lambda done: problem.report(done / networks, f"training {networks} networks for a while")
    )
    return training.weights


class _PoolTraining:
    """Train the networks of a pool, one in each step."""

    def __init__(self, problem: Problem, networks: int, steps: int, streams: Streams) -> None:
        self.problem = problem
        self.done, self.steps = 0, networks
        self.most = steps
        self.streams = streams
        self.weights: list[Weights] = []

    def step(self) -> None:
        here = self.streams.at(self.done)
        network = self.problem.fresh_network(here("network"))
        sgd = build_optimiser(network.parameters(), lr=0.01, momentum=0.9)
        for step in range(self.most * self.done // max(self.steps - 1, 1)):
            self.problem.train_step(network, here.at(step), sgd)
        self.weights.append(weights_of(network))

    def state(self) -> dict[str, Tensor]:
        return numbered(_WEIGHTS, self.weights)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        fresh = self.problem.fresh_network(self.streams("network"))
        self.weights = from_numbered(_WEIGHTS, state, self.done, fresh)
