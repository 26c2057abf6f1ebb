"""Class-incremental learning on condensed memories (Zhao & Bilen 2023, section 4.3).

The classes come in steps. At each step a few images of each new class, condensed or selected from that class's own
data, are added to a memory; a fresh network is trained on the memory and tested on all classes seen.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, final

import numpy as np
import torch
from typing_extensions import Unpack

from .. import pictures
from ..data.image_set import ImageSet
from ..engine.execution import Compute, resolve_compute
from ..evaluation.cached import evaluate_once
from ..evaluation.protocol import Protocol, protocol_for
from ..evaluation.scores import Scores
from ..methods import Method, method_name
from ..run.observers import Observers, check_observers
from ..synthetic import set as set_file
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet
from ..utils import hardware
from ..utils.distributed import Processes, all_processes
from ..utils.errors import DataNotFound, InputError
from ..utils.files import read_json, write_json
from ..utils.keywords import check_keywords
from ..utils.locks import alone
from ..utils.paths import named
from ..utils.ranges import Batch, Epochs, Images, Networks, Rate, Repeats, check_fields
from ..utils.schema import check
from .options import ContinualOptions
from .records import ContinualRecord
from .rehearsal import Condensing, Kept, given, steps_of

RECORD = "continual.json"


@final
@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How classes come, and how networks are trained on what was kept of them. The defaults are the published ones."""

    steps: Batch = 5
    """Steps in which the classes come, in parts as equal as can be."""
    per_class: Images = 20
    """Images of each class in the memory."""
    orders: Repeats = 5
    """Orders of the classes; that of seed s is numpy.random.RandomState(s).permutation(K)."""
    nets: Networks = 3
    """Networks trained at each step of each order."""
    epochs: Epochs = 1000
    """Training epochs."""
    lr: Rate = 0.01
    """Learning rate of the training; divided by 10 after half of it."""
    batch: Batch = 256
    """Batch of the training."""
    arch: str = "ConvNet"
    """Network that is trained, and for which a method makes the memory."""
    augment: str = "dsa"
    """Augmentation in training, as `evaluate` takes it."""

    def check(self, classes: int) -> None:
        """Raises InputError for numbers that make no sense with so many classes."""
        check_fields(self)
        if self.steps > classes:
            raise InputError(f"--steps {self.steps}: there are {classes} classes, so at most as many steps")


def class_order(classes: int, seed: int) -> list[int]:
    """The order in which classes come, as published: what numpy's legacy generator permutes under `seed`."""
    return np.random.RandomState(seed).permutation(classes).tolist()


def parted(order: Sequence[int], steps: int) -> list[list[int]]:
    """The classes of each step; where they do not divide evenly the first steps have one more."""
    return [part.tolist() for part in np.array_split(np.array(order), steps)]


def learn_continually(
    memory: Method | Sequence[SyntheticSet],
    train: ImageSet,
    test: ImageSet,
    scenario: Scenario,
    out: str | Path,
    *,
    compute: Compute | None = None,
    **options: Unpack[ContinualOptions],
) -> dict[str, Any]:
    """Run a scenario on one memory; continue what an earlier call has left in `out`.

    `out`/orderN is the memory after the last step, a run directory that `evaluate`, `show` and `export` take.

    Args:
        memory: a method that makes it step by step, or finished sets, one for each order, whose provenance names the
            steps (the authors' files of continual learning, imported).
        train: training images.
        test: test images.
        scenario: steps, images per class, orders and networks.
        out: directory to write.
        compute: device, precision and compilation, as in `condense`.
        options: the keywords of `ContinualOptions`.

    Returns:
        The content of `out`/continual.json: classes seen at each step, accuracies by order, step and network, their
        mean and sample standard deviation at each step, and everything needed to repeat it.

    Raises:
        InputError: an argument cannot be used.
        Stopped: the user stopped a method; the same call continues it.
        Locked: another process writes to `out`.
    """
    check_keywords("learn_continually", ContinualOptions, options)
    check_observers(options.get("observers", ()))
    processes = options.get("processes")
    processes = all_processes() if processes is None else processes
    scenario.check(train.spec.classes)
    work = _Work(train, test, named(out), resolve_compute(compute, options), processes, options)
    name, scenario, orders, stages = work.memories(memory, scenario)
    for steps in orders:
        if not int(test.counts[steps[0]].sum()):
            names = ", ".join(train.spec.class_names[k] for k in steps[0])
            raise InputError(f"there is no test image of the classes that come first ({names}): take fewer --steps")
    with alone(work.out, processes):
        tested = list(work.tested(name, scenario, stages, len(orders)))
        record = _record(name, memory, scenario, orders, tested, train, options.get("source"))
        processes.agreed(lambda: write_json(work.out / RECORD, record))
    return record


