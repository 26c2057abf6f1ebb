"""Estimate the time and memory of an evaluation on this machine, by a short calibration that writes nothing."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor
from typing_extensions import Unpack

from ..data.conversion import AnyImages
from ..data.image_set import Examples, ImageSet
from ..data.spec import Spec
from ..engine.engine import Engine
from ..engine.execution import Compute, Execution
from ..engine.out_of_memory import peak_memory, retry_smaller
from ..synthetic.set import SyntheticSet
from ..training.loop import Relabel
from ..utils.streams import Streams
from .planning import check_fit, plan_networks
from .protocol import Protocol
from .scoring import NetworkOptions, asked
from .train_and_test import TEST_BATCH, Predict, TrainAndTest

_TIMED = 2.0  # seconds in which networks of one architecture train, after a first one that compiles
_BATCHES = 2  # of which each of their epochs, and their test, has at most
_EPOCHS = 2  # of each of them: the first includes the draw of the weights


@final
@dataclass(frozen=True)
class NetworkEstimate:
    """Time of the networks of one architecture, trained on one set and tested, on this machine."""

    nets: int
    """Networks."""
    epochs: int
    """Training epochs of each."""
    epoch_seconds: float
    """Seconds of one epoch of one network."""
    test_seconds: float
    """Seconds of the draw of the weights of one network, and of its test."""
    start_seconds: float
    """Seconds before the first network trains at full speed: moving the images, compilation. Less if an earlier
    evaluation, or the calibration itself, left compiled code."""
    execution: Execution
    """Plan of the computation; a smaller one that fits if memory did not suffice."""

    @property
    def network_seconds(self) -> float:
        """Return the seconds of one network."""
        return self.epochs * self.epoch_seconds + self.test_seconds

    @property
    def seconds(self) -> float:
        """Return the seconds of all networks."""
        return self.start_seconds + self.nets * self.network_seconds


@final
@dataclass(frozen=True)
class EvaluationEstimate:
    """Time and memory of an evaluation on this machine."""

    networks: Mapping[str, NetworkEstimate]
    """Architecture -> time of its networks."""
    peak_bytes: int
    """Peak memory: on a GPU the memory that PyTorch holds there; otherwise resident memory of the whole process."""

    @property
    def seconds(self) -> float:
        """Return the seconds of the whole evaluation."""
        return sum(one.seconds for one in self.networks.values())


def estimate_evaluation(
    examples: SyntheticSet | AnyImages,
    test: AnyImages,
    *,
    compute: Compute | None = None,
    **options: Unpack[NetworkOptions],
) -> EvaluationEstimate:
    """Estimate the time and memory of `evaluate`; write nothing.

    Trains networks of each architecture for two epochs, one after the other for some seconds after compilation, and
    tests the last one. Of a large set they learn some batches, and predict some of many test images: these times are
    scaled up.

    Args:
        examples: a synthetic set or real images, as in `evaluate`.
        test: real images of the same classes, as in `evaluate`.
        compute: device, precision and compilation, as in `evaluate`.
        options: networks, protocol and computation, as in `evaluate`.

    Returns:
        Seconds of the whole evaluation in one process, and the plans of the computation.

    Raises:
        InputError: an argument cannot be used.
    """
    with asked("estimate_evaluation", examples, test, compute, options) as task:
        return estimate_by(task.protocol, task.examples, task.test, task.compute)


def estimate_by(
    protocol: Protocol,
    examples: SyntheticSet | ImageSet,
    test: ImageSet,
    compute: Compute,
    *,
    timed: float = _TIMED,
    relabel: Relabel | None = None,
) -> EvaluationEstimate:
    """Estimate as `estimate_evaluation` does, by a complete protocol, from networks that train for `timed` seconds."""
    check_fit(examples, test)
    plans = plan_networks(protocol, examples, test.spec, compute)
    found: dict[str, NetworkEstimate] = {}
    peaks: list[int] = []
    for arch, recipe in protocol.recipes.items():
        engine = Engine(plans[arch])
        with engine.active(), peak_memory(engine.device) as peak:
            began = _clock(engine)
            work = TrainAndTest.of(arch, recipe, examples, test, engine, relabel)
            moved = _clock(engine) - began
            found[arch] = retry_smaller(lambda work=work: _calibrate(work, protocol, timed), engine, lambda: None)
        found[arch] = replace(found[arch], start_seconds=found[arch].start_seconds + moved, execution=engine.execution)
        peaks.append(peak.bytes)
    return EvaluationEstimate(found, max(peaks))


def _calibrate(work: TrainAndTest, protocol: Protocol, timed: float) -> NetworkEstimate:
    """Train and test networks on parts of the images, and scale the times up."""
    recipe, engine = work.recipe, work.engine
    some = _part(work.examples, recipe.batch)
    tested = _part(work.test, TEST_BATCH)
    part = replace(work, examples=some, test=tested, recipe=replace(recipe, epochs=_EPOCHS, full_rate=None))
    count = min(part.side_by_side, protocol.nets)
    streams = [Streams(protocol.seed).at("evaluate", index) for index in range(count)]
    first = _train(part, streams)
    trained = [first]
    ready = _clock(engine)
    while first.epoch < timed and _clock(engine) - ready < timed:
        trained.append(_train(part, streams))
    tests = [_seconds(engine, lambda: part.count(trained[-1].predict, count)) for _ in range(2)]  # the first compiles
    later = trained[1:] or trained
    epoch = statistics.fmean(one.epoch for one in later)
    draw = max(statistics.fmean(one.until_first for one in later) - epoch, 0.0) if trained[1:] else 0.0
    return NetworkEstimate(
        nets=protocol.nets,
        epochs=recipe.epochs,
        epoch_seconds=epoch * len(work.examples) / len(some) / count,
        test_seconds=(draw + tests[1] * len(work.test) / len(tested)) / count,
        start_seconds=max(first.until_first - draw - epoch, 0.0) + max(tests[0] - tests[1], 0.0),
        execution=engine.execution,
    )


@final
@dataclass(frozen=True)
class _Trained:
    """Times of one training of several networks side by side."""

    until_first: float
    """Seconds until the first epoch ended."""
    epoch: float
    """Seconds of the second epoch."""
    predict: Predict


def _train(work: TrainAndTest, streams: list[Streams]) -> _Trained:
    ends: list[float] = []
    began = _clock(work.engine)
    predict = work.train(streams, lambda: ends.append(_clock(work.engine)))
    first, second = ends[len(streams) - 1], ends[2 * len(streams) - 1]  # an epoch is reported once for each network
    return _Trained(first - began, second - first, predict)


def _part(examples: Examples, batch: int) -> Examples:
    """Return the examples, or of many the first ones: some batches, and as many more as are left in the last one."""
    count = _BATCHES * batch + len(examples) % batch
    return examples if len(examples) <= count else _First(examples, count)


@final
@dataclass(frozen=True)
class _First:
    """The first images of a set."""

    whole: Examples
    count: int

    @property
    def spec(self) -> Spec:
        return self.whole.spec

    def __len__(self) -> int:
        return self.count

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.whole.batch(index)


def _seconds(engine: Engine, work: Callable[[], object]) -> float:
    began = _clock(engine)
    work()
    return _clock(engine) - began


def _clock(engine: Engine) -> float:
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)
    return time.perf_counter()
