"""Class-incremental learning with a condensed rehearsal memory (Zhao & Bilen 2023, section 4.3).

The classes arrive in steps. At each step a few images of each new class, condensed or selected from the data of that
class, are added to the rehearsal memory; a fresh network is trained on it and tested on all classes seen.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, final

import torch
from typing_extensions import Unpack

from .. import pictures
from ..data.conversion import AnyImages, as_image_set
from ..data.image_set import ImageSet
from ..engine.execution import Compute, resolve_compute
from ..evaluation.cached import evaluate_once
from ..evaluation.protocol import OWN, Protocol, protocol_for
from ..evaluation.scores import Scores
from ..methods import Method, method_name
from ..run.observers import Observers, checked_observers
from ..synthetic import set as set_file
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet
from ..synthetic.targets import joined
from ..utils.distributed import Processes, all_processes
from ..utils.errors import DataNotFound, InputError
from ..utils.files import read_json, write_json
from ..utils.keywords import check_keywords
from ..utils.locks import alone
from ..utils.paths import named
from ..utils.ranges import plain_fields
from ..utils.schema import check
from .options import ContinualOptions
from .records import ContinualRecord
from .rehearsal import MethodMemory, StepMemory, recorded_steps, split_memory
from .scenario import Scenario, class_order, split_into_steps

RECORD = "continual.json"


def learn_continually(
    memory: Method | Sequence[SyntheticSet],
    train: AnyImages,
    test: AnyImages,
    scenario: Scenario,
    out: str | Path,
    *,
    compute: Compute | None = None,
    **options: Unpack[ContinualOptions],
) -> dict[str, Any]:
    """Run a scenario on one rehearsal memory; resume an earlier call in `out`.

    `out`/orderN is the memory after the last step, a run directory that `evaluate`, `show` and `export` take.

    Args:
        memory: a method that makes the memory step by step, or finished sets, one for each order, whose provenance
            names the steps (the authors' files of continual learning, imported).
        train: training images, as in `condense`.
        test: test images of the same classes, as in `evaluate`.
        scenario: steps, images per class, orders and networks.
        out: directory to write.
        compute: device, precision and compilation, as in `condense`.
        options: the keywords of `ContinualOptions`.

    Returns:
        The content of `out`/continual.json: classes seen at each step, accuracies (fractions) by order, step and
        network, their mean and sample standard deviation at each step, and everything needed to repeat it.

    Raises:
        InputError: the scenario, the memory and the data do not fit each other.
        Stopped: the user stopped a method; the same call continues it.
        Locked: another process writes to `out`.
    """
    check_keywords("learn_continually", ContinualOptions, options)
    train = as_image_set(train)
    test = as_image_set(test, part="test", spec=train.spec)
    options["observers"] = checked_observers(options.get("observers", ()))
    processes = options.get("processes")
    processes = all_processes() if processes is None else processes
    scenario.check(train.spec.classes)
    scenario = plain_fields(scenario)
    work = _Work(train, test, named(out), resolve_compute(compute, options), processes, options)
    name, scenario, orders, stages = work.stages(memory, scenario)
    for steps in orders:
        if not int(test.counts[steps[0]].sum()):
            names = ", ".join(train.spec.class_names[k] for k in steps[0])
            raise InputError(f"the classes of the first step ({names}) have no test image: use fewer --steps")
    with alone(work.out, processes):
        results = list(work.evaluate_orders(name, scenario, stages, len(orders)))
        record = _record(name, memory, scenario, orders, results, train, options.get("source"))
        processes.agreed(lambda: write_json(work.out / RECORD, record))
    return record


@final
@dataclass(frozen=True)
class _Work:
    """Data, output directory and compute options of one call."""

    train: ImageSet
    test: ImageSet
    out: Path
    compute: Compute
    processes: Processes
    options: ContinualOptions

    def stages(
        self, memory: Method | Sequence[SyntheticSet], scenario: Scenario
    ) -> tuple[str, Scenario, list[list[list[int]]], Iterator[Iterator[StepMemory]]]:
        """Return name, scenario, classes by order and step, and for each order an iterator over its steps."""
        train, out, options = self.train, self.out, self.options
        overwrite = options.get("overwrite", False)
        if isinstance(memory, Method):
            name = options.get("name") or method_name(memory)
            shuffled = [class_order(train.spec.classes, seed) for seed in range(scenario.orders)]
            orders = [split_into_steps(order, scenario.steps) for order in shuffled]
            observers = tuple(options.get("observers", ()))
            arguments = scenario.ipc, out, overwrite, observers, self.compute, self.processes
            rehearsal = MethodMemory(memory, train, *arguments)
            return name, scenario, orders, (rehearsal.steps(seed, steps) for seed, steps in enumerate(orders))
        memory = memory[: scenario.orders]
        if not memory:
            raise InputError("there is no finished memory: name at least one")
        scenario = replace(scenario, orders=len(memory), ipc=int(memory[0].stored_counts.max()))
        orders = [recorded_steps(one, train, scenario.steps) for one in memory]
        stages = (
            split_memory(one, orders[number], out / f"order{number}", overwrite=overwrite)
            for number, one in enumerate(memory)
        )
        return options.get("name") or "imported", scenario, orders, stages

    def evaluate_orders(
        self, name: str, scenario: Scenario, stages: Iterator[Iterator[StepMemory]], orders: int
    ) -> "Iterator[_OrderResult]":
        """Train and test networks on the memory of each order, after each of its steps."""
        notify = Observers(self.options.get("observers", ()) if self.processes.leads else ()).message
        evaluation = _MemoryEvaluation(name, scenario, self)
        start = time.perf_counter()
        for number, steps in enumerate(stages, start=1):
            notify(f"{name}: order {number} of {orders}")
            result = evaluation.order(number - 1, steps, self.out / f"order{number - 1}")
            remaining = (time.perf_counter() - start) / number * (orders - number)
            last = 100 * fmean(result.scores[-1].accuracy[scenario.arch])
            after = f"; about {round(remaining)} s left" if remaining >= 1 else ""
            notify(f"{name}: {last:.1f} % on all classes in order {number}{after}")
            yield result


def load_record(path: str | Path) -> dict[str, Any]:
    """Read the record of `learn_continually` from its directory or file. Raises InputError if there is none."""
    path = Path(path)
    path = path / RECORD if path.is_dir() else path
    if not path.is_file():
        raise DataNotFound(f"no record of continual learning at {path}: name a directory of `datacondense continual`")
    record = read_json(path)
    check(record, ContinualRecord, f"{path} is not a record of continual learning")
    return record


@final
@dataclass(frozen=True)
class _OrderResult:
    """Results of one order of the classes."""

    scores: list[Scores]
    """One for each step."""
    seconds: float
    """Time to make the memory."""


@final
@dataclass(frozen=True)
class _MemoryEvaluation:
    """Trains and tests networks on a rehearsal memory as it grows."""

    name: str
    scenario: Scenario
    work: _Work

    def order(self, number: int, steps: Iterator[StepMemory], place: Path) -> _OrderResult:
        """Train and test networks at each step, and write the memory after the last to `place`."""
        parts, scores, seconds, memory = [], [], 0.0, None
        for step in steps:
            parts.append(step.part)
            seconds += step.seconds
            memory = self._joined(number, parts)
            protocol = self._protocol(memory, number)
            seen = self._test_images_seen(memory)
            on_epoch = self.work.options.get("on_epoch", lambda done, total: None)
            arguments = step.place, on_epoch, self.work.compute, self.work.processes
            scores.append(evaluate_once(protocol, memory, seen, *arguments))
        assert memory is not None, "there is at least one step"
        if self.work.processes.leads:
            set_file.save(memory, place / set_file.FILE_NAME)
            pictures.save_grid(memory, place / pictures.FILE_NAME)
        return _OrderResult(scores, seconds)

    def _joined(self, number: int, parts: Sequence[SyntheticSet]) -> SyntheticSet:
        """Return the memory so far: a set of the whole data, with the images of the classes seen, step by step.

        It holds training images: those of tiles or coefficients are decoded.
        """
        names, own = self.work.train.spec.class_names, parts[0].provenance
        entries = {
            "method": own.method or "imported",
            "settings": dict(own.settings),
            "data": self.work.train.spec.name,
            "data_sha256": self.work.train.fingerprint(),
            "source": dict(source) if (source := self.work.options.get("source")) else None,
            "ipc": self.scenario.ipc,
            "seed": number,
            "memory": self.name,
            "steps": [[names[k] for k in dict.fromkeys(part.classes.tolist())] for part in parts],
        }
        images = torch.cat([part.images for part in parts])
        labels = joined([part.labels for part in parts], len(names))
        provenance = Provenance.from_json(entries)
        return SyntheticSet(images, labels, self.work.train.spec, provenance, recipe=parts[0].recipe)

    def _test_images_seen(self, memory: SyntheticSet) -> ImageSet:
        """Return the test images of the classes in a memory."""
        seen = torch.isin(self.work.test.labels, memory.classes.unique().to(self.work.test.labels.device))
        return ImageSet(self.work.test.images[seen], self.work.test.labels[seen], self.work.test.spec)

    def _protocol(self, memory: SyntheticSet, number: int) -> Protocol:
        """Return the protocol of a step; each order has its own seed."""
        scenario = self.scenario
        protocol = protocol_for(
            memory,
            archs=[scenario.arch],
            nets=scenario.nets,
            recipe=OWN,
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
    results: Sequence[_OrderResult],
    train: ImageSet,
    source: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the record of all orders, with accuracies as fractions."""
    accuracy = [[one.accuracy[scenario.arch] for one in order.scores] for order in results]  # order, step, network
    by_step = [[value for by_order in accuracy for value in by_order[step]] for step in range(scenario.steps)]
    last = results[-1].scores[-1]
    networks = sum(one.seconds for order in results for one in order.scores)
    return {
        "memory": name,
        "method": method_name(memory) if isinstance(memory, Method) else None,
        "settings": memory.settings() if isinstance(memory, Method) else None,
        "data": train.spec.name,
        "data_sha256": train.fingerprint(),
        "source": dict(source) if source else None,
        "scenario": scenario.to_json(),
        "orders": [list(map(list, steps)) for steps in orders],
        "classes_seen": list(accumulate(map(len, orders[0]))),
        "accuracy": accuracy,
        "mean": [fmean(values) for values in by_step],
        "std": [stdev(values) if len(values) > 1 else None for values in by_step],
        "seconds": {"memory": round(sum(one.seconds for one in results), 1), "networks": round(networks, 1)},
        "recipe": last.protocol["recipes"][scenario.arch],
        "execution": last.protocol["execution"][scenario.arch],
        "machine": last.protocol["machine"],
        "versions": last.protocol["versions"],
    }
