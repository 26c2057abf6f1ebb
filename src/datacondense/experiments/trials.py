"""A trial of a candidate of `auto`: a set of a part of the training images, scored on the images held out."""

import statistics
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import final

import msgspec
import torch

from ..data.image_set import ImageSet
from ..data.splits import split_held_out
from ..engine.execution import Compute, resolve_device
from ..engine.out_of_memory import is_out_of_memory, release_memory
from ..evaluation.dry_run import NetworkEstimate, estimate_by
from ..evaluation.evaluator import evaluate_by
from ..evaluation.protocol import Protocol, protocol_for
from ..evaluation.scores import Scores
from ..run.driver import condense
from ..run.dry_run import estimate, training_left
from ..synthetic.set import SyntheticSet
from ..utils.errors import Diverged, InputError, Stopped
from ..utils.text import cut
from ..utils.timing import duration
from .auto_record import Pace, Round, Trial
from .auto_table import Entrant
from .auto_task import Task, Watch
from .auto_training import same_training

NEEDS_MEMORY = "it needs more memory than there is"
"""The fault of a candidate for which memory does not suffice."""
_PATIENCE = 3.0  # times its planned seconds, after which a candidate is stopped
_TIMED = 1 / 300  # of the budget, in which a speed is measured after compilation
_MOST_TIMED = 0.5  # seconds; the race itself measures it better


