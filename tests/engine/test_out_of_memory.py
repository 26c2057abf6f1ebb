"""Runs that do not fit in memory go on in smaller pieces, to the same result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from limited import HOW, METHODS, shades

import datacondense
from datacondense import Observer, RunProgress, condense, load_set
from datacondense.engine.out_of_memory import is_out_of_memory
from datacondense.methods import GradientMatching
from datacondense.utils.files import write_json

SCRIPT = Path(__file__).parents[1] / "support" / "limited.py"
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does")


def limited(what: str, megabytes: int | None, method: str, out: Path) -> str:
    """Output of a process of its own that may take so much more than it holds before it begins."""
    command = [sys.executable, "-W", "default", str(SCRIPT), what, str(megabytes or "none"), method, str(out)]
    path = f"{Path(datacondense.__file__).parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    # each tensor apart from the others, so that what fits depends on no chance of the allocator
    settings = {"PYTHONPATH": path, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@linux
@pytest.mark.slow
@pytest.mark.parametrize(("method", "megabytes"), [("dm", 200), ("dsa", 400)])
def test_a_run_that_does_not_fit_goes_on_in_smaller_pieces(method: str, megabytes: int, tmp_path) -> None:
    assert limited("condense", None, method, tmp_path / "free") == ""
    told = limited("condense", megabytes, method, tmp_path / "limited")
    assert told.count("out of memory in iteration 1: continuing with") == 1
    assert told.count("\n") == 1
    free, tight = (load_set(tmp_path / name) for name in ("free", "limited"))
    torch.testing.assert_close(
        tight.images, free.images, rtol=0, atol={"dm": 1e-3, "dsa": 5e-3}[method]
    )  # a rounded ReLU
    before, now = (json.loads((tmp_path / name / "run.json").read_text())["execution"] for name in ("free", "limited"))
    assert now["chunk"] < before["chunk"]
    assert now["classes_at_once"] < before["classes_at_once"] == 4
    record = json.loads((tmp_path / "limited" / "run.json").read_text())
    (tmp_path / "small").mkdir()
    write_json(tmp_path / "small" / "run.json", {**record, "status": "running"})  # begins in small pieces by itself
    small = condense(METHODS[method], shades(), out=tmp_path / "small", resume=True, **HOW)
    assert torch.equal(small.images, tight.images)


@linux
@pytest.mark.slow
def test_networks_that_do_not_fit_train_in_smaller_chunks(tmp_path) -> None:
    assert limited("evaluate", None, "random", tmp_path / "free") == ""
    told = limited("evaluate", 36, "random", tmp_path / "limited")
    assert told.count("out of memory: networks ConvNet in chunks of") == 1
    free, tight = (json.loads((tmp_path / name).read_text()) for name in ("free", "limited"))
    assert tight["execution"]["ConvNet"]["chunk"] < free["execution"]["ConvNet"]["chunk"]
    assert tight["told"] == free["told"] == 4  # epochs that were repeated are told once
    for one, other in zip(tight["accuracy"]["ConvNet"], free["accuracy"]["ConvNet"], strict=True):
        assert one == pytest.approx(other, abs=0.02)


class Full(GradientMatching):
    """Runs out of memory before the second update of the third iteration, twice."""

    times = 0

    def iterate(self, run):
        for update, loss in enumerate(super().iterate(run)):
            if (run.number, update) == (2, 1) and Full.times < 2:
                Full.times += 1
                raise torch.OutOfMemoryError("no memory is left")
            yield loss


class Told(Observer):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.iterations: list[int] = []

    def progress(self, progress: RunProgress) -> None:
        self.iterations.append(progress.iteration)

    def message(self, text: str) -> None:
        self.texts.append(text)


SETTINGS = {"iterations": 5, "batch_real": 8, "updates": 3, "epochs": 1, "momentum": 0.9, "arch": "ConvNetD1"}


def test_the_iteration_is_repeated_from_its_beginning(toy, tmp_path) -> None:
    Full.times = 2
    whole = condense(Full(**SETTINGS), toy(), ipc=2)
    Full.times, told = 0, Told()
    result = condense(Full(**SETTINGS), toy(), ipc=2, out=tmp_path, observers=[told], checkpoint_every=1e9)
    assert Full.times == 2
    assert told.iterations == [1, 2, 3, 4, 5]
    assert told.texts == [
        "out of memory in iteration 3: continuing with 1 classes at once (before: 3) in chunks of 64 images (256)"
    ]
    torch.testing.assert_close(result.images, whole.images, rtol=0, atol=1e-5)
    assert json.loads((tmp_path / "run.json").read_text())["execution"]["chunk"] == 64


def test_what_does_not_fit_however_small_goes_up(toy) -> None:
    chunks: list[int] = []

    class Never(GradientMatching):
        def iterate(self, run):
            chunks.append(run.problem.engine.execution.chunk)
            yield torch.empty(2**50)

    with pytest.raises(RuntimeError, match="can't allocate memory") as caught:
        condense(Never(**SETTINGS), toy(), ipc=1)
    assert is_out_of_memory(caught.value)
    assert chunks == [256, 128, 64, 32, 16, 8, 4, 2, 1]


def test_other_errors_are_none_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError())
