"""The interface of a method."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..data.spec import Spec
from ..engine.execution import Workload
from ..synthetic.parameters import Pixels, Synthetic
from ..synthetic.set import SyntheticSet
from ..utils.ranges import Iterations, check_fields
from ..utils.streams import Streams
from .losses import Updates
from .problem import Problem
from .small_classes import images_from


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A method of condensation: its hyper-parameters, its initial images, and its loss in each iteration."""

    takes_start: ClassVar[bool] = True
    """True if a run may begin from the pixels of another set instead of from `start`."""
    fills_up: ClassVar[bool] = True
    """True if it makes `ipc` images of a class that has fewer; otherwise the set has fewer of that class."""
    least_classes: ClassVar[int] = 1
    """Smallest number of classes that the method can learn from: 2 if it trains classifiers."""

    iterations: Iterations
    arch: str = "ConvNet"
    """Network that the set is made for, and by default evaluated with."""
    augment: str = "auto"
    """Augmentation that images pass, in condensing and by default in evaluation: auto (DSA's for the dataset), none, or
    strategies joined by "_", such as color_crop_cutout_flip_scale_rotate."""

    @abstractmethod
    def workload(self, ipc: int) -> Workload:
        """Return the work and memory of one iteration at `ipc` images per class."""

    @abstractmethod
    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """Return the synthetic images before the first iteration.

        Args:
            problem: The real images and the engine.
            streams: Every random number comes from `streams("name")`.
        """

    def start_from(self, start: SyntheticSet, problem: Problem, streams: Streams) -> Synthetic:
        """Return the images of a finished set as the initial images; fill up classes with fewer images.

        Args:
            start: The set, of the same data.
            problem: The real images and the engine.
            streams: Every random number comes from `streams("name")`.
        """
        each, images = problem.ipc * self.views(problem.spec), start.images.to(problem.engine.device)
        return Pixels(images_from(images, start.classes.cpu(), problem.real, each, streams("init")))

    def views(self, spec: Spec) -> int:
        """Return the training images that are decoded from a stored image; `ipc` counts stored images."""
        return 1

    def rehearse(self, problem: Problem, streams: Streams) -> tuple[Synthetic, float]:
        """Return, for an estimate, images like those of `start`, and the additional seconds that `start` takes."""
        return self.start(problem, streams), 0.0

    def preparation(self, images: int) -> int:
        """Return the number of images that pass forward before the first iteration on a real set of `images` images.

        A backward pass counts as two forward passes.
        """
        return 0

    @abstractmethod
    def optimiser(self, synthetic: Synthetic) -> torch.optim.Optimizer | None:
        """Return the optimiser of the synthetic images; None for a method without updates."""

    @abstractmethod
    def iterate(self, synthetic: Synthetic, problem: Problem, streams: Streams) -> Updates:
        """Run one iteration: yield one loss per update of the images. On return from `yield` it is applied.

        A loss is a scalar, or an iterable of scalars whose sum it is, one for each of `Problem.groups`: each is
        differentiated before the next is computed, so that a sum over classes needs the memory of one term. A loss made
        of `Problem.groups` must be such an iterable: each of several processes has a part of the groups, and their
        terms are summed over all, while of a scalar the leading process's counts.

        Args:
            synthetic: The images that are optimised; `synthetic()` gives them, (K, M, C, H, W).
            problem: The real images and the engine.
            streams: Gives the same random numbers by name each time this iteration runs.

        Yields:
            The loss of each update.
        """

    def rate(self, done: float) -> float:
        """Return the factor on the optimiser's learning rate when the fraction `done` of all iterations is done."""
        return 1.0

    def check(self) -> None:
        """Check the hyper-parameters. The driver calls it before anything else.

        Each type declares the allowed values: `Annotated[float, Meta(gt=0, le=1e6)]` with `Meta` of msgspec, or
        `Literal`. A method whose settings depend on one another overrides this.

        Raises:
            InputError: a hyper-parameter is outside its range, or contradicts another.
        """
        check_fields(self)

    def settings(self) -> dict[str, Any]:
        """Return the hyper-parameters that the constructor takes, as JSON values."""
        return self.recorded({f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init})

    @classmethod
    def recorded(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings as files record them; a class overrides it if files keep an earlier name of a value."""
        return dict(settings)