@final
class Trials:
    """Trials of the candidates of a task.

    Raises InputError if no images can be held out.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.part, self.held = split_held_out(task.real, task.hold_out)

    def images(self, entrant: Entrant) -> int:
        """Return the training images in the set of a candidate."""
        return self.part.spec.classes * entrant.ipc * entrant.method.views(self.part.spec)

    def _protocol(self, examples: SyntheticSet | ImageSet, epochs: int, nets: int) -> Protocol:
        """Return the protocol that scores a set; all candidates are scored by the network of the first."""
        arch = self.task.entrants[0].method.arch
        return protocol_for(examples, archs=arch, nets=nets, epochs=epochs, seed=self.task.seed)

    @property
    def _compute(self) -> Compute:
        """Return how networks that score are computed: their work is too short to repay a compilation."""
        return replace(self.task.compute, compile="off")

    def scoring(self, images: int) -> NetworkEstimate:
        """Measure the time of networks that train on so many images."""
        task = self.task
        index = torch.arange(images) % len(self.part)
        some = ImageSet(self.part.images[index], self.part.labels[index], self.part.spec)
        protocol = self._protocol(some, task.most_epochs, 1)
        timed = min(_TIMED * task.clock.budget, _MOST_TIMED)

        def timing() -> NetworkEstimate:
            with _silent():
                found = estimate_by(protocol, some, self.held, self._compute, timed=timed)
            return next(iter(found.networks.values()))

        return task.processes.agreed(timing)

    def make(self, entrant: Entrant, number: int, planned: Round) -> None:
        """Condense a set by a candidate, score it, and record the trial. A candidate that fails is dropped."""
        task, began = self.task, self.task.clock.spent
        iterations = planned.iterations[entrant.name]
        what = f"race, round {number + 1}: {entrant.name}"
        watch, made, score, dropped = Watch(task, what), None, None, None
        task.check_stop()
        try:
            made = self._condensed(entrant, iterations, planned, watch)
            task.check_stop()
            score = self._scored(made, planned, what)
        except (Diverged, InputError) as error:
            dropped = str(error)
        except Stopped as error:
            if error.signal is not None or task.request():
                raise task.stopped() from None
            dropped = f"it could not begin within {duration(_PATIENCE * planned.seconds)}"
        except (RuntimeError, MemoryError) as error:
            if task.processes.size > 1 or not is_out_of_memory(error):
                raise
            release_memory(torch.device(resolve_device(task.compute.device)))
            dropped = NEEDS_MEMORY
        self._learn(entrant, watch, made)
        seconds = task.processes.agreed(lambda: task.clock.spent - began)
        dropped = None if dropped is None else cut(dropped)
        task.record.content.trials.append(
            Trial(candidate=entrant.name, round=number, score=score, dropped=dropped, seconds=seconds)
        )
        task.save()
        result = f"dropped: {dropped}" if score is None else f"{100 * score:.1f} % after {iterations} iterations"
        task.tell(f"{what}: {result}")

    def _condensed(self, entrant: Entrant, iterations: int, planned: Round, watch: Watch) -> SyntheticSet:
        """Condense the part that is not held out by a candidate."""
        task = self.task
        with _silent():
            return condense(
                replace(entrant.method, iterations=iterations),
                self.part,
                entrant.ipc,
                seed=task.seed,
                compute=task.trying(),
                time_budget=_PATIENCE * (planned.seconds + task.record.content.paces[entrant.name].trial_training),
                observers=[watch],
                processes=task.processes,
            )

    def _scored(self, made: SyntheticSet, planned: Round, what: str) -> float:
        """Return the mean accuracy over classes of networks that are trained on a set, on the held-out images."""
        task = self.task

        def epoch() -> None:
            task.show(what)
            if task.processes.size == 1:  # several do not all come here
                task.check_stop()

        with _silent():
            protocol = self._protocol(made, planned.epochs, planned.nets)
            scores = evaluate_by(
                protocol, made, self.held, compute=self._compute, on_epoch=epoch, processes=task.processes
            )
        return balanced_accuracy(scores)

    def _learn(self, entrant: Entrant, watch: Watch, made: SyntheticSet | None) -> None:
        """Keep the speed that a trial has shown, the longest start, and that its networks are trained."""
        paces = self.task.record.content.paces
        before = paces[entrant.name]
        trained = made.provenance.training_seconds or 0.0 if made else 0.0
        now = trained if before.trial_training else 0.0  # otherwise the cache gave the networks
        found = self.task.processes.agreed(watch.pace)
        if made is not None:
            for one in self.task.entrants:
                if one.name in paces and same_training(one.method, entrant.method):
                    paces[one.name] = msgspec.structs.replace(paces[one.name], trial_training=0.0)
        if found is not None and made is not None:
            paces[entrant.name] = Pace(
                start=max(found.start - now, before.start),
                iteration=found.iteration,
                training=trained if before.training else 0.0,  # of all images it takes as many steps
            )


def measure(task: Task, entrant: Entrant, real: ImageSet, compute: Compute | None = None) -> Pace:
    """Measure the speed of a candidate on this machine, on all training images or on a part of them.

    compute: by default that of the race.
    """
    timed = min(_TIMED * task.clock.budget, _MOST_TIMED)

    def timing() -> Pace:
        how, method = compute or task.trying(), entrant.method
        with _silent():
            found = estimate(method, real, entrant.ipc, seed=task.seed, compute=how, timed=timed)
            part = 0.0 if real is task.real else found.training_seconds
            training = found.training_seconds
            if not training and real is not task.real:  # the part was trained on before
                training = training_left(method, task.real, entrant.ipc, seed=task.seed, compute=how)
        start = max(found.start_seconds - found.training_seconds, 0.0)
        return Pace(start=start, iteration=found.iteration_seconds, training=training, trial_training=part)

    task.show(f"measuring the speed of {entrant.name}")
    task.check_stop()
    pace = task.processes.agreed(timing)
    task.check_stop()
    return pace


def measured(task: Task, entrant: Entrant, real: ImageSet, compute: Compute | None = None) -> Pace | None:
    """Return the speed of a candidate as `measure` does; None where memory does not suffice."""
    try:
        return measure(task, entrant, real, compute)
    except (RuntimeError, MemoryError) as error:
        if task.processes.size > 1 or not is_out_of_memory(error):
            raise
    release_memory(torch.device(resolve_device(task.compute.device)))
    task.tell(f"the speed of {entrant.name} is not known: {NEEDS_MEMORY}")
    return None


def balanced_accuracy(scores: Scores) -> float:
    """Return the accuracy of each class that has images, averaged over classes, then over networks."""
    (nets,) = scores.per_class.values()
    return statistics.fmean(statistics.fmean(one for one in row if one is not None) for row in nets)


@contextmanager
def _silent() -> Iterator[None]:
    """Hide warnings, of which the final run gives those that matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
