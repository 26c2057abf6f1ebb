"""The time of an evaluation, said before it: `estimate_evaluation` and `evaluate --dry-run`."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from datacondense import InputError, Spec, estimate_evaluation
from datacondense.cli.app import main
from datacondense.engine.engine import Engine
from datacondense.evaluation import dry_run


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks train for a tenth of a second."""
    monkeypatch.setattr(dry_run, "_TIMED", 0.1)


def taking(first: float, function: Callable[..., Any], now: list[float]) -> Callable[..., Any]:
    """`function`, on whose calls the clock `now` advances: a second, and more for each image and for the first call."""
    more = iter((first,))

    def timed(engine: Engine, network: Any, images: Any, *rest: Any) -> Any:
        now[0] += 1.0 + 0.01 * len(images) + next(more, 0.0)
        return function(engine, network, images, *rest)

    return timed


@pytest.mark.parametrize(
    ("batch", "epoch"),
    [(64, 1.21), (6, (3 + 0.15) * 21 / 15)],
    ids=["all images", "two batches and the last"],
)
def test_the_pieces_of_time_add_up(batch: int, epoch: float, toy, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Engine, "add_gradients", taking(20.0, Engine.add_gradients, now))
    monkeypatch.setattr(Engine, "predict", taking(7.0, Engine.predict, now))
    told = estimate_evaluation(
        toy(sizes=(7, 7, 7)), toy(sizes=(30, 10, 5)), archs="MLP", nets=3, epochs=40, batch=batch
    )
    one = told.networks["MLP"]
    assert one.epoch_seconds == pytest.approx(epoch)
    assert one.test_seconds == pytest.approx(1.45)
    assert one.start_seconds == pytest.approx(27.0)
    assert told.seconds == pytest.approx(27.0 + 3 * (40 * epoch + 1.45))


def test_a_network_may_be_a_module(toy) -> None:
    def mine(spec: Spec) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, spec.classes))

    told = estimate_evaluation(toy(), toy(draw=1), archs=[mine, "MLP"], nets=3, epochs=7, batch=4)
    assert {arch: (one.nets, one.epochs) for arch, one in told.networks.items()} == {"mine": (3, 7), "MLP": (3, 7)}
    assert told.seconds == pytest.approx(sum(one.seconds for one in told.networks.values()))
    assert all(one.epoch_seconds > 0 and one.test_seconds > 0 for one in told.networks.values())
    assert told.peak_bytes > 2**26


def test_what_cannot_be_evaluated_is_refused(toy) -> None:
    with pytest.raises(InputError, match="--nets 0: must be at least 1"):
        estimate_evaluation(toy(), toy(), nets=0)
    with pytest.raises(InputError, match="do not fit the set"):
        estimate_evaluation(toy(), toy(side=12), archs="MLP")


def test_a_dry_run_says_all_and_writes_nothing(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        assert main(f"condense random --data digits --ipc 1 --arch MLP --seed {seed} --out run{seed}".split()) == 0
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    command = "evaluate run0 run1 --archs MLP ConvNetD1 --nets 3 --epochs 40 --beside random whole --whole-epochs 2"
    capsys.readouterr()
    assert main([*command.split(), "--out", "scores.json", "--figure", "scores.png", "--dry-run"]) == 0
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    said = capsys.readouterr().out
    each = r"each in \d+:\d\d: \d+ epochs of [\d.]+ m?s and a test of [\d.]+ m?s$"
    for pattern in (
        r"^time: about \d+:\d\d: 0:\d\d to start, \d+:\d\d for 24 networks$",
        r"^random real: 3 networks MLP in \d+:\d\d, each in \d+:\d\d: 40 epochs of [\d.]+ m?s and a test of ",
        rf"^random: 6 networks ConvNetD1 in \d+:\d\d, {each}",
        rf"^whole set: 3 networks MLP in \d+:\d\d, {each}",
        r"^memory: peak about [\d.]+ [GM]B of the process$",
        r"^decided: device cpu, fp32, not compiled, \d+ threads, chunks of \d+ images$",
    ):
        assert re.search(pattern, said, re.MULTILINE), (pattern, said)
