"""Train fresh networks on a set by a complete protocol, and measure their accuracy on real test images."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..engine.engine import Engine
from ..engine.execution import Compute, Execution, check_shared
from ..synthetic.set import SyntheticSet
from ..training.loop import Relabel
from ..training.teacher import OnlineTeacher
from ..utils import hardware
from ..utils.distributed import Processes, all_processes
from ..utils.streams import Streams
from .planning import check_fit, plan_networks
from .protocol import Protocol
from .scores import Scores
from .tested import Tested
from .train_and_test import TrainAndTest


def evaluate_by(
    protocol: Protocol,
    examples: SyntheticSet | ImageSet,
    test: ImageSet,
    *,
    compute: Compute,
    on_epoch: Callable[[], None] = lambda: None,
    processes: Processes | None = None,
    tested: Tested | None = None,
) -> Scores:
    """Evaluate as `evaluate` does, by a complete protocol. `tested` has networks that need no training."""
    processes = all_processes() if processes is None else processes
    share = train_share(Task(protocol, examples, test), processes, compute, on_epoch=on_epoch, tested=tested)
    return together(share, processes)


@final
@dataclass(frozen=True)
class Task:
    """One evaluation: a set, the training of networks on it, and the images that they are tested on."""

    protocol: Protocol
    examples: SyntheticSet | ImageSet
    test: ImageSet
    relabel: Relabel | None = None
    """Gives the labels of each training batch, in place of those of the set."""

    @property
    def labelled_by(self) -> Mapping[str, Any] | bool:
        """Return the teacher of the labels as scores record it: its settings, or whether there is one."""
        if isinstance(self.relabel, OnlineTeacher):
            return self.relabel.settings()
        return self.relabel is not None


@final
@dataclass(frozen=True)
class Share:
    """The part of an evaluation that one process has made: the networks it has trained."""

    confusions: Mapping[tuple[str, int], Tensor]
    """Architecture and index of a network -> test images by class and predicted class, int64 (K, K)."""
    executions: Mapping[str, Execution]
    protocol: Protocol
    seconds: float
    trained_on: Mapping[str, Any]
    relabelled: Mapping[str, Any] | bool = False
    """The teacher that gave the labels of each batch, as `Task.labelled_by` has it."""


def train_share(
    task: Task,
    processes: Processes,
    compute: Compute,
    *,
    first: int = 0,
    on_epoch: Callable[[], None] = lambda: None,
    tested: Tested | None = None,
) -> Share:
    """Train the networks of this process, every W-th of W processes. Does not wait for other processes.

    first: the process that trains the first network; in an evaluation of several sets the next process trains the first
        network of the next set.
    tested: networks that are tested already; those of this process are added, one after the other.
    """
    protocol, examples, test = task.protocol, task.examples, task.test
    check_shared(compute.device, processes)
    check_fit(examples, test)
    started = time.perf_counter()
    executions = plan_networks(protocol, examples, test.spec, compute)
    everything = [(arch, index) for arch in protocol.archs for index in range(protocol.nets)]
    mine = everything[(processes.rank - first) % processes.size :: processes.size]
    confusions = {net: tested.confusions[net] for net in mine if net in tested.confusions} if tested else {}
    spent = sum(tested.seconds[net] for net in confusions) if tested else 0.0
    mine = [net for net in mine if net not in confusions]
    count = _standing_for_all(on_epoch, mine, protocol) if processes.leads else lambda: None
    for arch in dict.fromkeys(arch for arch, _ in mine):
        recipe = protocol.recipes[arch]
        engine = Engine(executions[arch])  # each process trains networks of its own
        with engine.active():
            indices = [index for one, index in mine if one == arch]
            # apart from the networks the set was condensed under
            streams = [Streams(protocol.seed).at("evaluate", index) for index in indices]
            work = TrainAndTest.of(arch, recipe, examples, test, engine, task.relabel)
            began = time.perf_counter()
            for index, confusion in zip(indices, work.confusions(streams, count), strict=True):
                confusions[arch, index] = confusion
                if tested:
                    tested.add(arch, index, confusion, time.perf_counter() - began)
                    began = time.perf_counter()
            if engine.execution != executions[arch]:
                now = f"networks {arch} in chunks of {engine.execution.chunk} images ({executions[arch].chunk} before)"
                warnings.warn(f"out of memory: {now}", stacklevel=2)
                executions[arch] = engine.execution
    seconds = spent + time.perf_counter() - started
    return Share(confusions, executions, protocol, seconds, _description(examples), task.labelled_by)


def together(share: Share, processes: Processes) -> Scores:
    """Return the scores of an evaluation whose shares are spread over processes. They record the smallest chunks."""
    shares = processes.gathered(share)
    confusions = {net: confusion for one in shares for net, confusion in one.confusions.items()}
    protocol = share.protocol
    nets = range(protocol.nets)
    executions = {
        arch: min((one.executions[arch] for one in shares), key=lambda execution: execution.chunk)
        for arch in protocol.archs
    }
    return Scores(
        accuracy={arch: [_accuracy(confusions[arch, index]) for index in nets] for arch in protocol.archs},
        per_class={arch: [_per_class(confusions[arch, index]) for index in nets] for arch in protocol.archs},
        confusion={
            arch: torch.stack([confusions[arch, index] for index in nets]).sum(0).tolist() for arch in protocol.archs
        },
        seconds=max(one.seconds for one in shares),
        protocol={
            **protocol.to_json(),
            **({"relabelled": share.relabelled} if share.relabelled else {}),
            "execution": {arch: execution.to_json() for arch, execution in executions.items()},
            "versions": hardware.versions(),
            "machine": hardware.describe(torch.device(next(iter(executions.values())).device), processes.size),
        },
        trained_on=dict(share.trained_on),
    )


def join(scores: Sequence[Scores]) -> Scores:
    """Join the scores of several sets made by the same method and settings: n = sets x networks.

    They share the protocol of the first.
    """
    first = scores[0]
    return Scores(
        accuracy={arch: [value for score in scores for value in score.accuracy[arch]] for arch in first.accuracy},
        per_class={arch: [value for score in scores for value in score.per_class[arch]] for arch in first.per_class},
        confusion={arch: _added([score.confusion.get(arch, []) for score in scores]) for arch in first.accuracy},
        seconds=sum(score.seconds for score in scores),
        protocol={**first.protocol, "sets": len(scores)},
        trained_on=first.trained_on,
    )


def _accuracy(confusion: Tensor) -> float:
    return float(confusion.diagonal().sum().double() / confusion.sum())


def _per_class(confusion: Tensor) -> list[float | None]:
    """Accuracy on each class; None for a class without test images."""
    pairs = zip(confusion.diagonal().double(), confusion.sum(1), strict=True)
    return [float(right / n) if n else None for right, n in pairs]


def _added(parts: Sequence[list[list[int]]]) -> list[list[int]]:
    """Add confusion matrices; return none if one is missing."""
    return torch.tensor(parts).sum(0).tolist() if all(parts) else []


def _standing_for_all(
    on_epoch: Callable[[], None], mine: Sequence[tuple[str, int]], protocol: Protocol
) -> Callable[[], None]:
    """Return a callback for the epochs of the leading process, whose progress represents that of all."""
    own, done, reported = sum(protocol.recipes[arch].epochs for arch, _ in mine), 0, 0

    def epoch() -> None:
        nonlocal done, reported
        done += 1
        while reported < protocol.epochs * done // own:
            reported += 1
            on_epoch()

    return epoch


def _description(examples: SyntheticSet | ImageSet) -> dict[str, Any]:
    common = {"data": examples.spec.name, "images": len(examples)}
    if isinstance(examples, SyntheticSet):
        return {**common, **examples.provenance.to_json(), "set_sha256": examples.fingerprint()}
    return {**common, "method": "whole set"}
