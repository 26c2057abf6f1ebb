"""condense(): check the arguments, plan the computation, and start, resume or replace the run."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from ..data.conversion import AnyImages, as_image_set, source_of
from ..data.image_set import ImageSet
from ..data.source import DataSource
from ..data.spec import check_names
from ..drawing.progress_bar import progress_bar
from ..engine.engine import Engine
from ..engine.execution import Compute, check_shared, resolve_compute, resolve_device
from ..methods import Method, method_name
from ..synthetic.set import SyntheticSet
from ..utils.distributed import all_processes
from ..utils.keywords import check_keywords
from ..utils.locks import alone
from ..utils.paths import named
from ..utils.ranges import Images, Seed, check_arguments, plain
from .checks import check_provenance, check_session, check_start, checked_method, note_small_classes
from .directory import RunDirectory
from .job import Job
from .observers import Observers, checked_observers
from .options import RunOptions
from .outputs import write_outputs
from .plugin_origins import plugins_of
from .run_bar import RunBar
from .signals import Stop, stop_signals


def condense(
    method: Method,
    real: AnyImages,
    ipc: Images,
    *,
    seed: Seed = 0,
    out: str | Path | None = None,
    start: SyntheticSet | None = None,
    compute: Compute | None = None,
    **options: Unpack[RunOptions],
) -> SyntheticSet:
    """Condense `real` into `ipc` synthetic images of each class.

    Methods that optimise images make `ipc` images even of a class with fewer real images; methods that select images
    take all images of such a class. A warning names these classes.

    Ctrl-C and SIGTERM stop after the update of the images, as the time budget does. A run that was stopped inside an
    iteration of several updates repeats that iteration when it is resumed.

    Args:
        method: the method with its settings, such as `DistributionMatching(iterations=1000)`.
        real: the training images, N of K classes: an ImageSet, or whatever `as_image_set` takes, such as "digits",
            "folder:photos", a pair (X, y) or a dataset of torch.
        ipc: synthetic images of each class.
        seed: on the same machine the same seed gives the same images, bit for bit.
        out: run directory to write; None keeps everything in memory.
        start: a set to start from, made by another method for instance; None takes the method's own start.
        compute: device, precision, compilation and memory; None chooses them for this machine.
        options: the keywords of `RunOptions`.

    Returns:
        The synthetic set; if the run was stopped, its state at that time.

    Raises:
        InputError: an argument cannot be used.
        Locked: another process writes to `out`.
        Stopped: a signal or the time budget ended the preparation; `out` is unchanged.
        Diverged: the loss or the images are not finite or cannot be stored; `out` has the set before that
            iteration.
    """
    stop = Stop(options.get("time_budget"))
    observers = checked_observers(options.get("observers", ()))
    processes = options.get("processes")
    processes = all_processes() if processes is None else processes
    with progress_bar("condense", options.get("progress", True) and processes.leads) as bar:
        if (source := source_of(real)) is not None:
            options.setdefault("source", source)
        real = as_image_set(real, progress=bar.read)
        options["observers"] = observers
        if bar.shown and isinstance(method, Method):
            bar.title = f"{method_name(method)} {real.spec.name} ipc {ipc}"
            options["observers"] = (*observers, RunBar(bar))
        job = _checked(method, real, ipc, seed, out, start, compute, options)
        if job.processes.leads:
            note_small_classes(start, job.method, real, job.ipc)
        place = nullcontext() if out is None else alone(named(out), job.processes)
        with stop_signals(job.observers.message) as stop.request, place:
            return _run(job, stop, options)


def _checked(
    method: Method,
    real: ImageSet,
    ipc: int,
    seed: int,
    out: str | Path | None,
    start: SyntheticSet | None,
    compute: Compute | None,
    options: RunOptions,
) -> Job:
    """Return the job that the arguments of `condense` describe. Raises InputError for invalid arguments."""
    check_keywords("condense", RunOptions, options, "time_budget", "checkpoint_every", "snapshots")
    check_arguments(condense, ipc=ipc, seed=seed)
    compute = resolve_compute(compute, options)
    ipc, seed = plain(ipc), plain(seed)
    method = checked_method(method, real, ipc)
    check_start(start, method, real, ipc)
    processes = options.get("processes")
    processes = all_processes() if processes is None else processes
    check_shared(compute.device, processes)
    check_session(options, out)
    made = {
        "method": method_name(method),
        "settings": method.settings(),
        "data": real.spec.name,
        "data_sha256": real.fingerprint(),
        "ipc": ipc,
        "seed": seed,
    }
    origin = _origin(start) if start else None
    source, choice = options.get("source"), options.get("auto")
    source = {"source": source.to_json() if isinstance(source, DataSource) else source}
    source |= plugins_of(method, real.spec, ipc, source["source"])
    source |= {"auto": choice} if choice else {}
    source |= {"start": origin} if origin else {}
    check_provenance({**made, **source}, real)
    return Job(
        method=method,
        real=real,
        ipc=ipc,
        seed=seed,
        compute=compute,
        identity={**made, **compute.to_json(), "start": {"sha256": origin["sha256"]} if origin else None},
        origin=source,
        start=start,
        directory=RunDirectory(named(out)) if out is not None and processes.leads else None,
        observers=Observers(options.get("observers", ()) if processes.leads else ()),
        processes=processes,
    )


def _run(job: Job, stop: Stop, options: RunOptions) -> SyntheticSet:
    """Start, resume or replace the run of a job that holds the lock of its run directory."""
    processes, name = job.processes, job.real.spec.name
    recorded, execution = processes.agreed(
        lambda: job.planned(resume=options.get("resume", False), overwrite=options.get("overwrite", False))
    )
    if isinstance(execution, SyntheticSet):
        return execution
    if recorded and recorded["data"] != name:
        check_names([recorded["data"]], "name of the data")
        job = job.renamed(recorded["data"])
    if processes.size > 1:  # each has a device of its own
        execution = replace(execution, device=resolve_device(job.compute.device))
    engine = Engine(execution, processes)
    with engine.active():
        loop = job.prepared(engine, recorded, stop, plain(options.get("snapshots", 0)))
        if name != job.real.spec.name:
            kept = job.real.spec.name
            job.observers.message(
                f"{name} holds the images with which the run began under the name {kept}: the run keeps that name"
            )
        every = options.get("checkpoint_every", 60.0)
        return loop.run(stop, every, lambda synthetic, run: write_outputs(synthetic, job.real, run))


def _origin(start: SyntheticSet) -> dict[str, Any]:
    """Return the record of the set that a run starts from."""
    made = start.provenance.to_json()
    kept = {key: made[key] for key in ("method", "settings", "seed", "iterations_done") if key in made}
    took = {} if start.seconds is None else {"wall_seconds": start.seconds}
    return {"sha256": start.fingerprint(), **kept, **took}