@final
@dataclass(frozen=True)
class _Work:
    """The data of a scenario, where its files go, and how it computes."""

    train: ImageSet
    test: ImageSet
    out: Path
    compute: Compute
    processes: Processes
    options: ContinualOptions

    def memories(
        self, memory: Method | Sequence[SyntheticSet], scenario: Scenario
    ) -> tuple[str, Scenario, list[list[list[int]]], Iterator[Iterator[Kept]]]:
        """Return name, scenario, classes by order and step, and for each order an iterator over its steps."""
        train, out, options = self.train, self.out, self.options
        if isinstance(memory, Method):
            name = options.get("name") or method_name(memory)
            orders = [parted(class_order(train.spec.classes, seed), scenario.steps) for seed in range(scenario.orders)]
            observers, overwrite = tuple(options.get("observers", ())), options.get("overwrite", False)
            arguments = scenario.per_class, out, overwrite, observers, self.compute, self.processes
            condensing = Condensing(memory, train, *arguments)
            return name, scenario, orders, (condensing.steps(seed, steps) for seed, steps in enumerate(orders))
        memory = memory[: scenario.orders]
        if not memory:
            raise InputError("there is no finished memory: name at least one")
        scenario = replace(scenario, orders=len(memory), per_class=int(memory[0].counts.max()))
        orders = [steps_of(one, train, scenario.steps) for one in memory]
        stages = (given(one, orders[number], out / f"order{number}") for number, one in enumerate(memory))
        return options.get("name") or "imported", scenario, orders, stages

    def tested(
        self, name: str, scenario: Scenario, stages: Iterator[Iterator[Kept]], orders: int
    ) -> "Iterator[_Tested]":
        """Test the memory of each order after each of its steps."""
        notify = Observers(self.options.get("observers", ()) if self.processes.leads else ()).message
        testing = _Testing(name, scenario, self)
        began = time.perf_counter()
        for number, kept in enumerate(stages, start=1):
            notify(f"{name}: order {number} of {orders}")
            tested = testing.order(number - 1, kept, self.out / f"order{number - 1}")
            left = (time.perf_counter() - began) / number * (orders - number)
            last = 100 * fmean(tested.scores[-1].accuracy[scenario.arch])
            after = f"; about {round(left)} s left" if left >= 1 else ""
            notify(f"{name}: {last:.1f} % on all classes in order {number}{after}")
            yield tested


def load_record(path: str | Path) -> dict[str, Any]:
    """What `learn_continually` has written, from its directory or file. Raises InputError where there is none."""
    path = Path(path)
    path = path / RECORD if path.is_dir() else path
    if not path.is_file():
        raise DataNotFound(f"no record of continual learning at {path}: name a directory of `datacondense continual`")
    record = read_json(path)
    check(record, ContinualRecord, f"{path} is no record of continual learning")
    return record


@final
@dataclass(frozen=True)
class _Tested:
    """What came of one order of the classes: a score at each step, and the seconds that its memory took."""

    scores: list[Scores]
    seconds: float


