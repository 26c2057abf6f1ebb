"""The loop over the iterations of a method: updates, checkpoints, snapshots, and the set at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from ..engine.execution import Execution
from ..engine.out_of_memory import retry_smaller
from ..methods import Iteration, Method, Problem
from ..synthetic import set as set_file
from ..synthetic.parameters import Synthetic
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet
from ..synthetic.stored import rounded_labels
from ..synthetic.targets import class_numbers
from ..utils import hardware
from ..utils.errors import DamagedFile, Diverged, InputError, Stopped
from ..utils.streams import Streams
from . import checkpoint as checkpoint_file
from .checkpoint import Checkpoint
from .directory import RunDirectory
from .log import Log, open_log, trim_log
from .observers import Observers, RunProgress
from .signals import Stop
from .snapshots import Snapshot, delete, moments, save
from .state import UndoPoint, begin
from .updates import IMAGES, as_step, mean_loss

_COMPILING = "compiling the network (about 40 s, once)"


@final
class Loop:
    """The loop of one session of one run.

    Over several processes all of them hold the same images and make the same updates. The directory and the observers
    are those of the leading one; the others have none.
    """

    def __init__(
        self,
        method: Method,
        problem: Problem,
        seed: int,
        made: Provenance,
        directory: RunDirectory | None,
        observers: Observers,
        snapshots: int,
        start: SyntheticSet | None = None,
    ) -> None:
        self.started = time.perf_counter()
        self.method = method
        self.problem = problem
        self.processes = problem.engine.processes
        self.streams = Streams(seed)
        self.made = made
        self.directory = directory
        self.observers = observers
        self.moments = moments(method.iterations, snapshots)
        self.snapshots = snapshots
        self.synthetic: Synthetic = (
            method.start(problem, self.streams) if start is None else method.start_from(start, problem, self.streams)
        )
        self.state, self.updates = begin(method, problem, self.synthetic, self.streams)
        self.undo = UndoPoint(self.state)
        self.load = method.workload(problem.ipc * method.views(problem.spec))
        self.done = 0
        self.seconds_before = problem.training.cached  # a checkpoint counts them too, and replaces them
        self.shares = 0
        self.shown: int | None = None
        self.log: Log | None = None
        self.stop = Stop()
        self.write_outputs: Callable[[SyntheticSet, Path], None] = lambda synthetic, run: None

    @property
    def session_seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def seconds(self) -> float:
        return self.seconds_before + self.session_seconds

    def run(
        self, stop: Stop, checkpoint_every: float, write_outputs: Callable[[SyntheticSet, Path], None]
    ) -> SyntheticSet:
        """Iterate to the end, to the time budget or to a signal. Raises Diverged as `condense` does.

        write_outputs: writes the pictures of the set into the run directory, before the run is recorded as complete.
        """
        self.stop, self.write_outputs = stop, write_outputs
        self._restore()
        self.processes.agreed(lambda: self._record("running"))
        self._snapshot()
        self._show()
        last_checkpoint = time.perf_counter()
        with ExitStack() as stack:
            log = self.log = stack.enter_context(open_log(self.directory.path)) if self.directory else None
            # The first iteration compiles, which takes far longer than an iteration.
            at_once = stop.request() or (stop.late and self.problem.engine.execution.compile)
            going = not self.processes.any(at_once)
            if going and self.done < self.method.iterations and self.problem.engine.execution.compile:
                self.observers.preparing(0.0, _COMPILING)
            while going and self.done < self.method.iterations:
                self.undo.set()
                execution = self.problem.engine.execution
                try:
                    loss = self._iterate_in_memory()
                except Diverged:
                    self.undo.undo()
                    self._finish("diverged", self.undo.tensors)
                    raise
                if self.problem.engine.execution != execution:
                    self._report_smaller_chunks(execution)
                    # a resumed run repeats no iteration otherwise than it was done here
                    self._checkpoint(self.undo.tensors)
                    self._record("running")
                if loss is None:  # the run resumes before this iteration
                    return self._finish("stopped", self.undo.tensors)
                self.done += 1
                seconds = self.seconds
                if log:
                    log.write({"iteration": self.done, "loss": loss, "seconds": round(seconds, 4)})
                self.observers.progress(RunProgress(self.done, self.method.iterations, loss, seconds))
                self._snapshot()
                if self._stops():
                    break
                if log and time.perf_counter() - last_checkpoint >= checkpoint_every:
                    self._show()
                    self._checkpoint(self.state.tensors())
                    last_checkpoint = time.perf_counter()
        self.log = None  # it is closed, and so complete
        return self._finish("complete" if self.done == self.method.iterations else "stopped", self.state.tensors())

    def _stops(self) -> bool:
        return self.processes.any(self.stop())

    def _iterate_in_memory(self) -> float | None:
        """Run `_iterate`; once more from the undo point, with smaller chunks, where memory does not suffice.

        Among several processes the others would continue meanwhile: there the error is raised.
        """
        if self.processes.size > 1:
            return self._iterate()
        try:
            return retry_smaller(self._iterate, self.problem.engine, self.undo.undo)
        except Stopped:  # while it was compiled
            return None
        except Exception:
            if not self.stop.cuts(self.problem.engine.execution.compile):
                raise
            return None

    def _report_smaller_chunks(self, before: Execution) -> None:
        now = self.problem.engine.execution
        self.observers.message(
            f"out of memory in iteration {self.done + 1}: continuing with {now.classes_at_once} classes at once "
            f"(before: {before.classes_at_once}) in chunks of {now.chunk} images ({before.chunk})"
        )

    def _iterate(self) -> float | None:
        """Run one iteration of the method: apply an update for each loss it yields.

        Returns the mean loss of the updates of the images, or of all if no update is of the images; None if it has to
        stop between two updates; the images then keep the updates so far.
        """
        losses: list[float] = []
        of_images: list[float] = []
        of = self.load.updates
        streams = self.streams.at(self.done)
        self.problem.engine.begin_step()
        steps = self.method.iterate(Iteration(self.synthetic, self.state.method, self.problem, streams, self.done))
        if not isinstance(steps, Iterator):
            raise InputError(f"{type(self.method).__name__}.iterate does not yield: write `yield loss` for each update")
        for step in map(as_step, steps):
            if losses and self._stops():
                return None
            part = min(len(of_images) / of, 1.0)  # a workload that is too small changes no other iteration's rates
            losses.append(self.updates.apply(step, (self.done + part) / self.method.iterations, self.done + 1))
            if IMAGES in step.names:
                of_images.append(losses[-1])
                if len(of_images) < of:
                    self.observers.update(self.done + len(of_images) / of, self.method.iterations)
        if not losses:
            raise InputError(f"{type(self.method).__name__}.iterate yielded no loss: each iteration needs at least one")
        return mean_loss(of_images or losses)

    def _restore(self) -> None:
        checkpoint = self.processes.agreed(self._newest_checkpoint)
        if checkpoint is not None:
            self.done, self.seconds_before = checkpoint.iteration, checkpoint.seconds
            self._load(checkpoint)
            self.observers.message(f"resumed after iteration {self.done} of {self.method.iterations}")

    def _newest_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint to resume from, if any; delete what was written after it."""
        if self.directory is None:
            return None
        self.directory.sweep()
        checkpoint, damaged = checkpoint_file.load(self.directory.path, self._load)
        for text in damaged:
            self.observers.message(f"{text}; continuing from the checkpoint before it")
        done = checkpoint.iteration if checkpoint else 0
        trim_log(self.directory.path, done)
        delete(self.directory.path, after=done)
        return checkpoint

    def _load(self, checkpoint: Checkpoint) -> None:
        """Load the tensors of a checkpoint. Raises DamagedFile if they belong to another run."""
        if checkpoint.iteration > self.method.iterations:
            raise DamagedFile(f"it belongs to iteration {checkpoint.iteration} of {self.method.iterations}")
        self.state.load(checkpoint.tensors)

    def _checkpoint(self, tensors: dict[str, Tensor]) -> None:
        if self.directory is not None:
            if self.log:
                self.log.flush()  # what a checkpoint counts as done must be in the log
            checkpoint_file.save(self.directory.path, Checkpoint(self.done, self.seconds, tensors))

    def _images(self) -> Tensor:
        """Return the current images (N, C, H, W), class by class, on the CPU."""
        with torch.no_grad(), self.synthetic.averaged():
            return self.synthetic.listed(self.synthetic().detach().cpu().contiguous())

    def _labels(self) -> Tensor:
        """Return their labels, (N,) or (N, K), on the CPU."""
        with torch.no_grad(), self.synthetic.averaged():
            return self.synthetic.listed(self.synthetic.labels().detach()).cpu().contiguous()

    def _show(self, synthetic: SyntheticSet | None = None) -> None:
        """Show the images as they are to the observers that look at them, each iteration once.

        The last are shown as the set that the run has ended with, which may be stored less finely.
        """
        last = self.done == self.method.iterations
        if not self.observers.look or self.shown == self.done or (last and synthetic is None):
            return
        self.shown = self.done
        if synthetic is None:
            synthetic = SyntheticSet(self._images(), self._labels(), self.problem.spec, self._provenance())
        self.observers.images(self.done, synthetic)

    def _snapshot(self) -> None:
        """Save the images if a snapshot is due, by iteration or, in a session with a time budget, by time."""
        shares = self.stop.share(self.snapshots)
        if self.directory is not None and (self.done in self.moments or shares > self.shares):
            images = self.problem.spec.pixels(self._images())
            save(self.directory.path, Snapshot(self.done, images, self._labels()))
            self._show()
        self.shares = shares

    def _record(self, status: str) -> None:
        if self.directory is not None:
            self.directory.record({"status": status, **self._provenance().to_json()})

    def _provenance(self) -> Provenance:
        spent = self.problem.training.spent
        return self.made.changed(
            real_images=len(self.problem.real),
            iterations_done=self.done,
            wall_seconds=round(self.seconds, 3),
            **({"training_seconds": round(spent, 3)} if spent else {}),
            execution=self.problem.engine.execution.to_json(),
            versions=hardware.versions(),
            machine=hardware.describe(self.problem.engine.device, self.processes.size),
        )

    def _finish(self, status: str, checkpoint: dict[str, Tensor]) -> SyntheticSet:
        """Write the set, its outputs and the last checkpoint; return the set."""
        if fault := self.synthetic.fault():
            raise Diverged(
                f"{fault}: the set of iteration {self.done} cannot be stored; use another --store or --start"
            )
        with self.synthetic.averaged():
            stored = self.synthetic.stored()
        labels = rounded_labels(self._labels(), self.synthetic.store)
        # decoded images are those read back from storage
        images = stored.images(class_numbers(labels)) if stored else self._images()
        if not bool(torch.isfinite(images).all()):
            raise Diverged(
                f"the decoded images at iteration {self.done} are not finite and cannot be stored: "
                f"use a smaller --lr than {self.method.settings().get('lr')}"
            )
        recipe = self.method.recipe(self.problem.spec, self.problem.ipc)
        result = SyntheticSet(images, labels, self.problem.spec, self._provenance(), stored, recipe)
        self._show(result)
        if self.directory is not None:
            self._checkpoint(checkpoint)
            set_file.save(result, self.directory.path / set_file.FILE_NAME)
            self.write_outputs(result, self.directory.path)
            self._record(status)  # last: all files that belong to this status are there then
        return result
