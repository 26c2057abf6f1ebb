"""Base of the methods that optimise pixels, so that synthetic and real images look alike to networks."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from ..synthetic.parameters import Pixels, Synthetic, noise
from ..utils.ranges import Batch, Iterations, Momentum, Rate
from ..utils.streams import Streams
from .base import Method
from .kmeans import representatives
from .problem import Problem
from .small_classes import jitter_copies

InitialImages = Literal["real", "kmeans", "noise"]
Schedule = Literal["constant", "cosine"]

_SQUARES = 0.99  # Adam's memory of squared gradients; there are hundreds of updates, not thousands
_LAST_RATE = 0.01  # of a learning rate that falls on a cosine


@dataclass(frozen=True, kw_only=True)
class Matching(Method):
    """A method that moves pixels by gradients until synthetic and real images look alike to networks."""

    iterations: Iterations = 20_000
    """Iterations; each draws a fresh network."""
    lr: Rate = 1.0
    """Learning rate of the images."""
    schedule: Schedule = "constant"
    """Learning rate over the iterations: constant, as published, or cosine (down to a hundredth on half a cosine)."""
    adam: bool = False
    """Optimise the images with Adam instead of the published SGD: each pixel moves by about the learning rate."""
    momentum: Momentum = 0.5
    """Momentum of the images, in SGD or Adam."""
    batch_real: Batch = 256
    """Real images of each class per update, B."""
    init: InitialImages = "real"
    """Initial images: random real images, the real images nearest to the centres of k-means, or N(0, 1) noise."""

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """Return the initial images that `init` names, (K, ipc, C, H, W)."""
        shape = (problem.classes, problem.ipc, *problem.spec.shape)
        if problem.resumed:
            return Pixels(torch.zeros(shape, device=problem.engine.device))
        if self.init == "real":
            return Pixels(problem.first_images(streams))
        if self.init == "kmeans":
            agreed = problem.engine.processes.agreed  # each process might add in another order
            index = agreed(lambda: representatives(problem.real, problem.ipc, streams("init"), problem.report))
            return Pixels(jitter_copies(problem.real.at(index), problem.real.counts, streams("jitter")))
        return Pixels(noise(shape, streams("init"), problem.engine.device))

    def optimisers(self, synthetic: Synthetic, state: nn.Module | None) -> dict[str, torch.optim.Optimizer]:
        """Return SGD with momentum, or Adam, as the optimiser of the images."""
        images = list(synthetic.parameters())
        if self.adam:
            return {"images": torch.optim.Adam(images, lr=self.lr, betas=(self.momentum, _SQUARES))}
        return {"images": torch.optim.SGD(images, lr=self.lr, momentum=self.momentum)}

    def rate(self, done: float) -> float:
        """Return 1, or 0.01 + 0.99 (1 + cos(pi done)) / 2 on the cosine schedule."""
        if self.schedule == "constant":
            return 1.0
        return _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2