@final
@dataclass(frozen=True)
class _Testing:
    """Networks trained on a memory as it grows."""

    name: str
    scenario: Scenario
    work: _Work

    def order(self, number: int, steps: Iterator[Kept], place: Path) -> _Tested:
        """Test each step, and write the memory after the last to `place`."""
        parts, scores, seconds, memory = [], [], 0.0, None
        for kept in steps:
            parts.append(kept.part)
            seconds += kept.seconds
            memory = self._joined(number, parts)
            protocol = self._protocol(memory, number)
            tested = self._of_seen(memory)
            on_epoch = self.work.options.get("on_epoch", lambda done, total: None)
            arguments = kept.place, on_epoch, self.work.compute, self.work.processes
            scores.append(evaluate_once(protocol, memory, tested, *arguments))
        assert memory is not None, "there is one step at least"
        if self.work.processes.leads:
            set_file.save(memory, place / set_file.FILE_NAME)
            pictures.save_grid(memory, place / pictures.FILE_NAME)
        return _Tested(scores, seconds)

    def _joined(self, number: int, parts: Sequence[SyntheticSet]) -> SyntheticSet:
        """The memory so far: a set of the whole data, with the images of the classes seen, step by step."""
        names, own = self.work.train.spec.class_names, parts[0].provenance
        entries = {
            "method": own.method or "imported",
            "settings": dict(own.settings),
            "data": self.work.train.spec.name,
            "data_sha256": self.work.train.fingerprint(),
            "source": dict(source) if (source := self.work.options.get("source")) else None,
            "ipc": self.scenario.per_class,
            "seed": number,
            "memory": self.name,
            "steps": [[names[k] for k in dict.fromkeys(part.labels.tolist())] for part in parts],
        }
        images, labels = torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])
        return SyntheticSet(images, labels, self.work.train.spec, Provenance.from_json(entries))

    def _of_seen(self, memory: SyntheticSet) -> ImageSet:
        """The test images of the classes that a memory has."""
        seen = torch.isin(self.work.test.labels, memory.labels.unique().to(self.work.test.labels.device))
        return ImageSet(self.work.test.images[seen], self.work.test.labels[seen], self.work.test.spec)

    def _protocol(self, memory: SyntheticSet, number: int) -> Protocol:
        scenario = self.scenario
        protocol = protocol_for(
            memory,
            archs=[scenario.arch],
            nets=scenario.nets,
            epochs=scenario.epochs,
            lr=scenario.lr,
            batch=scenario.batch,
            augment=scenario.augment,
            seed=number,
        )
        return protocol.as_published() if self.work.options.get("as_published") else protocol


def _record(
    name: str,
    memory: Method | Sequence[SyntheticSet],
    scenario: Scenario,
    orders: Sequence[Sequence[Sequence[int]]],
    tested: Sequence[_Tested],
    train: ImageSet,
    source: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Accuracies are fractions."""
    accuracy = [[one.accuracy[scenario.arch] for one in order.scores] for order in tested]  # order, step, network
    by_step = [[value for of_order in accuracy for value in of_order[step]] for step in range(scenario.steps)]
    last = tested[-1].scores[-1]
    networks = sum(one.seconds for order in tested for one in order.scores)
    return {
        "memory": name,
        "method": method_name(memory) if isinstance(memory, Method) else None,
        "settings": memory.settings() if isinstance(memory, Method) else None,
        "data": train.spec.name,
        "data_sha256": train.fingerprint(),
        "source": dict(source) if source else None,
        "scenario": asdict(scenario),
        "orders": [list(map(list, steps)) for steps in orders],
        "classes_seen": list(accumulate(map(len, orders[0]))),
        "accuracy": accuracy,
        "mean": [fmean(values) for values in by_step],
        "std": [stdev(values) if len(values) > 1 else None for values in by_step],
        "seconds": {"memory": round(sum(one.seconds for one in tested), 1), "networks": round(networks, 1)},
        "recipe": last.protocol["recipes"][scenario.arch],
        "execution": last.protocol["execution"][scenario.arch],
        "machine": last.protocol["machine"],
        "versions": hardware.versions(),
    }
