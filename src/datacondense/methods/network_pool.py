"""Networks of varied accuracy: one fresh, the others trained on real images for different numbers of steps."""

from collections.abc import Mapping

from torch import Tensor

from ..training.cached import TrainingCache, alike
from ..training.optimiser import build_optimiser
from ..utils.errors import DamagedFile
from ..utils.streams import Streams
from .problem import Problem

Weights = dict[str, Tensor]


def train_pool(problem: Problem, arch: str, networks: int, steps: int, streams: Streams) -> list[Weights]:
    """Return the weights of `networks` networks, trained on real images or taken from the cache.

    The first is fresh, the last trained for `steps` steps, and steps are spaced evenly in between.
    """
    key = {"arch": arch, "augment": str(problem.augment), "pool": [networks, steps]}
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
        self.weights.append({name: tensor.detach().clone() for name, tensor in network.state_dict().items()})

    def state(self) -> dict[str, Tensor]:
        return {f"{number}.{name}": tensor for number, one in enumerate(self.weights) for name, tensor in one.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.weights = [{} for _ in range(self.done)]
        for full, tensor in state.items():
            number, name = full.split(".", 1)
            self.weights[int(number)][name] = tensor.to(self.problem.engine.device)
        fresh = self.problem.fresh_network(self.streams("network")).state_dict()
        if not all(alike(fresh, one) for one in self.weights):
            raise DamagedFile("its tensors are not the weights of this network")
