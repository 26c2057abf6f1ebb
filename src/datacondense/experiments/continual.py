"""Class-incremental learning on condensed memories (Zhao & Bilen 2023, section 4.3).

The classes come in steps. At each step a few images of each new class, condensed or selected from that class's own
data, are added to a memory; a fresh network is trained on the memory and tested on all classes seen.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, final

import numpy as np
import torch

from .. import pictures
from ..data.image_set import ImageSet
from ..engine.execution import Compile, Precision
from ..evaluation.cached import evaluate_once
from ..evaluation.protocol import Protocol, protocol_for
from ..evaluation.scores import Scores
from ..methods import Method, method_name
from ..run.observers import Observer
from ..synthetic import set as set_file
from ..synthetic.set import SyntheticSet
from ..utils import hardware
from ..utils.distributed import Processes, all_processes
from ..utils.errors import DataNotFound, InputError
from ..utils.files import read_json, write_json
from ..utils.locks import alone
from ..utils.paths import named
from ..utils.ranges import Batch, Epochs, Images, Networks, Rate, Repeats, check_fields
from ..utils.schema import check
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
    name: str | None = None,
    source: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    as_published: bool = False,
    device: str = "auto",
    precision: Precision = "auto",
    compile: Compile = "auto",
    observers: Sequence[Observer] = (),
    on_epoch: Callable[[float, float], None] = lambda done, total: None,
    processes: Processes | None = None,
) -> dict[str, Any]:
    """Run a scenario on one memory; go on with what an earlier call has left in `out`.

    memory: a method that makes it step by step, or finished sets, one for each order, whose provenance tells of steps
    (the authors' files of continual learning, imported).
    name: of the memory in records and figures; by default that of the method.
    source: what `train` was loaded from, the arguments of `load`; recorded. overwrite: make everything anew.
    as_published: count epochs as the authors' code does, whose E epochs are E + 1.
    on_epoch: told after each training epoch of a step how much work on it is done, of how much.
    Returns what is written to `out`/continual.json: classes seen at each step, accuracies by order, step and network,
    their mean and sample standard deviation at each step, and everything needed to repeat it. `out`/orderN is the
    memory after the last step, a run directory that `evaluate`, `show` and `export` take.
    processes: who shares the work, as in `condense` and `evaluate`.
    Raises InputError for what cannot be, Stopped when the user stops a method, which the same call goes on with, and
    Locked while another process writes to `out`.
    """
    out, processes = named(out), all_processes() if processes is None else processes
    scenario.check(train.spec.classes)
    how: dict[str, Any] = {"device": device, "precision": precision, "compile": compile}
    tell = _telling(observers if processes.leads else ())
    if isinstance(memory, Method):
        name = name or method_name(memory)
        orders = [parted(class_order(train.spec.classes, seed), scenario.steps) for seed in range(scenario.orders)]
        condensing = Condensing(memory, train, scenario.per_class, out, overwrite, tuple(observers), how, processes)
        stages = (condensing.steps(seed, steps) for seed, steps in enumerate(orders))
    else:
        name = name or "imported"
        memory = memory[: scenario.orders]
        if not memory:
            raise InputError("there is no finished memory: name at least one")
        scenario = replace(scenario, orders=len(memory), per_class=int(memory[0].counts.max()))
        orders = [steps_of(one, train, scenario.steps) for one in memory]
        stages = (given(one, orders[number], out / f"order{number}") for number, one in enumerate(memory))
    for steps in orders:
        if not int(test.counts[steps[0]].sum()):
            names = ", ".join(train.spec.class_names[k] for k in steps[0])
            raise InputError(f"there is no test image of the classes that come first ({names}): take fewer --steps")
    testing = _Testing(name, train, test, scenario, source, on_epoch, how, processes, as_published)
    began, tested = time.perf_counter(), []
    with alone(out, processes):
        for number, kept in enumerate(stages):
            tell(f"{name}: order {number + 1} of {len(orders)}")
            tested.append(testing.order(number, kept, out / f"order{number}"))
            left = (time.perf_counter() - began) / len(tested) * (len(orders) - len(tested))
            last = 100 * fmean(tested[-1].scores[-1].accuracy[scenario.arch])
            after = f"; about {round(left)} s left" if left >= 1 else ""
            tell(f"{name}: {last:.1f} % on all classes in order {number + 1}{after}")
        record = _record(name, memory, scenario, orders, tested, train, source)
        processes.agreed(lambda: write_json(out / RECORD, record))
    return record


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
    train: ImageSet
    test: ImageSet
    scenario: Scenario
    source: Mapping[str, Any] | None
    on_epoch: Callable[[float, float], None]
    how: dict[str, Any]
    processes: Processes
    as_published: bool

    def order(self, number: int, steps: Iterator[Kept], place: Path) -> _Tested:
        """Test each step, and write the memory after the last to `place`."""
        parts, scores, seconds, memory = [], [], 0.0, None
        for kept in steps:
            parts.append(kept.part)
            seconds += kept.seconds
            memory = self._joined(number, parts)
            protocol = self._protocol(memory, number)
            tested = self._of_seen(memory)
            arguments = kept.place, self.on_epoch, self.how, self.processes
            scores.append(evaluate_once(protocol, memory, tested, *arguments))
        assert memory is not None, "there is one step at least"
        if self.processes.leads:
            set_file.save(memory, place / set_file.FILE_NAME)
            pictures.save_grid(memory, place / pictures.FILE_NAME)
        return _Tested(scores, seconds)

    def _joined(self, number: int, parts: Sequence[SyntheticSet]) -> SyntheticSet:
        """The memory so far: a set of the whole data, with the images of the classes seen, step by step."""
        names, own = self.train.spec.class_names, parts[0].provenance
        provenance = {
            "method": own.get("method", "imported"),
            "settings": dict(own.get("settings", {})),
            "data": self.train.spec.name,
            "data_sha256": self.train.fingerprint(),
            "source": dict(self.source) if self.source else None,
            "ipc": self.scenario.per_class,
            "seed": number,
            "memory": self.name,
            "steps": [[names[k] for k in dict.fromkeys(part.labels.tolist())] for part in parts],
        }
        images, labels = torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])
        return SyntheticSet(images, labels, self.train.spec, provenance)

    def _of_seen(self, memory: SyntheticSet) -> ImageSet:
        """The test images of the classes that a memory has."""
        seen = torch.isin(self.test.labels, memory.labels.unique().to(self.test.labels.device))
        return ImageSet(self.test.images[seen], self.test.labels[seen], self.test.spec)

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
        return protocol.as_published() if self.as_published else protocol


def _telling(observers: Sequence[Observer]) -> Callable[[str], None]:
    def tell(text: str) -> None:
        for observer in observers:
            observer.message(text)

    return tell


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
