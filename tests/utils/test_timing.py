"""The ETA, from invented clock times: within 20 percent after a minute."""

import random
from collections.abc import Iterable, Iterator

import pytest

from datacondense import Spec
from datacondense.engine.cost import training_cost
from datacondense.utils.timing import Pace


def follow(
    times: Iterable[float], *, first: int = 1, after: float = 60.0, every: int = 1
) -> Iterator[tuple[float, float]]:
    """Of steps that take these times: the seconds left and those foretold, at each `every`th step past `after` seconds.

    first: what is done after the first step.
    """
    times = list(times)
    pace, now, whole = Pace(), 0.0, sum(times)
    for count, seconds in enumerate(times):
        now += seconds
        pace.step(now, first + count)
        if now >= after and count % every == 0 and count < len(times) - 1:
            foretold = pace.left(first + len(times) - 1)
            assert foretold is not None
            yield whole - now, foretold


def noisy(count: int, mean: float) -> list[float]:
    draw = random.Random(0)
    return [mean * draw.lognormvariate(-0.08, 0.4) for _ in range(count)]


@pytest.mark.parametrize(
    "times",
    {
        "a first iteration that compiles": [50.0, *[0.5] * 4000],
        "that and noise": [50.0, *noisy(4000, 0.5)],
        "thousands a second": [20.0, *[0.002] * 200_000],
        "one in ten takes four times as long": [30.0, *[4.0 if i % 10 == 0 else 1.0 for i in range(1000)]],
        "compilations on the way": [30.0, *[1.0] * 40, 40.0, *[1.0] * 500, 40.0, *[1.0] * 500],
        "of which the second compiles too": [46.0, 11.0, *[2.0] * 300],
    }.items(),
    ids=lambda named: named[0],
)
def test_after_a_minute_it_holds_within_a_fifth(times) -> None:
    seen = list(follow(times[1], every=max(len(times[1]) // 500, 1)))
    assert len(seen) > 100
    for truly, foretold in seen:
        assert foretold == pytest.approx(truly, rel=0.2, abs=41)  # a compilation that is to come cannot be known


def test_iterations_of_90_seconds_are_foretold_from_the_second_on() -> None:
    seen = list(follow([150.0, *[90.0] * 30], after=151.0))
    assert len(seen) == 29
    assert all(foretold == pytest.approx(truly) for truly, foretold in seen)


def test_a_resumed_run_counts_what_this_session_did() -> None:
    ((truly, foretold),) = list(follow([10.0, *[2.0] * 100], first=5000, after=100.0))[:1]
    assert foretold == pytest.approx(truly)


def test_a_machine_that_becomes_slower_is_noticed() -> None:
    seen = list(follow([1.0] * 100 + [3.0] * 400))
    truly, foretold = seen[240]
    assert foretold == pytest.approx(truly, rel=0.05)


def test_nothing_is_foretold_from_one_step_and_other_work_begins_anew() -> None:
    pace = Pace()
    assert pace.left(10) is None
    pace.step(5.0, 1)
    assert pace.left(10) is None
    pace.step(7.0, 2)
    assert pace.left(10) == pytest.approx(16)
    pace.step(8.0, 1)
    assert pace.left(10) is None


def test_epochs_of_dear_and_cheap_networks_count_as_the_work_they_are() -> None:
    """Seconds of one epoch on 100 images 1x28x28, measured on one CPU core."""
    spec = Spec("x", tuple("0123456789"), (1, 28, 28), (0.5,), (0.5,))
    measured = {"MLP": 0.0011, "ConvNet": 0.233, "AlexNet": 0.752, "VGG11": 0.601, "ResNet18": 1.567}
    efforts = {arch: training_cost(arch, spec, "cpu").epoch(100, 256) for arch in measured}
    steps = [(measured[arch], efforts[arch]) for arch in measured for _ in range(200)]
    total, whole = sum(work for _, work in steps), sum(seconds for seconds, _ in steps)
    pace, now, done = Pace(), 0.0, 0.0
    for seconds, work in steps:
        now, done = now + seconds, done + work
        pace.step(now, done)
        left = pace.left(total)
        if 60 <= now <= 0.75 * whole:
            assert left == pytest.approx(whole - now, rel=0.2)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_steps_told_in_bursts_count_with_the_time_they_took(size: int) -> None:
    """Networks that train side by side end their epochs together."""
    pace, now = Pace(), 0.0
    pace.step(now, 0)
    for burst in range(100):
        now += 1
        for one in range(size):
            now += 1e-6
            pace.step(now, burst * size + one + 1)
    assert pace.left(200 * size) == pytest.approx(100, rel=0.03)
