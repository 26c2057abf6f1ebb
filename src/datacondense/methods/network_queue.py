"""A queue of networks that train along on real images (IDM)."""

from typing import final

import torch
from torch import Tensor, nn

from ..networks import Network
from ..training.optimiser import build_optimiser
from ..training.trajectories import Weights
from ..utils.streams import Streams
from .problem import Problem

FIRST, MOST = 3, 100
"""Networks of the queue at first and at most (Zhao et al., CVPR 2023, their code)."""
EVERY, EVERY_OF_ONE = 30, 5
"""Iterations after which a fresh network is pushed, and at one image per class (their code)."""
_TRAINED, _BATCH = 2, 256  # networks that are trained after each iteration, and real images in their steps
_LR, _MOMENTUM, _WEIGHT_DECAY = 0.01, 0.9, 5e-4


@final
class NetworkQueue(nn.Module):
    """The weights of up to S networks of one architecture; a new one takes the place of the oldest.

    They are tensors, not networks: one network after the other is loaded with them, so that code is compiled once.

    Args:
        problem: Its network gives names and shapes.
        size: The largest number of networks, S.

    Attributes:
        pushed: Networks pushed so far, int64, on the CPU.
        steps: Steps that each network has trained for, int64 (S,), on the CPU.
    """

    pushed: Tensor
    steps: Tensor

    def __init__(self, problem: Problem, size: int, streams: Streams) -> None:
        super().__init__()
        state = problem.fresh_network(streams("network")).state_dict()
        self.names = list(state)
        for number, tensor in enumerate(state.values()):  # a name of a buffer has no dots
            self.register_buffer(f"weights_{number}", tensor.new_zeros(size, *tensor.shape))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))
        self.register_buffer("steps", torch.zeros(size, dtype=torch.int64))

    def __len__(self) -> int:
        """Return the number of networks in the queue."""
        return min(int(self.pushed), len(self.steps))

    def __getitem__(self, place: int) -> Weights:
        """Return the weights at a place; they are not copies."""
        return {name: self.get_buffer(f"weights_{number}")[place] for number, name in enumerate(self.names)}

    def push(self, network: Network) -> None:
        """Copy the weights of an untrained network into the queue; a full queue loses its oldest network."""
        place = int(self.pushed) % len(self.steps)
        self.store(place, network, steps=0)
        self.pushed += 1

    def store(self, place: int, network: Network, steps: int) -> None:
        """Copy the weights of a network, which has trained for `steps` steps, to a place."""
        for kept, tensor in zip(self[place].values(), network.state_dict().values(), strict=True):
            kept.copy_(tensor)
        self.steps[place] = steps

    def train_some(self, problem: Problem, steps: int, streams: Streams) -> None:
        """Train two networks of the queue for `steps` steps each on real images, by SGD that starts anew."""
        chosen = torch.randperm(len(self), generator=streams("trained"))[:_TRAINED]
        for place in map(int, chosen):
            network = problem.network_with(self[place])
            sgd = build_optimiser(network.parameters(), _LR, momentum=_MOMENTUM, weight_decay=_WEIGHT_DECAY)
            for step in range(steps):
                problem.train_step(network, streams.at(place, step), sgd, _BATCH)
            sgd.zero_grad()
            self.store(place, network, int(self.steps[place]) + steps)


def first_queue(problem: Problem, size: int, streams: Streams) -> NetworkQueue:
    """Return a queue of at most `size` networks, of which 3, or `size` if fewer, are there: fresh ones."""
    queue = NetworkQueue(problem, size, streams)
    for number in range(min(FIRST, size)):
        queue.push(problem.fresh_network(streams.at(number)("network")))
    return queue
