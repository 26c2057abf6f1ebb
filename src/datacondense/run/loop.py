"""One session of one run: the loop, its checkpoints, whom it tells, and what it writes at the end."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from .. import pictures
from ..data.image_set import ImageSet
from ..engine.execution import Execution
from ..engine.out_of_memory import fitting
from ..methods import Loss, Method, Problem, differentiate
from ..methods.uneven import started_from
from ..synthetic import set as set_file
from ..synthetic.parameters import Pixels, Synthetic
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet
from ..utils import hardware
from ..utils.errors import DamagedFile, Diverged, InputError, Stopped
from ..utils.streams import Streams
from .directory import Checkpoint, Log, RunDirectory, pack_state, unpack_state
from .observers import ImageObserver, Observer, Progress, UpdateObserver
from .signals import Stop
from .snapshots import Snapshot, delete, moments, save


@final
class Session:
    """One session of one run.

    Over several processes all of them hold the same images and make the same updates. The directory and the observers
    are those of the leading one; to the others it is a run without.
    """

    def __init__(
        self,
        method: Method,
        problem: Problem,
        seed: int,
        made: Provenance,
        directory: RunDirectory | None,
        observers: tuple[Observer, ...],
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
            method.start(problem, self.streams) if start is None else taken_up(start, problem, self.streams)
        )
        self.optimiser = method.optimiser(self.synthetic)
        self.rates = [group["lr"] for group in self.optimiser.param_groups] if self.optimiser else []
        self.done = 0
        self.seconds_before = 0.0
        self.shares = 0
        self.shown: int | None = None
        self.log: Log | None = None
        self.stop = Stop()
        self.moved = False
        """Whether this session has made an update."""

    @property
    def session_seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def seconds(self) -> float:
        return self.seconds_before + self.session_seconds

    def go(self, stop: Stop, checkpoint_every: float) -> SyntheticSet:
        """Iterate to the end, to the time budget or to a signal. Raises Diverged as `condense` does."""
        self.stop = stop
        self._restore()
        self.processes.agreed(lambda: self._record("running"))
        self._snapshot()
        self._show()
        last_checkpoint = time.perf_counter()
        with ExitStack() as stack:
            log = self.log = stack.enter_context(self.directory.open_log()) if self.directory else None
            # The first iteration compiles, which takes far longer than an iteration.
            at_once = stop.asked() or (stop.late and self.problem.engine.execution.compile)
            going = not self.processes.any(at_once)
            while going and self.done < self.method.iterations:
                before = {name: tensor.clone() for name, tensor in self._state().items()}
                execution = self.problem.engine.execution
                try:
                    loss = self._iterate_in_memory(before)
                except Diverged:
                    self._finish("diverged", before)
                    raise
                if self.problem.engine.execution != execution:
                    self._tell_smaller(execution)
                    self._checkpoint(before)  # a resumed run repeats no iteration otherwise than it was done here
                    self._record("running")
                if loss is None:  # goes on from before this iteration
                    return self._finish("stopped", before)
                self.done += 1
                seconds = self.seconds
                if log:
                    log.write({"iteration": self.done, "loss": loss, "seconds": round(seconds, 4)})
                for observer in self.observers:
                    observer.progress(Progress(self.done, self.method.iterations, loss, seconds))
                self._snapshot()
                if self._stops():
                    break
                if log and time.perf_counter() - last_checkpoint >= checkpoint_every:
                    self._show()
                    self._checkpoint(self._state())
                    last_checkpoint = time.perf_counter()
        self.log = None  # it is closed, and so complete
        return self._finish("complete" if self.done == self.method.iterations else "stopped", self._state())

    def _stops(self) -> bool:
        return self.processes.any(self.stop())

    def _iterate_in_memory(self, before: dict[str, Tensor]) -> float | None:
        """`_iterate`; once more from `before`, with smaller chunks, where memory does not suffice.

        Among several processes the others would go on meanwhile: there the error goes up.
        """
        if self.processes.size > 1:
            return self._iterate()

        def restore() -> None:
            unpack_state(before, self.synthetic, self.optimiser)
            self.synthetic.zero_grad()

        try:
            return fitting(self._iterate, self.problem.engine, restore)
        except Stopped:  # while it was compiled
            return None
        except Exception:
            if not self.stop.cuts(self.problem.engine.execution.compile):
                raise
            return None

    def _tell_smaller(self, before: Execution) -> None:
        now = self.problem.engine.execution
        self.tell(
            f"out of memory in iteration {self.done + 1}: going on with {now.classes_at_once} classes at once "
            f"(before: {before.classes_at_once}) in chunks of {now.chunk} images ({before.chunk})"
        )

    def _iterate(self) -> float | None:
        """One iteration of the method: apply an update for each loss it yields.

        Returns the mean loss; None, with the images as they are then, when it has to stop between two updates.
        """
        total, updates, of = 0.0, 0, self.method.load(self.problem.ipc).updates
        losses = self.method.iterate(self.synthetic, self.problem, self.streams.at(self.done))
        if not isinstance(losses, Iterator):
            raise InputError(f"{type(self.method).__name__}.iterate does not yield: write `yield loss` for each update")
        for loss in losses:
            if updates and self._stops():
                return None
            self._set_rates((self.done + updates / of) / self.method.iterations)
            total, updates = total + self._update(loss), updates + 1
            for observer in self.observers:
                if updates < of and isinstance(observer, UpdateObserver):
                    observer.update(self.done + updates / of, self.method.iterations)
        if not updates:
            raise InputError(f"{type(self.method).__name__}.iterate has yielded no loss: an iteration has one at least")
        return total / updates

    def _set_rates(self, done: float) -> None:
        """Set the learning rates to what they are when this part of all iterations is done."""
        assert self.optimiser is not None, "a method with iterations has an optimiser"
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * self.method.rate(done)

    def _update(self, loss: Loss) -> float:
        """Differentiate one loss, term by term, and apply the update. Returns the loss."""
        assert self.optimiser is not None, "a method with iterations has an optimiser"
        parameters = list(self.synthetic.parameters())
        before = [p.detach().clone() for p in parameters]
        self.optimiser.zero_grad()
        value = differentiate(loss, self.synthetic, self.problem)
        self.optimiser.step()
        fault = "" if math.isfinite(value) else "the loss is not finite any more"
        fault = fault or self.synthetic.fault()
        if fault:
            with torch.no_grad():
                for parameter, good in zip(parameters, before, strict=True):
                    parameter.copy_(good)
            raise Diverged(self._cause(fault, value))
        self.moved = True
        return value

    def _cause(self, fault: str, loss: float) -> str:
        """What went wrong in this update, and the setting to change."""
        here = f"{fault} at iteration {self.done + 1} (loss {loss:g})"
        if not (self.moved or math.isfinite(loss)):
            return (
                f"{here}, before the first update: the learning rate is not the cause; the set is what the run starts "
                f"from; take another --arch, or another start by --init, --start or --seed"
            )
        rate = self.method.settings().get("lr")
        return f"{here}: the likely setting is the learning rate of the images, --lr {rate}; take a smaller one"

    def _restore(self) -> None:
        checkpoint = self.processes.agreed(self._tidy)
        if checkpoint is not None:
            self.done, self.seconds_before = checkpoint.iteration, checkpoint.seconds
            self._take_over(checkpoint)
            self.tell(f"resumed after iteration {self.done} of {self.method.iterations}")

    def _tidy(self) -> Checkpoint | None:
        """What to go on from; what was written after it is gone."""
        if self.directory is None:
            return None
        self.directory.sweep()
        checkpoint, damaged = self.directory.load_checkpoint(self._take_over)
        for text in damaged:
            self.tell(f"{text}; going on from the checkpoint before it")
        done = checkpoint.iteration if checkpoint else 0
        self.directory.trim_log(done)
        delete(self.directory.path, after=done)
        return checkpoint

    def _take_over(self, checkpoint: Checkpoint) -> None:
        """Go on from the tensors of a checkpoint. Raises DamagedFile where they are not of this run."""
        if checkpoint.iteration > self.method.iterations:
            raise DamagedFile(f"it is of iteration {checkpoint.iteration} of {self.method.iterations}")
        unpack_state(checkpoint.tensors, self.synthetic, self.optimiser)

    def _state(self) -> dict[str, Tensor]:
        return pack_state(self.synthetic, self.optimiser)

    def _checkpoint(self, tensors: dict[str, Tensor]) -> None:
        if self.directory is not None:
            if self.log:
                self.log.flush()  # what a checkpoint counts as done must be in the log
            self.directory.save_checkpoint(Checkpoint(self.done, self.seconds, tensors))

    def _images(self) -> Tensor:
        """The images (N, C, H, W) as they are, class by class, on the CPU."""
        with torch.no_grad():
            return self.synthetic.listed(self.synthetic().detach().cpu().contiguous())

    def _labels(self) -> Tensor:
        """Their labels (N,)."""
        return self.synthetic.labels(self.problem.classes, self.problem.ipc)

    def _show(self, synthetic: SyntheticSet | None = None) -> None:
        """Show the images as they are to those of the observers that look at them, each iteration once.

        The last are shown as the set that the run has ended with, which may be stored less finely.
        """
        looking = [observer for observer in self.observers if isinstance(observer, ImageObserver)]
        last = self.done == self.method.iterations
        if not looking or self.shown == self.done or (last and synthetic is None):
            return
        self.shown = self.done
        if synthetic is None:
            synthetic = SyntheticSet(self._images(), self._labels(), self.problem.spec, self._provenance())
        for observer in looking:
            observer.images(self.done, synthetic)

    def _snapshot(self) -> None:
        """Keep the images where they are due: by iteration, and by time as well in a session that time will end."""
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
        return self.made.changed(
            real_images=len(self.problem.real),
            iterations_done=self.done,
            wall_seconds=round(self.seconds, 3),
            execution=self.problem.engine.execution.to_json(),
            versions=hardware.versions(),
            machine=hardware.describe(self.problem.engine.device, self.processes.size),
        )

    def _finish(self, status: str, checkpoint: dict[str, Tensor]) -> SyntheticSet:
        """Write the images as they are, and what a resumed run goes on from."""
        labels, generated = self._labels(), self.synthetic.generated()
        images = generated.images(labels) if generated else self._images()  # generated: as they are after being stored
        if not bool(torch.isfinite(images).all()):
            raise Diverged(
                f"the images of the latents at iteration {self.done} are not finite, and so are not stored: "
                f"take a smaller --lr than {self.method.settings().get('lr')}"
            )
        result = SyntheticSet(images, labels, self.problem.spec, self._provenance(), generated)
        self._show(result)
        if self.directory is not None:
            self._checkpoint(checkpoint)
            set_file.save(result, self.directory.path / set_file.FILE_NAME)
            draw(result, self.problem.real, self.directory.path)
            self._record(status)  # last: what it says is there then
        return result

    def tell(self, text: str) -> None:
        for observer in self.observers:
            observer.message(text)


def draw(result: SyntheticSet, real: ImageSet, run: Path, *, again: bool = True) -> None:
    """Write the picture of a set and the real images nearest to it into its run directory.

    again: also those that are there already.
    """
    if again or not (run / pictures.FILE_NAME).exists():
        pictures.save_grid(result, run / pictures.FILE_NAME)
    neighbours = run / pictures.NEIGHBOURS_FILE
    if real.images.nbytes <= pictures.SEARCHED and (again or not neighbours.exists()):
        pictures.save_neighbours(result, real, neighbours)


def taken_up(start: SyntheticSet, problem: Problem, streams: Streams) -> Pixels:
    """The images of a finished set as the first of another run; classes of which it has fewer are filled up."""
    images, labels = start.images.to(problem.engine.device), start.labels.cpu()
    return started_from(images, labels, problem.real, problem.ipc, streams("init"))
