"""Presets with changes: the plan of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from ..evaluation.protocol import GIVEN, OWN, Protocol, protocol_for, published_recipe
from ..evaluation.scores import PUBLISHED
from ..methods import Method, method_name
from ..methods.trained_networks import TrainedNetworks
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError, unknown
from ..utils.ranges import Images, Iterations, Networks, Repeats, Scale, check_arguments, check_value, plain
from ..utils.text import file_name
from .preset import Preset
from .presets import PRESETS

_DECIDED = ("auto", "dsa", "dc")
"""Names of augmentations that stand for strategies by the images and the network."""


@final
@dataclass(frozen=True, kw_only=True)
class ExperimentPlan:
    """A preset with changes: fewer sets, networks, iterations or epochs, or other data."""

    name: str
    preset: Preset
    scale: float
    iterations: int | None
    data: str
    ipc: int
    hold_out: float = 0.0
    """Fraction of the training images that is held out for validation."""

    @property
    def changed(self) -> bool:
        """True if more than the number of sets and networks differs from the published experiment."""
        return self.variant != self.name

    @property
    def variant(self) -> str:
        """The name with all changes."""
        return variant_name(
            self.name,
            data=self.data if self.data != self.preset.data else None,
            ipc=self.ipc if self.ipc != self.preset.ipc else None,
            iterations=self.iterations,
            scale=self.scale,
            hold_out=self.hold_out,
        )

    @property
    def stages(self) -> list[tuple[str, Method]]:
        """Directory inside that of the set, and method, of each stage that makes a set before it is labelled."""
        last = [("images" if self.preset.labels else "", self.preset.method)]
        return [("first", self.preset.first), *last] if self.preset.first else last

    def protocol(self, synthetic: SyntheticSet, seed: int) -> Protocol:
        """Return the protocol for one set; `seed` gives each set its own networks.

        DC's protocol has the one epoch more than the paper that the authors' code makes; a scaled one has not.
        """
        recipe = self.preset.recipe or (OWN if self.preset.labels else PUBLISHED)
        return self._counted(
            protocol_for(synthetic, pool=self.preset.pool, nets=self.preset.nets, recipe=recipe, seed=seed)
        )

    def trains_by(self, recorded: Mapping[str, Any]) -> bool:
        """Return whether a recorded recipe is that of this plan, as far as it is known without a set.

        A set decides the augmentation where it has no name of its own, and brings the recipe of labels of a teacher.
        """
        own, source = self.preset.recipe, recorded.get("source", PUBLISHED)
        if own is None and self.preset.labels:
            return source != GIVEN
        augment = str(recorded.get("augment"))
        if own is not None and own.augment not in _DECIDED and own.augment != augment:
            return False
        recipe = published_recipe(augment) if own is None else replace(own, augment=augment)
        full = Protocol(recipes={"": recipe}, nets=1, seed=0, source=PUBLISHED if own is None else GIVEN)
        return self._counted(full).to_json()["recipes"][""] == recorded

    def _counted(self, full: Protocol) -> Protocol:
        """Return a protocol with the epochs that the scale, or the authors' code, makes of it."""
        if self.scale != 1:
            return full.shortened(self.scale)
        return full if self.preset.recipe or self.preset.labels else full.as_published()


def variant_name(
    name: str, *, data: str | None, ipc: int | None, iterations: int | None, scale: float, hold_out: float = 0.0
) -> str:
    """Return the name of an experiment with its changes; None, and a scale of 1, mean no change."""
    changes = [
        f"@{file_name(data)}" if data is not None else "",
        f"@ipc{ipc}" if ipc is not None else "",
        f"@iterations{iterations}" if iterations is not None else "",
        f"@scale{scale:g}" if scale != 1 else "",
        f"@hold_out{hold_out:g}" if hold_out else "",
    ]
    return name + "".join(changes)


def plan_experiment(
    name: str,
    *,
    sets: Repeats | None = None,
    nets: Networks | None = None,
    scale: Scale = 1.0,
    iterations: Iterations | None = None,
    data: str | None = None,
    ipc: Images | None = None,
    hold_out: float = 0.0,
) -> ExperimentPlan:
    """Look up a preset and apply changes to it.

    Args:
        name: A key of PRESETS.
        sets: Sets to condense; by default as published, scaled.
        nets: Networks of each kind to train on each set; by default as published, scaled.
        scale: Factor of the iterations, epochs, sets and networks, of both the number and the steps of trainings on
            real images before the first iteration, and of the steps of a teacher.
        iterations: Of the method; by default as published, scaled.
        data: Another dataset.
        ipc: Another number of images per class.
        hold_out: Fraction of the training images that is held out for validation.

    Returns:
        The plan.

    Raises:
        InputError: The name is unknown, or a number is out of range.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS, listed_by="datacondense list presets")
    check_value("seeds", sets, Repeats | None)
    check_arguments(plan_experiment, nets=nets, scale=scale, iterations=iterations, ipc=ipc)
    sets, nets, scale, iterations, ipc, hold_out = map(plain, (sets, nets, scale, iterations, ipc, hold_out))
    preset = PRESETS[name]
    sets = _scaled(preset.sets, scale) if sets is None else sets
    nets = _scaled(preset.nets, scale) if nets is None else nets
    published = preset.method.iterations
    if iterations is not None and not published:
        raise InputError(f"--iterations {iterations}: {method_name(preset.method)} of {name} makes none: leave it out")
    count = _scaled(published, scale) if iterations is None else iterations
    if scale == 1 and count == published:
        iterations = None
    method = _scaled_method(preset.method, count, scale)
    labels = preset.labels and preset.labels.shortened(scale)
    first = preset.first
    if first:
        share = count / published
        first = replace(first, iterations=_scaled(first.iterations, share))
    return ExperimentPlan(
        name=name,
        preset=replace(preset, method=method, first=first, labels=labels, sets=sets, nets=nets),
        scale=scale,
        iterations=iterations,
        data=data or preset.data,
        ipc=preset.ipc if ipc is None else ipc,
        hold_out=hold_out,
    )


def first_settings(plan: ExperimentPlan) -> dict[str, Any] | None:
    """Return name and settings of the method whose sets the method of the plan starts from; None without one."""
    first = plan.preset.first
    return {"method": method_name(first), **first.settings()} if first else None


def _scaled_method(method: Method, iterations: int, scale: float) -> Method:
    """Return a method with other iterations, if it has any, and with fewer and shorter trainings on real images."""
    method = replace(method, iterations=iterations) if method.iterations else method
    if isinstance(method, TrainedNetworks):
        trainings, steps = (_scaled(one, scale) for one in (method.trainings, method.training_steps))
        method = replace(method, trainings=trainings, training_steps=steps)
    method.check()
    return method


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale))
