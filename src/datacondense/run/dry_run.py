"""estimate(): time and memory of a run on this machine, by a short calibration that writes nothing."""

import math
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, final

import torch
from torch import Tensor
from typing_extensions import Unpack

from ..data.conversion import AnyImages, as_image_set
from ..data.image_set import ImageSet
from ..engine.engine import Engine, equal_part
from ..engine.execution import Compute, Execution, RunComputeOptions, resolve_compute
from ..engine.out_of_memory import peak_memory, retry_smaller
from ..methods import Iteration, Method, Problem, Step
from ..methods.trained_networks import TrainedNetworks
from ..synthetic.parameters import Synthetic
from ..synthetic.set import SyntheticSet
from ..training.optimiser import build_optimiser
from ..utils.keywords import check_keywords
from ..utils.ranges import Seconds, Seed, check_arguments, plain
from ..utils.streams import Streams
from .checks import check_start, checked_method, note_small_classes
from .job import plan_run
from .state import UndoPoint, begin
from .updates import as_step

_TIMED = 5.0  # seconds


@final
@dataclass(frozen=True)
class Estimate:
    """Time and memory of a run on this machine."""

    start_seconds: float
    """Seconds before iterations run at full speed: moving the images, the first images, compilation. Less if an earlier
    run, or the calibration itself, left compiled code."""
    training_seconds: float
    """Part of them for the training of networks on the real images that the cache lacks."""
    iteration_seconds: float
    """Seconds of one iteration."""
    iterations: int
    """Iterations of the whole run."""
    peak_bytes: int
    """Peak memory: on a GPU the memory that PyTorch holds there; otherwise resident memory of the whole process."""
    real_bytes: int
    """Part of it for the real images; 0 if they stay on disk, or outside the GPU."""
    images: int
    """Synthetic images."""
    images_bytes: int
    """Bytes of the parameters of these images."""
    augment: str
    """Augmentation, with auto resolved."""
    arch: str
    """Network, with auto resolved."""
    execution: Execution
    """Plan of the computation; a smaller one that fits if memory did not suffice."""

    @property
    def seconds(self) -> float:
        """Return the seconds of the whole run."""
        return self.start_seconds + self.iterations * self.iteration_seconds


def estimate(
    method: Method,
    real: AnyImages,
    ipc: int,
    *,
    seed: Seed = 0,
    start: SyntheticSet | None = None,
    compute: Compute | None = None,
    timed: Seconds = _TIMED,
    **options: Unpack[RunComputeOptions],
) -> Estimate:
    """Estimate the time and memory of `condense`; write nothing.

    Runs the method itself for `timed` seconds after compilation, in memory. The time of an iteration is computed from
    the mean update and the mean epoch of a network: U updates, with E epochs after each but the last, take U u +
    (U - 1) E e. Of an update whose terms (groups of classes) take longer than these seconds, some are scaled up.

    Args:
        method: the method with its settings, as in `condense`.
        real: the training images, as in `condense`.
        ipc: synthetic images of each class.
        seed: as in `condense`.
        start: a set to start from, as in `condense`.
        compute: device, precision, compilation and memory, as in `condense`.
        timed: seconds in which updates, and as long in which epochs of networks, are timed; one of each at least.
        options: `device`, `precision`, `compile` and `classes_at_once`, in place of `compute`.

    Returns:
        Seconds and bytes of the whole run, and the plan of the computation.

    Raises:
        InputError: an argument cannot be used.
    """
    check_keywords("estimate", RunComputeOptions, options)
    check_arguments(estimate, seed=seed, timed=timed)
    compute = resolve_compute(compute, options)
    real = as_image_set(real)
    method, ipc, seed = checked_method(method, real, ipc), plain(ipc), plain(seed)
    check_start(start, method, real, ipc)
    note_small_classes(start, method, real, ipc)
    engine = Engine(plan_run(method, real, ipc, compute))
    with engine.active(), peak_memory(engine.device) as peak:
        calibration = retry_smaller(
            lambda: _calibrate(method, real, ipc, seed, engine, start, timed), engine, lambda: None
        )
    there = calibration.problem.real
    held = there.resident and there.images.device.type == engine.device.type
    return Estimate(
        start_seconds=calibration.start,
        training_seconds=calibration.problem.training.left,
        iteration_seconds=calibration.iteration,
        iterations=method.iterations,
        peak_bytes=peak.bytes,
        real_bytes=there.images.nbytes if held else 0,
        images=len(calibration.synthetic.listed(calibration.synthetic.labels())),
        images_bytes=calibration.synthetic_bytes,
        augment=str(calibration.problem.augment),
        arch=method.arch,
        execution=engine.execution,
    )


def training_left(method: Method, real: ImageSet, ipc: int, *, seed: int, compute: Compute) -> float:
    """Return the seconds of training networks on the real images that the cache lacks, by a few of its steps."""
    if not (isinstance(method, TrainedNetworks) and method.trains_first):
        return 0.0
    engine = Engine(plan_run(method, real, ipc, compute))
    with engine.active():
        problem = Problem(real.to(engine.device), ipc, method.arch, method.augment, engine, rehearsal=True)
        replace(method, init="noise").rehearse(problem, Streams(seed))  # the cheapest first images
    return problem.training.left


