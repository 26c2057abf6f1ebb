"""auto(): choose settings and iterations for the data and the time at hand, and condense."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import torch
from typing_extensions import Unpack

from ..data.conversion import AnyImages, as_image_set, source_of
from ..drawing.progress_bar import progress_bar
from ..engine.execution import Compute, resolve_device
from ..engine.out_of_memory import is_out_of_memory, release_memory
from ..run.checks import check_session
from ..run.directory import RunDirectory
from ..run.driver import condense
from ..run.run_bar import RunBar
from ..run.signals import Request, stop_signals
from ..synthetic.set import SyntheticSet
from ..utils.distributed import ALONE, all_processes
from ..utils.errors import Diverged
from ..utils.locks import alone
from ..utils.paths import named
from ..utils.ranges import Images, Seed
from .auto_checks import CANDIDATES, Asked, Size, checked
from .auto_choice import by_score, choose, final_seconds, preview_lines, record_choice
from .auto_labels import plan_soft, soft_set
from .auto_record import open_record
from .auto_table import Candidate, Entrant
from .auto_task import Task
from .options import AutoOptions
from .trials import NEEDS_MEMORY


def auto(
    real: AnyImages,
    ipc: Images | None = None,
    *,
    bytes: Size | None = None,
    candidates: int | Sequence[Candidate] = CANDIDATES,
    seed: Seed = 0,
    out: str | Path | None = None,
    compute: Compute | None = None,
    **options: Unpack[AutoOptions],
) -> SyntheticSet:
    """Choose settings for the data and the time at hand, and condense `real` by them.

    A table gives the candidates for this kind of problem. Where the time allows, they race: each condenses a part of
    the training images for a short time, networks that are trained on its set are tested on the held-out rest, and the
    better half continues with twice the time. The best one condenses all training images in the time that is left.
    Test images are never used.

    Args:
        real: the training images, as in `condense`.
        ipc: stored images of each class, 10 by default.
        bytes: bytes that the set may take, in place of `ipc`, as `datacondense storage` counts them. All candidates
            store 8-bit numbers then.
        candidates: the number of candidates of the table, where 1 means no race; or candidates of your own.
        seed: as in `condense`.
        out: run directory to write; None keeps everything in memory.
        compute: device, precision, compilation and memory, as in `condense`.
        options: the keywords of `AutoOptions`.

    Returns:
        The synthetic set of the final run; `provenance.auto` records the choice.

    Raises:
        InputError: an argument cannot be used, or no candidate can.
        Locked: another process writes to `out`.
        Stopped: a signal ended the race; the same call with `resume` continues it.
        Diverged: all candidates failed, the last because it diverged; an error of memory if that ran out.
    """
    with progress_bar("auto", options.get("progress", True)) as bar:
        if (source := source_of(real)) is not None:
            options.setdefault("source", source)
        real = as_image_set(real, progress=bar.read)
        if bar.shown:
            options["observers"] = (*options.get("observers", ()), RunBar(bar))
        asked = checked(real, ipc, bytes, candidates, seed, compute, options)
        place = nullcontext() if out is None else alone(named(out), asked.task.processes)
        with stop_signals(asked.task.observers.message) as request, place:
            return _run(asked, request, ipc, None if out is None else named(out), options)


def _run(asked: Asked, request: Request, ipc: int | None, out: Path | None, options: AutoOptions) -> SyntheticSet:
    """Race, choose, and condense; continue an earlier call where it was interrupted."""
    task = asked.task
    check_session(options, out)
    labels = options.get("labels", "own")
    identity = {
        "labels": labels,
        "data_sha256": task.real.fingerprint(),
        "candidates": {one.name: {"ipc": one.ipc, **one.method.settings()} for one in task.entrants},
        "bytes": asked.bytes,
        "seed": task.seed,
        **({} if labels == "soft" else {"hold_out": task.hold_out}),
        **task.compute.to_json(),
    }
    resume, overwrite = options.get("resume", False), options.get("overwrite", False)
    record = task.processes.agreed(lambda: open_record(identity, out, resume=resume, overwrite=overwrite))
    if not task.processes.leads:
        record.run = None
    task.clock.before = record.content.spent
    task = replace(task, record=record, request=request)
    if labels == "soft":
        return soft_set(asked, task, ipc, out, options)
    if record.content.choice is None:
        choose(asked, task)
    return _finish(asked, task, out, options)


def _finish(asked: Asked, task: Task, out: Path | None, options: AutoOptions) -> SyntheticSet:
    """Condense all training images by the chosen candidate, or by the next one if that fails."""
    content = task.record.content
    names = ("checkpoint_every", "snapshots", "observers")
    passed: Any = {name: value for name, value in options.items() if name in names}
    while True:
        choice, iterations = content.choice, content.iterations
        assert choice is not None, "it is recorded before"
        assert iterations is not None, "it is recorded with the choice"
        assert content.compile is not None, "it is recorded with the choice"
        entrant = next(one for one in task.entrants if one.name == choice.chosen)
        method = replace(entrant.method, iterations=iterations)
        count = f"{iterations} iteration{'' if iterations == 1 else 's'}"
        task.tell(f"chosen: {entrant.name}, {entrant.ipc} per class, {count}: {choice.why}")
        left = task.processes.agreed(lambda chosen=choice.chosen: final_seconds(task, chosen))
        recorded = msgspec.to_builtins(choice)
        again = task.processes.agreed(lambda recorded=recorded: _is_run_of(out, recorded))
        try:
            return condense(
                method,
                task.real,
                entrant.ipc,
                seed=task.seed,
                out=out,
                compute=replace(task.compute, compile=content.compile),
                time_budget=left,
                resume=again,
                overwrite=out is not None and not again,
                auto=recorded,
                source=options.get("source"),
                processes=task.processes,
                **passed,
            )
        except (RuntimeError, MemoryError) as error:
            diverged = isinstance(error, Diverged)
            # among several processes the others would continue meanwhile
            if not diverged and (task.processes.size > 1 or not is_out_of_memory(error)):
                raise
            following = _next(task, entrant)
            if following is None:
                raise
            fault = str(error) if diverged else NEEDS_MEMORY
            why = f"{entrant.name} {'diverged' if diverged else 'needs more memory than there is'}"
        release_memory(torch.device(resolve_device(task.compute.device)))  # here the error is gone, with what it held
        task.tell(f"{entrant.name} failed, and {following.name} takes its place: {fault}")
        record_choice(asked, task, following, why, held=choice.held_out)


def _next(task: Task, failed: Entrant) -> Entrant | None:
    """Note that the final run of a candidate failed; return the best of the others, None if there is none."""
    content = task.record.content
    content.failed.append(failed.name)
    return next((one for one in by_score(task) if one.name not in content.failed), None)


def _is_run_of(out: Path | None, recorded: dict[str, Any]) -> bool:
    """Return whether a run directory holds the final run of a choice."""
    if out is None or not RunDirectory(out).has_run():
        return False
    return RunDirectory(out).recorded().get("auto") == recorded


def preview(
    real: AnyImages,
    ipc: int | None = None,
    *,
    bytes: int | None = None,
    candidates: int | Sequence[Candidate] = CANDIDATES,
    seed: int = 0,
    compute: Compute | None = None,
    **options: Unpack[AutoOptions],
) -> list[str]:
    """Measure the speed of the candidates, and return lines on what `auto` would try; write nothing.

    Args: as of `auto`. Of several processes the leading one alone measures.
    """
    options["processes"] = ALONE

    def lines() -> list[str]:
        asked = checked(real, ipc, bytes, candidates, seed, compute, options)
        soft = options.get("labels", "own") == "soft"
        return plan_soft(asked, ipc, options).lines() if soft else preview_lines(asked)

    return all_processes().agreed(lines)
