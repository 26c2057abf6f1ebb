"""Choose moment and temperature of a teacher on held-out training images; no test image is seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from torch import Tensor

from ..data.image_set import ImageSet
from ..data.splits import split_held_out
from ..engine.execution import Compute
from ..synthetic.set import SyntheticSet
from ..synthetic.top_labels import as_stored
from ..training.teacher import Teacher
from ..utils.distributed import ALONE
from ..utils.errors import InputError
from .dry_run import estimate_by
from .evaluator import evaluate_by
from .protocol import Protocol, protocol_for
from .teachers import Report, TeacherSource

MOMENTS = (1 / 4, 1.0)
"""Fractions of the training of a teacher that are tried: an early teacher is softer."""
TEMPERATURES = (1.0, 2.0, 4.0)
"""Temperatures that are tried."""
HOLD_OUT = 0.1
"""Share of the training images of each class on which they are tried."""
_FEWEST_EPOCHS, _SHORTER = 30, 10  # of a trial; a tenth of those of the recipe, but at least 30
_TIMED = 1.0  # seconds in which steps of a teacher, and networks, are timed


@final
@dataclass(frozen=True)
class Choice:
    """Moment and temperature, and the trials by which they were chosen."""

    moment: float | None
    """Fraction of the training of the teacher; None if it does not learn the real images."""
    temperature: float
    trials: Sequence[Mapping[str, Any]] = ()
    """Accuracy on held-out images with moment and temperature; the set's own labels, without them, first. None where
    there was nothing to choose."""
    held_out: int = 0
    """Training images that were held out."""
    cached: float = 0.0
    """Seconds of training that the cache saved."""
    teacher: Teacher | None = None
    """The teacher that was tried, if it does not learn the real images."""


@final
@dataclass(frozen=True, kw_only=True)
class Trials:
    """Labels of one set that are tried: a student for each, tested on held-out training images."""

    synthetic: SyntheticSet
    source: TeacherSource
    moments: Sequence[float]
    """Fractions of the training; none for a teacher that does not learn the real images."""
    temperatures: Sequence[float]
    hold_out: float
    """Share of the training images of each class."""
    epochs: int | None
    """Epochs of a student; None for a tenth of its recipe, at least 30."""
    top_k: int | None = None
    """Largest probabilities of each label that are stored; None for all."""
    classes: Tensor
    """Class of each stored image before it is labelled, int64 (N / views,)."""

    def __post_init__(self) -> None:
        other = [] if self.epochs is None else [f"--trial-epochs {self.epochs}"]
        other += [] if self.hold_out == HOLD_OUT else [f"--trial-hold-out {self.hold_out:g}"]
        if other and self._settled:
            raise InputError(f"{other[0]}: nothing is tried, with one moment and one temperature: leave it out")

    @property
    def _settled(self) -> bool:
        """Return whether there is nothing to choose."""
        return max(len(self.moments), 1) * len(self.temperatures) == 1

    def choose(self, train: ImageSet, report: Report) -> Choice:
        """Return the best moment and temperature; without a choice, those asked for.

        A teacher of real images learns only those that are not held out.
        """
        moments = [*self.moments] or [None]
        if self._settled:
            return Choice(moments[0], self.temperatures[0])
        part, held = split_held_out(train, self.hold_out)
        given, cached = None, 0.0
        teachers: dict[float | None, Teacher] = {}
        if self.source.real:
            taught = self.source.taught(part, report)
            cached = taught.cached
            teachers |= {moment: taught.at[moment] for moment in self.moments}
        else:
            given = teachers[None] = self.source.given(part, report)
        asked = [(moment, temperature) for moment in moments for temperature in self.temperatures]
        trials: list[dict[str, Any]] = []
        for number, pair in enumerate([None, *asked]):
            labels = self.synthetic.labels
            if pair is not None:
                labels = self.labels(teachers[pair[0]], pair[1])
            what = f"student {number + 1} of {len(asked) + 1}"
            accuracy = self._accuracy(labels, held, report, what)
            moment, temperature = pair or (None, None)
            named = {"moment": moment, "temperature": temperature}
            trials.append({**{name: one for name, one in named.items() if one is not None}, "accuracy": accuracy})
        best = max(range(len(asked)), key=lambda number: trials[number + 1]["accuracy"])  # of equal ones the first
        return Choice(*asked[best], trials, len(held), cached, given)

    def labels(self, teacher: Teacher, temperature: float) -> Tensor:
        """Return the labels of a teacher for each training image of the set as they are stored, (N, K)."""
        with teacher.engine.active():
            found = teacher.probabilities(self.synthetic.images, temperature).cpu()
        return as_stored(found, self.top_k).to(self.synthetic.labels.device)

    def seconds_left(self, train: ImageSet) -> float:
        """Estimate the seconds of the students, and of the teacher that learns the images that are not held out."""
        if self._settled:
            return 0.0
        part, held = split_held_out(train, self.hold_out)
        students = len(self.moments) * len(self.temperatures) + 1
        protocol = self._protocol(self.synthetic)
        student = estimate_by(protocol, self.synthetic, held, self._compute, timed=_TIMED).seconds
        return students * student + self.source.training.seconds_left(part, _TIMED)

    def _accuracy(self, labels: Tensor, held: ImageSet, report: Report, what: str) -> float:
        """Train a network on the set with these labels by its recipe, and return its accuracy on held-out images."""
        made, done = replace(self.synthetic, labels=labels), 0
        protocol = self._protocol(made)

        def epoch() -> None:
            nonlocal done
            done += 1
            report(done / protocol.epochs, what)

        scores = evaluate_by(protocol, made, held, compute=self._compute, on_epoch=epoch, processes=ALONE)
        return scores.mean(*protocol.archs)

    def _protocol(self, synthetic: SyntheticSet) -> Protocol:
        """Return the recipe of a student, for fewer epochs."""
        protocol = protocol_for(synthetic, nets=1, seed=self.source.training.seed)
        (recipe,) = protocol.recipes.values()
        fewer = min(max(recipe.epochs // _SHORTER, _FEWEST_EPOCHS), recipe.epochs)
        return protocol.with_epochs(self.epochs or fewer)

    @property
    def _compute(self) -> Compute:
        """Return how students are computed: not compiled, as each would be compiled anew."""
        compute = self.source.training.compute
        return replace(compute, compile="off") if compute.compile == "auto" else compute