def _calibrate(
    method: Method, real: ImageSet, ipc: int, seed: int, engine: Engine, start: SyntheticSet | None, timed: float
) -> "_Calibration":
    """Begin a run, and time it if it has iterations."""
    began = time.perf_counter()
    problem = Problem(real.to(engine.device), ipc, method.arch, method.augment, engine, rehearsal=True)
    streams = Streams(seed)
    synthetic, more = (method.start_from(start, problem, streams), 0.0) if start else method.rehearse(problem, streams)
    calibration = _Calibration(method, problem, synthetic, streams, timed)
    calibration.run(began)
    calibration.start += more + problem.training.left
    return calibration


@final
class _Calibration:
    """Timing of the parts of a run."""

    def __init__(self, method: Method, problem: Problem, synthetic: Synthetic, streams: Streams, timed: float) -> None:
        self.method = method
        self.problem = problem
        self.synthetic = synthetic
        self.streams = streams
        self.timed = timed
        self.state, self.updates = begin(method, problem, synthetic, streams)
        self.load = method.workload(problem.ipc * method.views(problem.spec))
        self.start = 0.0
        self.iteration = 0.0

    @property
    def synthetic_bytes(self) -> int:
        """Return the bytes of the images, or of their parameters."""
        if self.synthetic.counts is not None:  # padding is not stored
            return self.synthetic.listed(self.synthetic()).nbytes
        return sum(tensor.nbytes for tensor in self.synthetic.state_dict().values())

    def run(self, began: float) -> None:
        """Measure the seconds before iterations run at full speed, counted from `began`, and those of each."""
        if not self.method.iterations:
            self.start = self._clock() - began
            return
        undo = UndoPoint(self.state)  # as a session has one
        undo.set()
        if len(self.state.optimisers) > 1:
            self._run_whole(began)
            return
        _, part = self._update(0, seconds=0.0)  # compiles
        if self.state.method is not None:  # whose networks may train, and be compiled, from the second iteration on
            part += self._update(1, seconds=0.0)[1]
        ready = self._clock()
        if self.load.updates > self.load.together and not self.load.epochs:
            updates = [self._update_in_a_row()]
        else:
            updates = [self._whole_update(1)]
            while self._clock() - ready + updates[-1] < self.timed:
                updates.append(self._whole_update(len(updates) + 1))
        epochs = self._epochs() if self.load.epochs and self.load.updates > 1 else [0.0]
        update, epoch = statistics.fmean(updates), statistics.fmean(epochs[1:] or epochs)
        del undo
        self.start = max(ready - began - part * update, 0.0) + max(epochs[0] - epoch, 0.0)
        self.iteration = self.load.updates * update + (self.load.updates - 1) * self.load.epochs * epoch

    def _run_whole(self, began: float) -> None:
        """Measure whole iterations, of a method whose updates differ in their optimisers and so in their cost."""
        times: list[float] = []
        while len(times) < 2 or sum(times[1:]) < self.timed:
            before = self._clock()
            for step in self._steps(len(times)):
                self.updates.make(step)
            times.append(self._clock() - before)
        self.iteration = statistics.fmean(times[1:])  # the first compiles
        self.start = max(self._clock() - began - sum(times[1:]) - self.iteration, 0.0)

    def _update_in_a_row(self) -> float:
        """Return the mean seconds of updates that share a batch of real images, and of the training before them.

        They are timed after as many others, since the first ones may do much more.
        """
        ends: list[float] = []
        for step in islice(self._steps(1), 2 * self.load.together):
            self.updates.make(step)
            ends.append(self._clock())
        return (ends[-1] - ends[self.load.together - 1]) / self.load.together

    def _steps(self, iteration: int) -> Iterator[Step]:
        streams = self.streams.at(iteration)
        return map(
            as_step, self.method.iterate(Iteration(self.synthetic, self.state.method, self.problem, streams, iteration))
        )

    def _whole_update(self, iteration: int) -> float:
        seconds, part = self._update(iteration, seconds=self.timed)
        return seconds / part

    def _update(self, iteration: int, *, seconds: float) -> tuple[float, float]:
        """Make the first update of an iteration, of its terms as many as begin within `seconds`, and at least two.

        Return how long it took, and which part of all terms that was.
        """
        began = self._clock()
        step = next(self._steps(iteration))
        alone = isinstance(step.loss, Tensor) or not isinstance(step.loss, Iterable)
        terms: Iterator[Any] = iter([step.loss] if alone else step.loss)
        done, cut = 0, False

        def first_terms() -> Iterator[Tensor]:
            nonlocal done, cut
            for term in terms:
                yield term
                done += 1
                cut = done >= 2 and self._clock() - began >= seconds
                if cut:
                    return

        self.updates.make(replace(step, loss=first_terms()))
        classes = self.problem.classes
        groups = math.ceil(classes / equal_part(classes, self.problem.engine.execution.classes_at_once))
        return self._clock() - began, done / groups if cut else 1.0

    def _epochs(self) -> list[float]:
        """Return the seconds of epochs of a network. The first compiles; without compilation one may be all."""
        network = self.problem.fresh_network(self.streams("network"))
        sgd = build_optimiser(network.parameters(), lr=0.01)
        compiled = self.problem.engine.execution.compile
        times: list[float] = []
        ends = now = self._clock()
        while len(times) <= compiled or now < ends:
            self.problem.train_epoch(network, self.synthetic, self.streams.at(len(times)), sgd)
            before, now = now, self._clock()
            times.append(now - before)
            if len(times) == 1:
                ends = self.timed + (now if compiled else before)
        return times

    def _clock(self) -> float:
        if self.problem.engine.device.type == "cuda":
            torch.cuda.synchronize(self.problem.engine.device)
        return time.perf_counter()
