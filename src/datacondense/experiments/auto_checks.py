"""The arguments of `auto`, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias, cast, final

from msgspec import Meta

from ..data.image_set import ImageSet
from ..engine.execution import Compute, resolve_compute
from ..run.checks import check_method
from ..run.observers import Observers, checked_observers
from ..run.signals import Request
from ..utils.distributed import all_processes
from ..utils.errors import InputError, unknown
from ..utils.keywords import check_keywords
from ..utils.ranges import Images, Seed, check_arguments, plain
from .auto_record import Record
from .auto_table import Candidate, Entrant, Kind, entrants, kind_of, pixel_images_within
from .auto_task import Clock, Task
from .options import AutoOptions

Size: TypeAlias = Annotated[int, Meta(ge=1, le=2**50)]
"""Bytes of a set."""
BUDGET = 300.0
"""Default seconds of a call."""


@final
@dataclass(frozen=True)
class Asked:
    """Checked arguments of `auto`."""

    kind: Kind | None
    """Kind of the problem; None for candidates of the caller."""
    bytes: int | None
    task: Task
    """The task, with a record in memory only."""


def checked(
    real: ImageSet,
    ipc: Images | None,
    bytes: Size | None,
    candidates: int | Sequence[Candidate],
    seed: Seed,
    compute: Compute | None,
    options: AutoOptions,
) -> Asked:
    """Return the checked arguments of `auto`. Raises InputError as it does."""
    ranged = ("time_budget", "checkpoint_every", "snapshots", "race_hold_out", "race_epochs", "race_nets")
    check_keywords("auto", AutoOptions, options, *ranged)
    check_arguments(checked, ipc=ipc, bytes=bytes, seed=seed)
    if ipc is not None and bytes is not None:
        raise InputError("--ipc and --bytes exclude each other: use one")
    if isinstance(candidates, int) and (isinstance(candidates, bool) or candidates < 1):
        raise InputError(f"--candidates {candidates}: must be at least 1")
    if not isinstance(candidates, int) and not (
        candidates and all(isinstance(cast("object", one), Candidate) for one in candidates)
    ):
        raise InputError(f"candidates {candidates!r}: give a number, or a list of Candidate")
    if options.get("labels", "own") not in ("own", "soft"):
        raise unknown("labels", str(options.get("labels")), ("own", "soft"))
    ipc = 10 if ipc is None and bytes is None else plain(ipc)
    kind, ones, most = None, candidates, None
    if isinstance(ones, int):
        kind = kind_of(real.spec, pixel_images_within(bytes or 0, real) if ipc is None else ipc)
        ones, most = kind.candidates, ones
    budget = options.get("time_budget")
    processes = options.get("processes")
    processes = all_processes() if processes is None else processes
    observers = checked_observers(options.get("observers", ()))
    options["observers"] = observers
    task = Task(
        real=real,
        entrants=_usable(entrants(ones, real, ipc, bytes=plain(bytes), arch=options.get("arch")), real)[:most],
        seed=plain(seed),
        compute=resolve_compute(compute, options),
        processes=processes,
        observers=Observers(observers if processes.leads else ()),
        record=Record({}, None),
        clock=Clock(processes.agreed(lambda: BUDGET if budget is None else budget)),
        request=Request(lambda text: None),
        hold_out=options.get("race_hold_out", 0.15),
        most_epochs=plain(options.get("race_epochs", 300)),
        most_nets=plain(options.get("race_nets", 3)),
    )
    return Asked(kind, plain(bytes), task)


def _usable(ones: Sequence[Entrant], real: ImageSet) -> list[Entrant]:
    """Return the candidates that the data allow. Raises the error of the first if there is none."""
    found, errors = [], []
    for one in ones:
        try:
            check_method(one.method, real, one.ipc)
            found.append(one)
        except InputError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found
