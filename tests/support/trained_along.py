"""A plugin whose method keeps networks, a sampler and a step size from iteration to iteration."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from datacondense.methods import Matching, NetworkPool, Step


class Along(nn.Module):
    """All of the method that survives an iteration."""

    def __init__(self, problem, arch, size, streams):
        super().__init__()
        self.pool = NetworkPool(problem, arch, size, streams)
        device = problem.engine.device
        self.sampler = nn.Parameter(torch.zeros(problem.classes, device=device))
        self.log_rate = nn.Parameter(torch.tensor(-4.0, device=device))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))


@dataclass(frozen=True, kw_only=True)
class TrainedAlong(Matching):
    """Match class means under networks that train along, of classes that a sampler weights for the largest loss."""

    size: int = 2
    """Networks in the pool."""
    most: int = 2
    """Epochs after which a network starts anew."""

    def state(self, problem, streams):
        return Along(problem, self.arch, self.size, streams)

    def optimisers(self, synthetic, state: Any):
        sampler = torch.optim.Adam([state.sampler], lr=0.1)
        rate = torch.optim.SGD([state.log_rate], lr=0.1, momentum=0.9)
        return {**super().optimisers(synthetic, state), "sampler": sampler, "rate": rate}

    def iterate(self, run):
        state, problem, engine = run.state, run.problem, run.problem.engine
        number = state.pool.draw(run.streams("network"))
        network = state.pool[number]
        view = problem.augment.draw(run.streams("augment"), problem.classes)
        real = engine.class_means(network, view(problem.real.sample(self.batch_real, run.streams("real"))))

        def distance():
            made = engine.class_means(network, view(run.synthetic()), differentiable=True)
            return (state.sampler.softmax(0) * (real - made).square().sum(1)).sum()

        yield distance()
        yield Step(distance(), of="sampler", maximise=True)
        yield Step((distance().detach() * state.log_rate.exp() - 1e-3).square(), of="rate")
        sgd = torch.optim.SGD(network.parameters(), lr=float(state.log_rate.detach().exp()))
        problem.train_epoch(network, run.synthetic, run.streams, sgd)
        state.pool.steps[number] += 1
        state.seen += 1
        if state.pool.steps[number] >= self.most:
            state.pool.reset(number, run.streams("reset"))
