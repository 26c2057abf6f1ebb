"""The networks under which a method compares images, anew in each iteration."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from msgspec import Meta
from torch import nn

from ..utils.errors import InputError
from ..utils.ranges import Iterations
from ..utils.streams import Streams
from .base import Iteration
from .network_queue import EVERY, EVERY_OF_ONE, FIRST, MOST, NetworkQueue, first_queue
from .problem import Problem
from .trained_networks import Compared, TrainedNetworks

Source = Literal["fresh", "trained", "blended", "queue"]


@dataclass(frozen=True, kw_only=True)
class ComparedNetworks(TrainedNetworks, ABC):
    """A method that compares images under one network in an iteration, and may classify them by another.

    Weights of several moments of a training are those of TGDD (AAAI 2026), a line between both its ends that of NCFM
    (CVPR 2025), a queue of networks that train along that of IDM (CVPR 2023), several iterations under one network that
    of M3D (AAAI 2024).
    """

    networks: Source = "fresh"
    """Networks that embed the images: fresh, random weights as published, which cost nothing; trained, drawn from 10
    moments of a training on the real images (--training-steps, before the first iteration, cached); blended, drawn from
    the line between its fresh and its trained weights; or queue, a growing queue of networks of which each iteration
    trains two for --queue-steps steps on 256 real images, which costs about five iterations of dm."""
    ahead: Annotated[int, Meta(ge=0, le=100)] = 0
    """Moments of the training by which the network that classifies may be later than the one that embeds, for
    --networks trained: drawn from 0 to this number. Above 0 a second network is held."""
    keep: Annotated[int, Meta(ge=1, le=10**6)] = 1
    """Iterations under one network. It costs and saves nothing."""
    queue_steps: Iterations = 10
    """Steps on real images of each of two networks in an iteration, for --networks queue."""
    queue_every: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    """Iterations after which the queue gets a fresh network, up to 100 networks; by default 30, and 5 at one image per
    class."""

    def check(self) -> None:
        """Check the hyper-parameters, as `Matching.check` does, and that they fit together."""
        super().check()
        if self.networks == "queue" and self.keep > 1:
            raise InputError(f"--keep {self.keep}: a queue changes in every iteration, so use other --networks")

    def needs(self) -> Mapping[str, tuple[bool, str]]:
        """Return the settings that have an effect only beside others: those of trained and of queued networks."""
        queued = self.networks == "queue"
        return {
            **super().needs(),
            "fresh_share": (self.networks != "fresh", "--networks trained, blended or queue"),
            "ahead": (self.networks == "trained", "--networks trained"),
            "queue_steps": (queued, "--networks queue"),
            "queue_every": (queued, "--networks queue"),
        }

    def state(self, problem: Problem, streams: Streams) -> nn.Module | None:
        """Return the queue of networks, if there is one: as many as this run can push, at most 100."""
        if self.networks != "queue":
            return None
        pushed = max(self.iterations - 1, 0) // self._every(problem)
        return first_queue(problem, min(FIRST + pushed, MOST), streams.at("queue"))

    def compared(self, run: Iteration) -> Compared:
        """Return the networks of an iteration. A queue first trains and grows, as it does after an iteration."""
        if self.networks == "queue":
            return self._queued(run)
        return self._drawn(run.problem, run.streams_of(run.number - run.number % self.keep), self.ahead)

    def _queued(self, run: Iteration) -> Compared:
        problem, streams, queue = run.problem, run.streams, run.state
        assert isinstance(queue, NetworkQueue)
        if run.number:
            queue.train_some(problem, self.queue_steps, streams.at("queue"))
            if run.number % self._every(problem) == 0:
                queue.push(problem.fresh_network(streams("pushed")))
        if self._fresh(streams):
            return Compared(problem.fresh_network(streams("network")), None)
        place = int(torch.randint(len(queue), (), generator=streams("place")))
        network = problem.network_with(queue[place])
        return Compared(network, network if queue.steps[place] else None)

    def _every(self, problem: Problem) -> int:
        if self.queue_every is not None:
            return self.queue_every
        return EVERY_OF_ONE if problem.ipc == 1 else EVERY
