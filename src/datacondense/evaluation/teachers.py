"""Teachers by what a user names: real, a file of weights, a run whose set they learned, or a module."""

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, Union, final

from torch import Tensor, nn

from .. import networks
from ..augment import parse_training
from ..data.image_set import ImageSet
from ..data.spec import Spec
from ..engine.engine import Engine
from ..engine.execution import Compute
from ..synthetic.set import FILE_NAME, SyntheticSet, load_set
from ..training.cache_keys import with_code
from ..training.cached import TrainingCache
from ..training.loop import Training
from ..training.real_teachers import LABELLING, TaughtTeachers, TeacherTraining, plugin_of
from ..training.teacher import OnlineTeacher, Teacher
from ..training.teacher_weights import loaded, read_weights
from ..training.trajectories import TrajectoryRecipe, Weights, weights_of
from ..utils.errors import InputError
from ..utils.ranges import check_fields
from ..utils.streams import Streams
from .planning import plan_networks
from .protocol import Protocol, protocol_for

TeacherName: TypeAlias = Union[str, Path, SyntheticSet, nn.Module, Teacher]  # noqa: UP007 (a name of it is documented)
"""real, a path of weights or of a run, a set, a trained module, or a teacher."""
Report: TypeAlias = Callable[[float, str], None]
"""Called with the fraction done and the name of the work."""
REAL = "real"
_SHOWN = 80  # characters of a file name


@final
@dataclass(frozen=True, kw_only=True)
class TeacherSource:
    """A teacher as a user names it, and how it is trained or run where that is needed."""

    which: TeacherName
    arch: str | None = None
    """Architecture of a network that learns a set; None for that of the set."""
    training: TeacherTraining
    """Training of a teacher on real images. Its architecture is also that of weights; seed and compute hold for all."""

    @property
    def real(self) -> bool:
        """Return whether the teacher learns the real images."""
        return isinstance(self.which, str) and self.which == REAL

    def __str__(self) -> str:
        if isinstance(self.which, SyntheticSet):
            return f"of a set made by {self.which.provenance.method}"
        return str(self.which) if isinstance(self.which, str | Path) else type(self.which).__name__

    def teacher(self, real: ImageSet, report: Report, moment: float = 1.0) -> Teacher:
        """Return the teacher, of real images after the fraction `moment` of its training. Raises as `given` does."""
        return self.taught(real, report).at[moment] if self.real else self.given(real, report)

    def taught(self, real: ImageSet, report: Report) -> TaughtTeachers:
        """Train a teacher on real images, or take it from the cache; return it at each moment."""
        return self.training.finish(real, report)

    def given(self, real: ImageSet, report: Report) -> Teacher:
        """Return a teacher that does not learn the real images, after a check that it knows their classes.

        Raises InputError for a file that holds no weights of the architecture, and for other classes.
        """
        which = self.which
        if isinstance(which, Teacher):
            found = which
        elif isinstance(which, SyntheticSet):
            found = self._of_set(which, real.spec, report)
        elif isinstance(which, nn.Module):
            found = self._teacher(which, real.spec, {"teacher": "module", "arch": type(which).__name__})
        elif Path(which).is_dir() or Path(which).name == FILE_NAME:
            found = self._of_set(load_set(which), real.spec, report)
        else:
            made = {"teacher": "file", "arch": self.training.arch, **plugin_of(self.training.arch)}
            weights = read_weights(which)
            made |= {"file": Path(which).name[:_SHOWN], "sha256": hashlib.sha256(Path(which).read_bytes()).hexdigest()}
            found = self._teacher(weights, real.spec, made)
        found.check_classes(real, str(self))
        return found

    def _teacher(self, network: nn.Module | Mapping[str, Tensor], spec: Spec, made: Mapping[str, Any]) -> Teacher:
        """Return a teacher with a trained module, or with weights of the architecture."""
        training = self.training
        engine = Engine(replace(training.compute, compile="off").plan(training.arch, spec, LABELLING))
        if isinstance(network, nn.Module):
            network = copy.deepcopy(network).to(engine.device).requires_grad_(False).eval()
        else:
            network = loaded(training.arch, spec, network, engine)
        return Teacher(network=network, engine=engine, classes=spec.classes, made=made)

    def _of_set(self, synthetic: SyntheticSet, spec: Spec, report: Report) -> Teacher:
        """Train a network on a set by its own recipe, or take it from the cache."""
        if difference := spec.difference(synthetic.spec):
            raise InputError(f"the teacher's set was made from {synthetic.spec.name!r}: {difference}")
        seed, compute = self.training.seed, self.training.compute
        protocol = protocol_for(synthetic, archs=self.arch, nets=1, seed=seed)
        ((arch, recipe),) = protocol.recipes.items()
        weights = learn(synthetic, protocol, compute, report)
        engine = Engine(replace(compute, compile="off").plan(arch, spec, LABELLING))
        made = {
            "teacher": "run",
            "arch": arch,
            **plugin_of(arch),
            "seed": seed,
            "method": synthetic.provenance.method,
            "set_sha256": synthetic.fingerprint(),
            "recipe": recipe.to_json(),
        }
        return Teacher(network=loaded(arch, spec, weights, engine), engine=engine, classes=spec.classes, made=made)


