"""The arguments of `auto`, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias, cast, final

from msgspec import Meta

from ..data.image_set import ImageSet
from ..engine.execution import Compute, resolve_compute
from ..run.checks import check_kind, check_method
from ..run.observers import Observers, checked_observers
from ..run.signals import Request
from ..utils.distributed import all_processes
from ..utils.errors import InputError, naming, unknown
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
CANDIDATES = 3
"""Default number of candidates of the table."""
HOLD_OUT = 0.15
"""Default share of the training images that is held out in a race."""
EPOCHS, NETS = 300, 3
"""Default numbers of epochs and networks that score a candidate, at most."""


@final
@dataclass(frozen=True)
class Asked:
    """Checked arguments of `auto`."""

    kind: Kind | None
    """Kind of the problem; None for candidates of the caller."""
    bytes: int | None
    task: Task
    """The task, with a record in memory only."""
    left_out: Sequence[str]
    """A line for each candidate of the table that the data or the network do not allow."""


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
    candidates = plain(candidates)
    ranged = ("time_budget", "checkpoint_every", "snapshots", "race_hold_out", "race_epochs", "race_nets")
    check_keywords("auto", AutoOptions, options, *ranged)
    check_arguments(checked, ipc=ipc, bytes=bytes, seed=seed)
    if ipc is not None and bytes is not None:
        raise InputError("--ipc and --bytes exclude each other: use one")
    if isinstance(candidates, int) and (isinstance(candidates, bool) or candidates < 1):
        raise InputError(f"--candidates {candidates}: must be at least 1")
    if not isinstance(candidates, int):
        _check_own(candidates)
    if options.get("labels", "own") not in ("own", "soft"):
        raise unknown("labels", str(options.get("labels")), ("own", "soft"))
    if options.get("labels") == "soft":
        _check_soft(candidates, options)
    ipc = 10 if ipc is None and bytes is None else plain(ipc)
    kind, ones, most = None, candidates, None
    if isinstance(ones, int):
        kind = kind_of(real.spec, pixel_images_within(bytes or 0, real) if ipc is None else ipc)
        ones, most = kind.candidates, ones
    entered = entrants(ones, real, ipc, bytes=plain(bytes), arch=options.get("arch"))
    usable, left_out = _usable(entered, real, most, own=kind is None)
    budget = plain(options.get("time_budget"))
    processes = options.get("processes")
    processes = all_processes() if processes is None else processes
    observers = checked_observers(options.get("observers", ()))
    options["observers"] = observers
    task = Task(
        real=real,
        entrants=usable,
        seed=plain(seed),
        compute=resolve_compute(compute, options),
        processes=processes,
        observers=Observers(observers if processes.leads else ()),
        record=Record({}, None),
        clock=Clock(processes.agreed(lambda: BUDGET if budget is None else budget)),
        request=Request(lambda text: None),
        hold_out=plain(options.get("race_hold_out", HOLD_OUT)),
        most_epochs=plain(options.get("race_epochs", EPOCHS)),
        most_nets=plain(options.get("race_nets", NETS)),
    )
    return Asked(kind, plain(bytes), task, left_out)


def _check_soft(candidates: int | Sequence[Candidate], options: AutoOptions) -> None:
    """Check that what would have no effect on soft labels is not asked for. Raises InputError otherwise."""
    if not isinstance(candidates, int):
        raise without_effect("candidates")
    unused = (
        ("candidates", candidates, CANDIDATES),
        ("race-hold-out", options.get("race_hold_out", HOLD_OUT), HOLD_OUT),
        ("race-epochs", options.get("race_epochs", EPOCHS), EPOCHS),
        ("race-nets", options.get("race_nets", NETS), NETS),
        ("snapshots", options.get("snapshots", 0), 0),
    )
    for name, value, usual in unused:
        if value != usual:
            raise without_effect(f"--{name} {value}")


def without_effect(option: str) -> InputError:
    """Return the error for an option that has no effect on soft labels."""
    return InputError(f"{option} needs --labels own: it has no effect on soft labels, so leave it out")


def _check_own(candidates: Sequence[Candidate]) -> None:
    """Check the candidates of a caller, before they are fitted to the data. Raises InputError as `auto` does."""
    listed: object = candidates
    ones = list(cast("Sequence[object]", listed)) if isinstance(listed, Sequence) else []
    if not ones or not all(isinstance(one, Candidate) for one in ones):
        raise InputError(f"candidates {candidates!r}: give a number, or a list of Candidate")
    names = [one.name for one in candidates]
    for one in candidates:
        if names.count(one.name) > 1:
            raise InputError(f"candidates: two have the name {one.name}: give each a name of its own")
        with naming(f"candidate {one.name}"):
            check_kind(one.method)


def _usable(ones: Sequence[Entrant], real: ImageSet, most: int | None, *, own: bool) -> tuple[list[Entrant], list[str]]:
    """Return the candidates that the data allow, at most so many, and a line for each that they do not allow.

    Raises the error of the first if there is none, and of candidates of the caller (`own`) each error.
    """
    found, errors = list[Entrant](), dict[str, InputError]()
    for one in ones:
        if len(found) == most:
            break
        try:
            check_method(one.method, real, one.ipc)
            found.append(one)
        except InputError as error:
            if own:
                raise type(error)(f"candidate {one.name}: {error}") from None
            errors[one.name] = error
    if not found:
        raise next(iter(errors.values()))
    return found, [f"{name} is left out: {error}" for name, error in errors.items()]
