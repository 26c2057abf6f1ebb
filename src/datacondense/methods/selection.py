"""Base of the methods that choose real images."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..engine.execution import Workload
from ..synthetic.decoders import PixelDecoder
from ..synthetic.parameters import Decoded, Synthetic
from ..synthetic.stored import Store
from ..utils.ranges import Iterations
from ..utils.streams import Streams
from .base import Iteration, Method
from .losses import Updates
from .problem import Problem
from .small_classes import selected_images


@dataclass(frozen=True, kw_only=True)
class Selection(Method):
    """A method that chooses real images and changes none."""

    takes_start: ClassVar[bool] = False
    fills_up: ClassVar[bool] = False

    iterations: Iterations = field(default=0, init=False)
    store: Store = "f32"
    """Number format of the stored pixels: f32, f16, or u8, 8 bits. What is evaluated is what is stored."""

    def workload(self, each: int) -> Workload:
        """Return an empty workload: there are no iterations."""
        return Workload(passes=0, real=0, synthetic=0)

    @abstractmethod
    def select(self, problem: Problem, streams: Streams) -> Tensor | Sequence[Tensor]:
        """Choose real images of each class.

        Args:
            problem: The real images and the engine.
            streams: Every random number comes from `streams("name")`.

        Returns:
            Positions of the chosen images in `problem.real`: (K, ipc), or for each class (n,) with n at most `ipc`. A
            class with fewer than `ipc` images keeps all of them: its row begins with them, and the rest is dropped.
        """

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """Return the images that `select` chooses."""
        chosen = selected_images(problem.real, self.select(problem, streams), problem.ipc)
        if self.store == "f32":
            return chosen
        tensors = {"images": chosen.images.detach()}
        return Decoded(PixelDecoder(), tensors, problem.spec, self.store, counts=chosen.counts)

    def optimisers(self, synthetic: Synthetic, state: nn.Module | None) -> dict[str, torch.optim.Optimizer]:
        """Return none: nothing is optimised."""
        return {}

    def iterate(self, run: Iteration) -> Updates:
        """Yield nothing."""
        yield from ()
