"""What is shown of a run while it goes on, on a clock of our own."""

import re
import time

import pytest

from datacondense import RunProgress
from datacondense.cli.console import OUT
from datacondense.cli.display import RunDisplay


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(("budget", "eta"), [(None, "32:56"), (300.0, "3:58")])
def test_the_first_iteration_does_not_count_and_a_budget_does(budget, eta: str, clock: Clock, capsys) -> None:
    with RunDisplay("dm", time_budget=budget) as run:
        clock.now += 40
        run.progress(RunProgress(1, 1000, 0.5, 40.0))
        assert shown(capsys) == "dm: 1/1000  loss 0.5"
        for iteration in range(2, 13):
            clock.now += 2
            run.progress(RunProgress(iteration, 1000, 0.25, clock.now - 1000))
    assert shown(capsys) == f"dm: 12/1000  loss 0.25  2.0 s/it  ETA {eta}"


def test_the_eta_follows_soon_after_a_first_step_that_compiles(clock: Clock, capsys) -> None:
    with RunDisplay("training networks") as display:
        clock.now += 30
        display.step(1, 1001, "0%")
        for epoch in range(2, 152):
            clock.now += 0.02
            display.step(epoch, 1001, f"{epoch // 10}%")
    assert capsys.readouterr().out.splitlines() == ["training networks: 0%", "training networks: 5%  ETA 0:19"]


def test_iterations_of_minutes_are_foretold_from_the_updates_inside_the_first(clock: Clock, capsys) -> None:
    with RunDisplay("dc") as run:
        for update, seconds in enumerate([50, 30, 18, 18, 18, 18], start=1):
            clock.now += seconds
            run.update(update / 10, 100)
    found = re.search(r"dc: 0\.6/100  180\.0 s/it  ETA (\d+):(\d+):(\d+)$", shown(capsys))
    assert found is not None
    hours, minutes, seconds = map(int, found.groups())
    assert 3600 * hours + 60 * minutes + seconds == pytest.approx(99.4 * 180, abs=1)


def test_work_that_cannot_be_measured_is_said_at_once_and_once(clock: Clock, capsys) -> None:
    with RunDisplay("dm") as run:
        for what in ("k-means of the real images", "compiling the network (about 40 s, once)"):
            run.preparing(0.0, what)
            run.preparing(0.0, what)
            run.preparing(0.5, what)  # measured within seconds: not worth a line
        clock.now += 40
        run.progress(RunProgress(1, 2, 0.5, 40.0))
    assert capsys.readouterr().out.splitlines() == [
        "dm: k-means of the real images",
        "dm: compiling the network (about 40 s, once)",
        "dm: 1/2  loss 0.5",
    ]


def test_a_quiet_display_prints_nothing(clock: Clock, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OUT, "brief", True)
    with RunDisplay("dm") as run:
        run.preparing(0.0, "compiling")
        run.message("a message")
        clock.now += 40
        run.progress(RunProgress(2, 2, 0.5, 40.0))
    assert capsys.readouterr().out == ""
