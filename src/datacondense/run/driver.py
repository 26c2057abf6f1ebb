"""condense(): checks what it is given, settles how the run computes, and starts, resumes or replaces it."""

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..data.image_set import ImageSet
from ..data.spec import check_names
from ..engine.engine import Engine
from ..engine.execution import Compile, Precision, check_shared, settled
from ..methods import Method, method_name, plugins
from ..methods.small_classes import counts_text
from ..synthetic import set as set_file
from ..synthetic.set import SyntheticSet
from ..utils.distributed import Processes, all_processes
from ..utils.errors import DamagedFile, InputError
from ..utils.locks import alone
from ..utils.paths import named
from ..utils.ranges import (
    Batch,
    Images,
    Pause,
    Seconds,
    Seed,
    Snapshots,
    check_arguments,
    check_fields,
    plain,
    plain_fields,
)
from .directory import RunDirectory
from .job import Job
from .observers import Observer
from .signals import Stop, stop_signals


def condense(
    method: Method,
    real: ImageSet,
    ipc: Images,
    *,
    seed: Seed = 0,
    out: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    compile: Compile = "auto",
    classes_at_once: Batch | None = None,
    time_budget: Seconds | None = None,
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_every: Pause = 60.0,
    snapshots: Snapshots = 0,
    start: SyntheticSet | None = None,
    source: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
    processes: Processes | None = None,
) -> SyntheticSet:
    """Condense `real` into `ipc` synthetic images of each class.

    Of a class with fewer real images than `ipc`, methods that make images make as many all the same, and methods that
    choose images keep those that it has; a warning names such classes.

    seed: the same on the same machine gives the same images, bit for bit.
    out: run directory to write; None keeps everything in memory.
    device: auto, cpu, cuda or cuda:N. precision: arithmetic of the networks, auto, fp32, tf32 or bf16. compile: by
    torch.compile, auto, on or off; auto compiles where the run is long enough to pay for it.
    classes_at_once: classes whose images are compared together; fewer need less memory. By default what fits.
    time_budget: seconds after which this session stops, counted from the call: after an update of the images, with a
    valid set, or before the first iteration, in which case it raises Stopped.
    resume: go on with the run in `out`, bit for bit as if it had never stopped; a fresh run where there is none.
    overwrite: delete the run in `out` first.
    checkpoint_every: seconds between checkpoints.
    snapshots: keep the images at the start and at this many iterations, spread evenly up to the last, in `out`, for
    pictures of how they came about; a resumed run may ask for another number.
    start: a set to start from, made by another method for instance; by default the method's own start.
    source: what `real` was loaded from, the arguments of `load`; recorded, so that its test images can be found.
    processes: who shares the work, each with the same arguments; by default all of PyTorch's process group where there
    is one. The first of them alone writes and tells the observers; the set is returned by all.

    Ctrl-C and SIGTERM stop after the update of the images, as the time budget does. A run that was stopped inside an
    iteration of several updates repeats that iteration when it is resumed.
    Raises InputError for anything that cannot be used; Locked while another process writes to `out`; Stopped where a
    signal or the time budget ends the preparation, which leaves `out` as it was; and Diverged when the loss or the
    images are not finite or cannot be stored; the set as it stood before that update is in `out` then.
    """
    stop = Stop(time_budget)
    processes = all_processes() if processes is None else processes
    if not isinstance(method, Method):
        raise InputError(f"{method!r} is no method: give one such as datacondense.methods.DistributionMatching()")
    check_arguments(
        condense,
        ipc=ipc,
        seed=seed,
        classes_at_once=classes_at_once,
        time_budget=time_budget,
        checkpoint_every=checkpoint_every,
        snapshots=snapshots,
    )
    ipc, seed, snapshots, classes_at_once = map(plain, (ipc, seed, snapshots, classes_at_once))
    check(method, real, ipc)
    method = plain_fields(method)
    check_start(start, method, real, ipc)
    check_shared(device, processes)
    _check_session(snapshots, out, resume=resume, overwrite=overwrite)
    asked: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "compile": compile,
        "classes_at_once": classes_at_once,
    }
    identity = {
        "method": method_name(method),
        "settings": method.settings(),
        "data": real.spec.name,
        "data_sha256": real.fingerprint(),
        "ipc": ipc,
        "seed": seed,
        **asked,
        "start": _origin(start) if start else None,
    }
    origin = {"source": source, **({"plugin": plugin} if (plugin := plugins.origin(type(method))) else {})}
    _check_provenance({key: value for key, value in identity.items() if key not in asked} | origin, real)
    if processes.leads:
        note_small_classes(start, method, real, ipc)
    directory = RunDirectory(named(out)) if out is not None and processes.leads else None
    job = Job(
        method=method,
        real=real,
        ipc=ipc,
        seed=seed,
        asked=asked,
        identity=identity,
        origin=origin,
        start=start,
        directory=directory,
        observers=tuple(observers) if processes.leads else (),
        processes=processes,
    )
    with stop_signals(job.tell) as stop.asked, nullcontext() if out is None else alone(named(out), processes):
        recorded, execution = processes.agreed(lambda: job.settled(resume=resume, overwrite=overwrite))
        if isinstance(execution, SyntheticSet):
            return execution
        name = real.spec.name
        if recorded and recorded["data"] != name:
            check_names([recorded["data"]], "name of the data")
            real = real.renamed(recorded["data"])
            job = replace(job, real=real, identity={**identity, "data": real.spec.name})
        # each its own device; alone, what a run to be resumed has recorded
        execution = replace(execution, device=settled(device)) if processes.size > 1 else execution
        engine = Engine(execution, processes)
        with engine.active():
            session = job.prepared(engine, recorded, stop, snapshots)
            if name != real.spec.name:
                kept = real.spec.name
                session.tell(f"{name} holds the images on which the run was begun as {kept}: that name is kept")
            return session.go(stop, checkpoint_every)