def training_beside(
    synthetic: SyntheticSet,
    compute: Compute,
    *,
    arch: str | None = None,
    steps: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
) -> TeacherTraining:
    """Return the training of a teacher of the images that a set was made from.

    Args:
        synthetic: The set, whose method may have trained the same network.
        compute: Device, precision and compilation.
        arch: Architecture; None takes that of the set.
        steps: Steps of the training; None takes those of a set made under trained networks, otherwise 500.
        lr: First learning rate; None takes that of methods.
        seed: Seed; None takes that of the set.

    Raises:
        InputError: The number of steps or the learning rate is out of range.
    """
    settings = synthetic.provenance.settings
    recipe = TrajectoryRecipe(steps=settings.get("training_steps", 500) if steps is None else steps)
    recipe = recipe if lr is None else replace(recipe, lr=lr)
    check_fields(recipe)
    return TeacherTraining(
        arch=arch or settings.get("arch", "ConvNet"),
        augment=settings.get("augment", "auto"),
        recipe=recipe,
        seed=(synthetic.provenance.seed or 0) if seed is None else seed,
        compute=compute,
    )


def online_teacher(
    synthetic: SyntheticSet,
    train: ImageSet,
    teacher: TeacherName,
    *,
    temperature: float | None,
    compute: Compute,
    report: Report,
) -> OnlineTeacher:
    """Return a teacher that labels each training batch of the networks that learn a set and images beside it.

    Args:
        synthetic: The set. Where a teacher gave its labels, moment and temperature are those of these labels, and a
            teacher of real images is trained as the one that gave them.
        train: The real images that it was made from.
        teacher: As in `label`.
        temperature: Number that divides the logits; None takes that of the labels of the set, otherwise 1.
        compute: Device, precision and compilation.
        report: Called with the fraction done and the name of the work.

    Raises:
        InputError: The teacher cannot be used, or does not know the classes.
    """
    recorded = synthetic.provenance.labels
    same = isinstance(teacher, str) and teacher == recorded.get("teacher") == REAL
    how = {name: recorded.get(name) for name in ("arch", "steps", "lr", "seed")} if same else {}
    source = TeacherSource(which=teacher, training=training_beside(synthetic, compute, **how))
    found = source.teacher(train, report, recorded.get("moment", 1.0))
    return OnlineTeacher(found, recorded.get("temperature", 1.0) if temperature is None else temperature)


def learn(synthetic: SyntheticSet, protocol: Protocol, compute: Compute, report: Report) -> Weights:
    """Train the network of a protocol on a set, or take its weights from the cache; an interrupted one is resumed."""
    ((arch, recipe),) = protocol.recipes.items()
    engine = Engine(plan_networks(protocol, synthetic, synthetic.spec, compute)[arch])
    streams = Streams(protocol.seed).at("teacher")
    with engine.active():
        network = engine.prepare(networks.build(arch, synthetic.spec))
        augment = parse_training(recipe.augment, synthetic.spec, arch)
        training = Training(network, synthetic.to(engine.device), streams, engine, recipe, augment=augment)
        epochs = _Epochs(training, recipe.epochs)
        key = with_code({"arch": arch, "recipe": recipe.to_json()}, [arch], [recipe.loss])
        what = f"a teacher learns {len(synthetic)} images"
        cache = TrainingCache("teachers", synthetic, streams, engine, key)
        cache.finish(epochs, lambda done: report(done / recipe.epochs, what))
        return weights_of(training.finish())


@final
class _Epochs:
    """The epochs of a training, each a step."""

    def __init__(self, training: Training, steps: int) -> None:
        self.training = training
        self.done, self.steps = 0, steps

    def step(self) -> None:
        self.training.epoch()

    def state(self) -> dict[str, Tensor]:
        return self.training.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.training.restore(state)
