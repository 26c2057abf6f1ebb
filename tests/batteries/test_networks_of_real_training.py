"""Methods under networks of real training, and under a queue of networks: whatever happens to a run, the same bits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torchrun
from observing import StopAfter, same
from toy_methods import TOY

from datacondense import Method, condense, load_set
from datacondense.cli.app import main
from datacondense.methods import method_class
from datacondense.utils import cache
from datacondense.utils.files import read_tensors, write_tensors

SETTINGS = {
    "trained": ("dm", {"networks": "trained", "trainings": 2, "classify": 0.5, "ahead": 2, "fresh_share": 0.2}),
    "trained, with batch norm": ("dm", {"networks": "trained", "arch": "ConvNetBN", "training_steps": 2}),
    "fresh, for some iterations": ("dm", {"keep": 3}),
    "blended, for some iterations": ("dm", {"networks": "blended", "keep": 3}),
    "queue": ("dm", {"networks": "queue", "queue_every": 2, "queue_steps": 1}),
    "dc": ("dc", {"networks": "trained", "iterations": 3, "updates": 1, "epochs": 1}),
    "dsa": ("dsa", {"networks": "blended", "iterations": 3, "updates": 2, "epochs": 1}),
}


def made(name: str) -> Method:
    method, changes = SETTINGS[name]
    return method_class(method)(**{**TOY[method].settings(), "training_steps": 6, "iterations": 4, **changes})


METHODS = {name: made(name) for name in SETTINGS}
QUICK = "condense dm --data digits --ipc 1 --batch-real 8 --arch ConvNetD1 --compile off --networks trained"
every_one = pytest.mark.parametrize("name", METHODS)


def kept(run: Path) -> dict[str, torch.Tensor]:
    """The tensors of the last checkpoint."""
    return read_tensors(run / "checkpoint.safetensors")[0]


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


@every_one
def test_a_run_resumed_without_its_cache_equals_an_uninterrupted_one(name: str, toy, tmp_path) -> None:
    whole, parts, method = tmp_path / "whole", tmp_path / "parts", METHODS[name]
    first = condense(method, toy(), 2, out=whole)
    condense(method, toy(), 2, out=parts, observers=[StopAfter(2)])
    shutil.rmtree(cache.folder(), ignore_errors=True)
    again = condense(method, toy(), 2, out=parts, resume=True)
    assert same(first, again)
    assert losses(whole) == losses(parts)
    tensors = kept(whole), kept(parts)
    assert tensors[0].keys() == tensors[1].keys()
    assert all(torch.equal(tensor, tensors[1][one]) for one, tensor in tensors[0].items())
    assert ("state.pushed" in tensors[0]) == (name == "queue")
    assert not same(first, condense(method, toy(), 2, seed=1))


@pytest.mark.parametrize("name", ["trained", "queue"])
def test_class_by_class_gives_the_same_images_as_all_at_once(name: str, toy) -> None:
    joint, apart = (condense(METHODS[name], toy(), 2, classes_at_once=number) for number in (3, 1))
    torch.testing.assert_close(apart.images, joint.images, rtol=1e-4, atol=1e-5)


def test_the_seconds_of_training_count_once_wherever_the_networks_come_from(toy, tmp_path) -> None:
    method = METHODS["blended, for some iterations"]
    trained = condense(method, toy(), 2)
    took = trained.provenance.training_seconds
    assert took is not None
    assert trained.seconds is not None
    assert trained.seconds > took > 0
    (file,) = (cache.folder() / "trajectories").glob("*.safetensors")
    tensors, key = read_tensors(file)
    write_tensors(file, {**tensors, "seconds": torch.tensor(5000.0, dtype=torch.float64)}, key)  # as if it had
    stopped = condense(method, toy(), 2, out=tmp_path, observers=[StopAfter(2)])
    whole = condense(method, toy(), 2, out=tmp_path, resume=True)
    for one in (stopped, whole):
        assert one.provenance.training_seconds == 5000
        assert one.seconds is not None
        assert 5000 < one.seconds < 10_000
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])["seconds"] > 5000
    assert same(trained, whole)
    assert "training_seconds" not in condense(METHODS["queue"], toy(), 2).provenance.to_json()


def test_a_run_from_a_set_trains_networks_too(toy) -> None:
    start = condense(TOY["random"], toy(), 2)
    first, fresh = (
        condense(METHODS[name], toy(), 2, start=start) for name in ("trained", "fresh, for some iterations")
    )
    assert not same(first, fresh)
    assert first.provenance.training_seconds


@pytest.mark.slow
def test_the_command_says_what_the_training_took(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    command = f"{QUICK} --iterations 2 --training-steps 4 --out run"
    assert main(command.split()) == 0
    assert " of it for training networks, 2 of 2 iterations: run" in capsys.readouterr().out
    assert "of that, training networks" in Path("run/report.html").read_text()


@pytest.mark.processes
def test_a_killed_run_resumes_with_its_networks(tmp_path) -> None:
    command = f"{QUICK} --iterations 60 --training-steps 40 --checkpoint-every 0s".split()

    def start(out: Path, *more: str) -> subprocess.Popen[bytes]:
        """Run the command with a cache of this run alone."""
        own = {"OMP_NUM_THREADS": "1", "DATACONDENSE_CACHE": f"{out}-cache"}
        environment = {**os.environ, "PYTHONPATH": str(torchrun.SOURCE), **own}
        run = [sys.executable, "-m", "datacondense", *command, "--out", str(out), *more]
        return subprocess.Popen(run, env=environment)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert start(whole).wait(timeout=120) == 0
    process = start(parts)
    while not (parts / "checkpoint.previous.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    shutil.rmtree(f"{parts}-cache")
    assert start(parts, "--resume").wait(timeout=120) == 0
    assert torch.equal(load_set(whole).images, load_set(parts).images)


@pytest.mark.processes
def test_two_processes_train_the_same_networks(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for count in (1, 2):
        torchrun.run(count, f"{QUICK} --iterations 4 --training-steps 10 --out of-{count}")
    assert torch.allclose(load_set("of-1").images, load_set("of-2").images, atol=1e-3)