def _check_session(snapshots: int, out: str | Path | None, *, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other: take one")
    if snapshots and out is None:
        raise InputError(f"--snapshots {snapshots}: there is no run directory to keep them in, name one by --out")


def check(method: Method, real: ImageSet, ipc: Images) -> None:
    """Raises InputError for what no run can make of `real`."""
    check_fields(method)  # also where a method of others has a check of its own
    method.check()
    if real.spec.classes < method.least_classes:
        raise InputError(f"{method_name(method)} compares networks that tell classes apart: there is one class only")
    check_arguments(check, ipc=ipc)
    number, names = _fewer(real.counts, 1, real)
    if number:
        raise InputError(
            f"{number} of {real.spec.classes} classes have no training image: {names}; leave them out of the data"
        )


def note_small_classes(start: SyntheticSet | None, method: Method, real: ImageSet, ipc: int) -> None:
    """Warn which classes have fewer images than `ipc`, if there are any, and say what is made of them."""
    counts = real.counts if start is None else start.counts
    number, names = _fewer(counts, ipc, real)
    if not number:
        return
    what = "training images" if start is None else "images in the set to start from"
    made = f"makes {ipc} of each all the same" if method.fills_up else "keeps all that they have"
    warnings.warn(
        f"{number} of {real.spec.classes} classes have fewer {what} than the {ipc} asked for: {names}; "
        f"{method_name(method)} {made}" + ("; `condense --drop-small-classes` leaves them out" * (start is None)),
        stacklevel=3,
    )


def _fewer(counts: Tensor, least: int, real: ImageSet) -> tuple[int, str]:
    """How many classes have fewer than `least` images, and the first of them in words."""
    some = [(name, n) for name, n in zip(real.spec.class_names, counts.tolist(), strict=True) if n < least]
    return len(some), counts_text([name for name, _ in some], [n for _, n in some])


def _check_provenance(made: Mapping[str, Any], real: ImageSet) -> None:
    """Raise InputError for what could be written into no set, or read from none."""
    try:
        made = json.loads(json.dumps(made))
    except TypeError as error:
        raise InputError(f"{error}: give plain numbers, texts and lists of them") from None
    try:
        set_file.read_header({"format": set_file.FORMAT, "spec": real.spec.to_json(), "provenance": made})
    except DamagedFile as error:
        raise InputError(str(error)) from None  # there is no file yet


def check_start(start: SyntheticSet | None, method: Method, real: ImageSet, ipc: int) -> None:
    """Raises InputError for a set that a run on `real` cannot start from.

    A class of which it has fewer than `ipc` images is filled up, if it has as many of another.
    """
    if start is None:
        return
    if not isinstance(start, SyntheticSet):
        raise InputError(f"start: {start!r} is no set: give datacondense.load_set(RUN)")
    if not method.takes_start:
        raise InputError(f"--start: {method_name(method)} does not move the pixels of images: take another method")
    difference = real.spec.difference(start.spec)
    if difference:
        raise InputError(
            f"--start: the set is of other data ({difference}): name one that was made of {real.spec.name}"
        )
    most = int(start.counts.max())
    if most != ipc:
        raise InputError(f"--start: the set has {start.per_class} images of each class: take --ipc {most}")


def _origin(start: SyntheticSet) -> dict[str, Any]:
    """What a run tells of the set that it starts from."""
    made = start.provenance
    kept = {key: made[key] for key in ("method", "settings", "seed", "iterations_done") if key in made}
    took = {} if start.seconds is None else {"wall_seconds": start.seconds}
    return {"sha256": start.fingerprint(), **kept, **took}
