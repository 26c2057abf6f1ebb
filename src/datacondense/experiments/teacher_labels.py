"""Labels of a teacher for the finished sets of an experiment."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

from ..augment.mix import MixKind
from ..data.image_set import ImageSet
from ..engine.execution import Compute
from ..evaluation.labelling import label
from ..run.directory import LABELLING, RunDirectory
from ..run.observers import Observers
from ..run.signals import stop_signals, stoppable
from ..synthetic.set import SyntheticSet, load_set
from ..training.trajectories import TrajectoryRecipe
from ..utils.distributed import Processes

_USUAL = {"lr": TrajectoryRecipe.lr, "mix": "none"}
"""Values that are not recorded with the labels of a set."""


@final
@dataclass(frozen=True, kw_only=True)
class TeacherLabels:
    """How a teacher that learns the real images labels a set, as the options of `label` of these names."""

    training_steps: int
    training_lr: float | None = None
    moment: float = 1.0
    temperature: float = 1.0
    top_k: int | None = None
    views: int | None = None
    mix: MixKind = "none"

    def shortened(self, share: float) -> "TeacherLabels":
        """Return the labels of a teacher of this share of the steps, at least one."""
        return replace(self, training_steps=max(1, round(self.training_steps * share)))

    def settings(self) -> dict[str, Any]:
        """Return the options that are not None, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def label_once(
    wanted: TeacherLabels,
    synthetic: SyntheticSet,
    train: ImageSet,
    run: Path,
    *,
    compute: Compute,
    overwrite: bool,
    observers: Observers,
    processes: Processes,
) -> SyntheticSet:
    """Return a set with the labels of a teacher: that of `run` if it is this one, else labelled and written there.

    overwrite: replace another run there.

    Raises Stopped if the user stops it; what the teacher has learned is kept.
    """
    with stop_signals(observers.message) as stop:
        unfinished = "stopped before the set had labels of a teacher: the same command continues"
        report = stoppable(observers.preparing, stop, unfinished)

        def labelled() -> SyntheticSet:
            found = _kept(wanted, synthetic, run)
            options: Any = {**wanted.settings(), "report": report, "progress": False}
            return found or label(synthetic, train, compute=compute, out=run, overwrite=overwrite, **options)

        return processes.agreed(labelled)


def _kept(wanted: TeacherLabels, synthetic: SyntheticSet, run: Path) -> SyntheticSet | None:
    """Return the set of a run directory if it is this one with these labels."""
    directory = RunDirectory(run)
    if not directory.has_run() or directory.recorded().get("status") == LABELLING:
        return None
    found = load_set(run)
    recorded = found.provenance.labels
    names = {"training_steps": "steps", "training_lr": "lr"}
    asked = {names.get(name, name): value for name, value in wanted.settings().items()}
    same = {name: recorded.get(name, _USUAL.get(name)) for name in asked} == asked
    before, now = (one.provenance.changed(labels=None).to_json() for one in (found, synthetic))
    return found if same and before == now else None
