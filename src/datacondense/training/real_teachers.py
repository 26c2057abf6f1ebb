"""Teachers that learn the real images: the moments of a trajectory, in the cache that methods share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, final

from .. import augment, networks
from ..data.image_set import ImageSet
from ..engine.engine import Engine
from ..engine.execution import Compute
from ..networks import NETWORKS
from ..utils.errors import InputError
from ..utils.streams import Streams
from .teacher import Teacher
from .teacher_weights import loaded
from .trajectories import TrajectoryRecipe, TrajectoryTraining

_BACKWARD = 3  # images passed forward for each on which a network learns
LABELLING = 10**5
"""Images that labelling passes forward, at most about: too few to repay a compilation."""


@final
@dataclass(frozen=True)
class TaughtTeachers:
    """A network at several moments of its training on real images."""

    at: dict[float, Teacher]
    """Fraction of the training -> the network after it, in order."""
    seconds: float
    """Seconds of the training, over all sessions."""
    cached: float
    """Seconds of these that the cache saved."""


@final
@dataclass(frozen=True, kw_only=True)
class TeacherTraining:
    """The training of a network on all real images, as the first of a method that compares under trained networks.

    The cache holds it under data, seed, architecture, augmentation and recipe, so that both share it.
    """

    arch: str
    augment: str
    """Augmentation of the real images, as methods take it."""
    recipe: TrajectoryRecipe
    seed: int
    compute: Compute

    def moments(self) -> dict[float, int]:
        """Return fraction of the training -> number of steps of each moment that is kept, in order."""
        steps = {moment: max(round(moment * self.recipe.steps), 1) for moment in sorted({*self.recipe.moments, 1.0})}
        return {moment: step for moment, step in steps.items() if step in self.recipe.kept_steps()}

    def finish(self, real: ImageSet, report: Callable[[float, str], None]) -> TaughtTeachers:
        """Train the network, or read it from the cache; return it at every moment.

        Args:
            real: The images that it learns.
            report: Called with the fraction done and the name of the work.

        Raises:
            InputError: The recipe, the architecture or the augmentation cannot be used.
            Diverged: The weights are not finite.
        """
        training = self._training(real)
        with training.engine.active():
            found = training.finish(lambda done: report(done, f"a teacher learns {len(real)} real images"))
        engine = Engine(replace(self.compute, compile="off").plan(self.arch, real.spec, LABELLING))
        by_step = dict(zip(found.steps, found.weights, strict=True))
        teachers = {
            moment: Teacher(
                network=loaded(self.arch, real.spec, by_step[step], engine),
                engine=engine,
                classes=real.spec.classes,
                made=self._made(moment, step, training),
            )
            for moment, step in self.moments().items()
        }
        return TaughtTeachers(teachers, found.seconds, found.cached)

    def seconds_left(self, real: ImageSet, timed: float) -> float:
        """Estimate the seconds of the steps that the cache lacks, by some of about `timed` seconds."""
        training = self._training(real)
        with training.engine.active():
            return training.seconds_left(timed)[1]

    def _made(self, moment: float, step: int, training: TrajectoryTraining) -> dict[str, Any]:
        return {
            "teacher": "real",
            "arch": self.arch,
            **plugin_of(self.arch),
            "augment": str(training.augment),
            "seed": self.seed,
            "steps": self.recipe.steps,
            **({} if self.recipe.lr == TrajectoryRecipe().lr else {"lr": self.recipe.lr}),
            "moment": moment,
            "step": step,
            "real_images": len(training.real),
        }

    def _training(self, real: ImageSet) -> TrajectoryTraining:
        """Return the training, planned so that the cache has it if possible: compiled code rounds otherwise."""
        trainings = list(self._planned(real))
        return next((one for one in trainings if not one.seconds_left(0.0)[0]), trainings[0])

    def _planned(self, real: ImageSet) -> Iterator[TrajectoryTraining]:
        """Yield the training as this machine would compute it, then as a longer or shorter run would."""
        passes = _BACKWARD * self.recipe.steps * self.recipe.batch
        planned = self.compute.plan(self.arch, real.spec, passes)
        yield self._with(Engine(planned), real)
        if self.compute.compile == "auto":
            other = replace(self.compute, compile="off" if planned.compile else "on")
            try:
                yield self._with(Engine(other.plan(self.arch, real.spec, passes)), real)
            except InputError:  # there is no compiler
                return

    def _with(self, engine: Engine, real: ImageSet) -> TrajectoryTraining:
        return TrajectoryTraining(
            real=real.to(engine.device),
            network=engine.prepare(networks.build(self.arch, real.spec)),
            arch=self.arch,
            recipe=self.recipe,
            augment=augment.parse(self.augment, real.spec),
            streams=Streams(self.seed).at("trajectory", 0),
            engine=engine,
        )


def plugin_of(arch: str) -> dict[str, Any]:
    """Return the origin of a network that a plug-in defines as an entry `plugin`; nothing for any other."""
    origin = NETWORKS.origin(arch)
    return {"plugin": origin} if origin else {}
