"""The interface of a method."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, final

import torch
from torch import nn

from ..data.spec import Spec
from ..engine.execution import Workload
from ..networks import AUTO, Network, resolved
from ..synthetic.parameters import Pixels, Synthetic
from ..synthetic.set import SyntheticSet
from ..training.recipe import Recipe
from ..utils.ranges import Iterations, check_fields, check_used
from ..utils.streams import Streams
from .losses import Updates
from .problem import Problem
from .small_classes import image_classes, images_from

_REAL = 256  # images of each class per update, for a method without a setting of its own


@final
@dataclass(frozen=True)
class Iteration:
    """One iteration of a run, as `Method.iterate` sees it."""

    synthetic: Synthetic
    """Images and labels that are optimised: `synthetic()` (K, V, C, H, W) and `synthetic.labels()`."""
    state: Any
    """Module that `Method.state` has returned, or None."""
    problem: Problem
    """Real images and engine."""
    streams: Streams
    """Gives the same random numbers by name each time this iteration runs."""
    number: int
    """Iterations done before this one."""

    def streams_of(self, number: int) -> Streams:
        """Return the random numbers of another iteration of the run, such as the first under one network."""
        return Streams(self.streams.seed, (*self.streams.position[:-1], number))


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A method of condensation: its hyper-parameters, its initial images, and its loss in each iteration."""

    takes_start: ClassVar[bool] = True
    """True if a run may begin from the pixels of another set instead of from `start`."""
    embeds: ClassVar[bool] = False
    """True if the method compares embeddings, which its network must have then."""
    fills_up: ClassVar[bool] = True
    """True if it makes `ipc` images of a class that has fewer; otherwise the set has fewer of that class."""

    iterations: Iterations
    arch: str = AUTO
    """Network that the set is made for, and by default evaluated with. auto takes a ConvNet whose depth suits the
    shorter side of the images: 3, as published, up to 40 pixels; 4 up to 80, 5 up to 160, 6 above."""
    augment: str = "auto"
    """Augmentation that images pass, in condensing and by default in evaluation: auto (DSA's for the dataset), none, or
    strategies joined by "_", such as color_crop_cutout_flip_scale_rotate."""

    @property
    def least_classes(self) -> int:
        """Return the smallest number of classes that the method can learn from: 2 if it trains classifiers."""
        return 1

    def workload(self, each: int) -> Workload:
        """Return the work and memory of one iteration at `each` synthetic training images per class.

        Chunks, compilation and progress follow from it; the result does not. By default one forward of the real, and
        one forward and backward of the synthetic images, in one update. The real images of each class are those of the
        setting `batch_real`, if there is one, and otherwise 256.
        """
        real = int(getattr(self, "batch_real", _REAL))
        return Workload(passes=real + 3 * each, real=real, synthetic=each)

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
        return Pixels(images_from(images, image_classes(start), problem.real, each, streams("init")))

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

    def state(self, problem: Problem, streams: Streams) -> nn.Module | None:
        """Return everything, besides the images, that must survive an iteration; by default None.

        Networks and samplers are submodules, learned step sizes parameters, counters buffers. Names and shapes stay
        the same during a run. Checkpoints hold the content of the module, and a resumed run restores it bit for bit:
        on `problem.resumed` any content will do.

        Args:
            problem: The real images and the engine; `problem.engine.prepare` moves networks to its device.
            streams: Every random number comes from `streams("name")`.
        """
        return None

    @abstractmethod
    def optimisers(self, synthetic: Synthetic, state: nn.Module | None) -> dict[str, torch.optim.Optimizer]:
        """Return the optimisers by name; none for a method without iterations.

        The optimiser "images" makes the updates of a plain `yield loss`; `Step` names another.

        Args:
            synthetic: The images before the first iteration.
            state: What `state` has returned.
        """

    @abstractmethod
    def iterate(self, run: Iteration) -> Updates:
        """Run one iteration: yield one loss per update. On return from `yield` the update is applied.

        A plain loss updates the images; `Step(loss, of="sampler", maximise=True)` names another optimiser or ascends.
        A loss is a scalar, or an iterable of scalars whose sum it is, one for each of `Problem.groups`: each is
        differentiated before the next is computed, so that a sum over classes needs the memory of one term. A loss made
        of `Problem.groups` must be such an iterable: each of several processes has a part of the groups, and their
        terms are summed over all, while of a scalar the leading process's counts.

        Args:
            run: Images, state, real images and random numbers of this iteration.

        Yields:
            The loss of each update.
        """

    def recipe(self, spec: Spec, ipc: int) -> Recipe | None:
        """Return the recipe by which networks are to be trained on the set, which is stored with it.

        None, the default, stands for the published recipe.

        Args:
            spec: Classes and shape of the images.
            ipc: Images of each class.
        """
        return None

    def rate(self, done: float) -> float:
        """Return the factor on all learning rates when the fraction `done` of all iterations is done."""
        return 1.0

    def check(self) -> None:
        """Check the hyper-parameters. The driver calls it before anything else.

        Each type declares the allowed values: `Annotated[float, Meta(gt=0, le=1e6)]` with `Meta` of msgspec, or
        `Literal`. A method whose settings depend on one another overrides this, or `needs`.

        Raises:
            InputError: a hyper-parameter is outside its range, contradicts another, or has no effect beside the others.
        """
        check_fields(self)
        check_used(self, self.needs())

    def needs(self) -> Mapping[str, tuple[bool, str]]:
        """Return the settings that have an effect only beside others.

        `check` refuses any value but the default of a setting that would have no effect; a setting without a default
        may have any value. A run is resumed whatever such a setting was. A class adds its own settings to those of its
        bases: `{**super().needs(), "steps": (self.train_on == "real", "--train-on real")}`.

        Returns:
            For each such setting by name: whether it has an effect here, and the option that gives it one.
        """
        return {}

    def check_network(self, network: Network, spec: Spec) -> None:
        """Check that the method can use its network. The driver calls it before the run begins.

        Args:
            network: the network, on the meta device: it has shapes and no values.
            spec: the images.

        Raises:
            InputError: the network lacks something, such as embeddings.
        """
        if self.embeds:
            network.eval().embed(torch.empty(1, *spec.shape, device="meta"))

    def settings(self) -> dict[str, Any]:
        """Return the hyper-parameters that the constructor takes, as JSON values."""
        return self.recorded({f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init})

    @classmethod
    def recorded(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings as files record them; a class overrides it if files keep an earlier name of a value."""
        return dict(settings)


M = TypeVar("M", bound=Method)


def with_network(method: M, spec: Spec) -> M:
    """Return a method whose network has a plain name, with auto resolved for these images.

    Args:
        method: The method.
        spec: Shape of the images.
    """
    return dataclasses.replace(method, arch=resolved(method.arch, spec)) if method.arch == AUTO else method
