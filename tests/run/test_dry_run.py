"""What a run would take, said before it: `estimate` and `condense --dry-run`."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import datacondense
from datacondense import InputError, condense, estimate
from datacondense.cli.app import main
from datacondense.cli.dry_run import estimate_lines, size
from datacondense.engine.engine import Engine
from datacondense.methods import DC, DistributionMatching, Problem, Random

CODE = """
import json, re, sys, torch
from pathlib import Path
from datacondense import condense, estimate, image_set
from datacondense.methods import DC, DistributionMatching
torch.set_num_threads(1)
labels = torch.arange(4000) % 10
images = torch.randint(0, 256, (4000, 1, 28, 28), dtype=torch.uint8)
real = image_set(images.numpy(), labels.numpy(), name="noise", flip=False)
method = {"dm": DistributionMatching(iterations=4), "dc": DC(iterations=1, updates=2, epochs=2)}[sys.argv[2]]
if sys.argv[1] == "estimate":
    told = estimate(method, real, 20, compile="off")
    print(json.dumps([told.peak_bytes, told.real_bytes]))
else:
    condense(method, real, 20, compile="off")
    peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
    print(json.dumps([1024 * int(peak.group(1)), real.images.nbytes]))
"""


def in_its_own_process(what: str, method: str) -> tuple[int, int]:
    path = f"{Path(datacondense.__file__).parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    command = [sys.executable, "-c", CODE, what, method]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    peak, images = json.loads(done.stdout)
    return peak, images


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read as on Linux")
@pytest.mark.parametrize("method", ["dm", "dc"])
def test_a_run_stays_within_the_peak_that_was_foretold(method: str) -> None:
    foretold, images = in_its_own_process("estimate", method)
    taken, held = in_its_own_process("run", method)
    assert foretold == pytest.approx(taken, rel=0.25)
    assert foretold > 2**29
    assert images == held


def taking(seconds: float, function: Callable[..., Any], now: list[float]) -> Callable[..., Any]:
    """`function`, on whose calls the clock `now` advances."""

    def timed(*arguments: Any, **options: Any) -> Any:
        now[0] += seconds
        return function(*arguments, **options)

    return timed


@pytest.mark.parametrize(
    ("method", "iteration", "start"),
    [
        (DistributionMatching(iterations=60, batch_real=32, arch="ConvNetW32"), 2 * 2 * 1.0, 0.0),
        (DC(iterations=8, batch_real=32, updates=4, epochs=6, arch="ConvNetW32"), 4 * 2 * 2 * 1.0 + 3 * 6 * 0.5, 0.0),
        # 4 times: 2 steps of the network, real images once and synthetic ones 3 times; at first 10 steps and one update
        (
            DC(iterations=8, batch_real=32, updates=4, repeats=3, train_on="real", arch="ConvNetW32"),
            4 * (2 * 0.25 + 2 * (1 + 3) * 1.0),
            10 * 0.25 + 2 * 2 * 1.0 - (2 * 0.25 + 2 * (1 + 3) * 1.0) / 3,
        ),
    ],
    ids=["dm", "dc", "on real images"],
)
def test_the_pieces_of_time_add_up(method, iteration: float, start: float, toy, monkeypatch) -> None:
    """On a clock that only the work advances: real and synthetic images of two groups, and epochs of a network."""
    now = [1000.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    for owner, name, seconds in (
        (Engine, "class_means", 1.0),
        (Engine, "class_gradients", 1.0),
        (Problem, "train_epoch", 0.5),
        (Problem, "train_step", 0.25),
    ):
        monkeypatch.setattr(owner, name, taking(seconds, getattr(owner, name), now))
    told = estimate(method, toy(sizes=(40,) * 6, side=16), ipc=5, classes_at_once=3)
    assert told.iteration_seconds == pytest.approx(iteration)
    assert told.start_seconds == pytest.approx(start)  # nothing was compiled
    assert told.seconds == pytest.approx(start + method.iterations * iteration)
    assert (told.images, told.images_bytes) == (30, 30 * 16 * 16 * 4)
    assert told.execution.classes_at_once == 3


def test_the_training_of_networks_before_the_first_iteration_is_foreseen(toy, monkeypatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    for name, seconds in (("class_means", 1.0), ("add_gradients", 0.25)):
        monkeypatch.setattr(Engine, name, taking(seconds, getattr(Engine, name), now))
    method = DistributionMatching(
        iterations=5, batch_real=8, arch="ConvNetW32", networks="trained", trainings=2, training_steps=40
    )
    found = estimate(method, toy(), ipc=2)
    assert found.training_seconds == pytest.approx(2 * 40 * 0.25)
    assert found.start_seconds == pytest.approx(2 * 40 * 0.25 + 13 * 0.25)  # 13 steps were measured
    assert found.iteration_seconds == pytest.approx(2.0)
    shown = " ".join(estimate_lines(found, None))
    assert "networks: about 0:20 of the start for their training on the real images; the cache keeps them" in shown
    assert "networks:" not in " ".join(estimate_lines(replace(found, training_seconds=0.0), None))


def test_networks_of_a_queue_are_compiled_before_the_time_of_an_iteration(toy, monkeypatch) -> None:
    now, steps = [1000.0], iter([20.0])  # the first step of a network takes long
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Engine, "class_means", taking(1.0, Engine.class_means, now))
    train_step = Problem.train_step

    def stepped(*arguments: Any, **options: Any) -> None:
        now[0] += next(steps, 0.25)
        train_step(*arguments, **options)

    monkeypatch.setattr(Problem, "train_step", stepped)
    found = estimate(
        DistributionMatching(iterations=5, batch_real=8, arch="ConvNetW32", networks="queue", queue_steps=3), toy(), 2
    )
    assert found.iteration_seconds == pytest.approx(2 * 1.0 + 2 * 3 * 0.25)
    assert found.seconds == pytest.approx(20.0 - 0.25 - 2 * 3 * 0.25 + 5 * 3.5)  # the first iteration trains none


def test_what_takes_no_iterations_is_all_start(toy) -> None:
    told = estimate(Random(arch="MLP"), toy(), ipc=2)
    assert (told.iterations, told.iteration_seconds) == (0, 0.0)
    assert told.seconds == told.start_seconds


def test_what_no_run_takes_is_refused(toy) -> None:
    with pytest.raises(InputError, match="--ipc 0: must be at least 1"):
        estimate(Random(arch="MLP"), toy(), ipc=0)
    with pytest.raises(InputError, match="'dm' is not a method: give one, such as"):
        estimate("dm", toy(), ipc=1)  # pyright: ignore[reportArgumentType]


def test_the_networks_that_a_run_left_in_the_cache_are_seen(toy) -> None:
    method = DistributionMatching(iterations=1, batch_real=8, networks="trained", training_steps=8)  # of arch auto
    assert estimate(method, toy(), 1, compile="off", timed=0.01).training_seconds > 0
    condense(method, toy(), 1, compile="off")
    assert estimate(method, toy(), 1, compile="off", timed=0.01).training_seconds == 0


def test_the_images_of_a_set_with_few_of_a_class_are_counted(toy) -> None:
    real = toy(sizes=(40, 2, 40))
    with pytest.warns(UserWarning, match="1 of 3 classes has fewer than 5 training images: '1' "):
        told = estimate(Random(arch="MLP"), real, ipc=5)
    assert (told.images, told.images_bytes) == (12, 12 * 8 * 8 * 4)


def test_a_dry_run_says_all_and_writes_nothing(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    command = "condense dm --data digits --ipc 1 --iterations 1000 --batch-real 8 --arch ConvNetD1 --dry-run".split()
    assert main([*command, "--time-budget", "1s"]) == 0
    assert list(tmp_path.iterdir()) == []
    said = capsys.readouterr().out
    for pattern in (
        r"^time: about \d+:\d\d: 0:0\d to start, \d+:\d\d for 1000 iterations of [\d.]+ ms$",
        r"^--time-budget stops it after 0:01: after about \d+ iterations$",
        r"^memory: peak about [\d.]+ [GM]B of the process: [\d.]+ kB real images, [\d.]+ [GM]B the rest$",
        r"^synthetic images: 10, 2\.56 kB$",
        r"^decided: device cpu, fp32, not compiled, \d+ threads, 10 classes at once in chunks of \d+ images, ",
        r"images, network ConvNetD1, augmentation color_crop_cutout_scale_rotate$",
        r"^would be written to runs/dm-digits-ipc1-seed0$",
    ):
        assert re.search(pattern, said, re.MULTILINE), (pattern, said)


def test_a_dry_run_says_where_a_run_is_already(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    command = "condense random --data digits --ipc 1 --arch MLP --out run".split()
    assert main(command) == 0
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    assert main([*command, "--dry-run"]) == 0
    assert "would be written to run, which already holds files of a run" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before


def test_sizes_are_told_in_units_of_their_own() -> None:
    assert [size(count) for count in (512, 2_560, 3_000_000, 1_810_000_000)] == [
        "0.512 kB",
        "2.56 kB",
        "3 MB",
        "1.81 GB",
    ]
