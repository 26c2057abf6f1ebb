"""Several processes: what each does, that they make what one makes, and what happens when one of them ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torchrun import SOURCE, run, start

from datacondense import InputError, condense, evaluate, load_set
from datacondense.cli.app import main
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.evaluation.evaluator import _standing_for_all
from datacondense.evaluation.protocol import Protocol
from datacondense.methods import Problem, Random, differentiate
from datacondense.synthetic.parameters import Pixels
from datacondense.training.recipe import Recipe
from datacondense.utils.distributed import ALONE, Processes, _collective, all_processes
from datacondense.utils.errors import LostProcess
from datacondense.utils.torchrun import _meet

FILES = {"synthetic.safetensors", "run.json", "log.jsonl", "checkpoint.safetensors", "images.png"}
FILES |= {"neighbours.safetensors", "report.html"}
SAMPLED = "--networks trained --training-steps 5 --classify 0.5 --distance cf --frequencies 16 --sampler --lr 0.003"
QUICK = "--data digits --ipc 3 --iterations 20 --batch-real 16 --compile off"
GRADIENTS = f"{QUICK} --arch ConvNetD1 --updates 2 --epochs 2"
SMALL_STEPS = "--lr 0.01 --seed 1"  # under large ones rounding grows, for one process on another number of threads too


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def team(size: int) -> list[Processes]:
    return [Processes(rank, size) for rank in range(size)]


def losses(run_directory: str) -> list[float]:
    return [json.loads(line)["loss"] for line in Path(run_directory, "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("count", "size"), [(10, 1), (10, 2), (10, 3), (3, 5), (0, 2), (7, 7)])
def test_shards_are_all_there_is_in_order_and_of_equal_size(count: int, size: int) -> None:
    shards = [list(range(count))[one.shard(count)] for one in team(size)]
    assert [item for shard in shards for item in shard] == list(range(count))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_without_a_process_group_there_is_one_process() -> None:
    assert all_processes() == ALONE
    tensor = torch.ones(2)
    ALONE.all_sum([tensor])
    assert tensor.tolist() == [1, 1]
    assert (ALONE.any(True), ALONE.any(False), ALONE.agreed(lambda: 3), ALONE.gathered("x")) == (True, False, 3, ["x"])


def groups(toy: Any, arch: str, at_once: int, processes: Processes) -> list[list[int]]:
    execution = Execution(device="cpu", precision="fp32", compile=False, chunk=8, classes_at_once=at_once, threads=1)
    problem = Problem(toy(sizes=[4] * 10), 1, arch, "none", Engine(execution, processes))
    network = problem.fresh_network(torch.Generator().manual_seed(0))
    return [list(range(10))[group] for group in problem.groups(network)]


def test_each_class_is_in_one_group_of_one_process(toy) -> None:
    for size in (1, 2, 3, 10, 12):
        for at_once in (1, 3, 10):
            of_all = [groups(toy, "MLP", at_once, one) for one in team(size)]
            assert [k for of_one in of_all for group in of_one for k in group] == list(range(10))
            assert max(len(group) for of_one in of_all for group in of_one) <= at_once
    assert groups(toy, "MLP", 4, ALONE) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [groups(toy, "MLP", 4, one) for one in team(2)] == [[[0, 1, 2], [3, 4]], [[5, 6, 7], [8, 9]]]


def test_classes_that_share_batch_statistics_are_those_of_one_process(toy) -> None:
    assert [groups(toy, "VGG11BN", 1, one) for one in team(3)] == [[list(range(10))], [], []]


def test_a_sum_over_groups_of_classes_is_refused_where_each_process_has_a_part(toy) -> None:
    def problem(processes: Processes) -> tuple[Problem, Pixels, Tensor]:
        execution = Execution("cpu", "fp32", compile=False, chunk=8, classes_at_once=1, threads=1)
        of = Problem(toy(), 1, "MLP", "none", Engine(execution, processes))
        network = of.fresh_network(torch.Generator().manual_seed(0))
        synthetic = Pixels(of.real.sample(1, torch.Generator().manual_seed(0)))
        return of, synthetic, torch.stack([synthetic()[group].sum() for group in of.groups(network)]).sum()

    of, synthetic, loss = problem(Processes(0, 2))
    with pytest.raises(AssertionError, match="must yield its terms one by one"):
        differentiate(loss, list(synthetic.parameters()), of)
    of, synthetic, loss = problem(ALONE)
    assert differentiate(loss, list(synthetic.parameters()), of) == pytest.approx(float(loss.detach()))


def test_a_gpu_by_number_is_refused_to_several_processes(toy) -> None:
    for shared in (
        lambda: condense(Random(), toy(), 1, device="cuda:1", processes=Processes(1, 2)),
        lambda: evaluate(toy(), toy(draw=1), device="cuda:1", processes=Processes(1, 2)),
    ):
        with pytest.raises(InputError, match="use --device cuda, which gives each its own"):
            shared()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1"),
        RuntimeError("Read error [127.0.0.1]:1: Connection reset by peer"),
        RuntimeError("Timed out waiting 1800000ms for recv operation to complete"),
        dist.DistNetworkError("failed to recv, got 0 bytes"),
        dist.DistBackendError("NCCL communicator was aborted"),
    ],
)
def test_a_broken_connection_is_a_lost_process(error: RuntimeError) -> None:
    with pytest.raises(LostProcess, match="another process that shared the work has ended"), _collective():
        raise error


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("a shape is wrong")])
def test_another_error_goes_up_as_it_is(error: RuntimeError) -> None:
    with pytest.raises(type(error), match=str(error)), _collective():
        raise error


def test_processes_that_do_not_meet_are_told_of_by_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "3", "MASTER_ADDR": "here", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"RANK=0 WORLD_SIZE=3 .* did not meet \(process 0 has waited .* for 1, 2\)"):
        _meet(dist.HashStore(), 0, 3, within=0.05)  # pyright: ignore[reportPrivateImportUsage] (documented)


def test_a_command_that_is_not_shared_waits_for_no_other_process(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "no.such.machine.invalid")
    monkeypatch.setenv("MASTER_PORT", "1")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        for command in ("--version", "list archs"):
            assert main(command.split()) == 0
            assert bool(capsys.readouterr().out) == (rank == "0")
        with pytest.raises(SystemExit, match="0"):
            main(["condense", "--help"])
        assert bool(capsys.readouterr().out) == (rank == "0")


WAITING = """
import sys, time, datetime
import torch.distributed as dist
from datacondense.utils.distributed import all_processes
rank = int(sys.argv[1])
store = dist.FileStore("store", 2)
dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=2))
processes = all_processes()
assert processes.gathered(rank) == [0, 1]
time.sleep(5 * rank)
assert processes.any(rank == 1)
assert processes.agreed(lambda: "yes") == "yes"
dist.destroy_process_group()
"""


@pytest.mark.processes
def test_waiting_for_another_is_not_bound_by_the_timeout_of_a_group_of_ones_own() -> None:
    command = [sys.executable, "-c", WAITING]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen([*command, str(rank)], env=environment) for rank in range(2)]
    assert [one.wait(timeout=120) for one in both] == [0, 0]


@pytest.mark.parametrize("nets", [1, 2, 3])
def test_the_epochs_of_the_leading_process_stand_for_all(nets: int) -> None:
    protocol = Protocol(recipes={"MLP": Recipe(epochs=5), "ConvNet": Recipe(epochs=4)}, nets=nets, seed=0)
    for size in (1, 2, 4):
        mine = [(arch, index) for arch in protocol.archs for index in range(nets)][::size]
        calls: list[None] = []
        epoch = _standing_for_all(lambda calls=calls: calls.append(None), mine, protocol)
        for _ in range(sum(protocol.recipes[arch].epochs for arch, _ in mine)):
            before = len(calls)
            epoch()
            assert size > 1 or len(calls) == before + 1
        assert len(calls) == protocol.epochs


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        f"dm {QUICK}",
        f"dsa {GRADIENTS}",
        pytest.param(f"dm {QUICK} --arch ConvNetBN", marks=pytest.mark.processes),
        pytest.param(f"dm {QUICK} {SAMPLED}", marks=pytest.mark.processes),
        pytest.param(f"dm {QUICK} --regress 2", marks=pytest.mark.processes),
        pytest.param(f"dc {GRADIENTS} {SMALL_STEPS}", marks=pytest.mark.processes),
    ],
)
def test_two_processes_make_the_set_of_one(command: str) -> None:
    for processes in (1, 2):
        output = run(processes, f"condense {command} --out of{processes}")
        assert output.count("next: datacondense evaluate") == 1
        assert {path.name for path in Path(f"of{processes}").iterdir()} == FILES
    assert losses("of2") == pytest.approx(losses("of1"), rel=1e-4)
    assert len(losses("of2")) == 20
    one, two = (load_set(f"of{processes}") for processes in (1, 2))
    assert torch.allclose(one.images, two.images, atol=1e-3)
    assert str(two.provenance.machine) == f"{one.provenance.machine}, 2 processes"
    if command.startswith("dc"):
        assert "is complete: there is nothing to resume" in run(2, f"condense {command} --out of1 --resume")


@pytest.mark.slow
def test_two_processes_measure_what_one_measures() -> None:
    run(1, "condense random --data digits --ipc 2 --arch ConvNetD1 --out set")
    for processes in (1, 2):
        command = f"evaluate set --archs ConvNetD1 MLP --nets 3 --epochs 5 --beside random --out of{processes}.json"
        assert run(processes, command).count("trained on") == 1
    one, two = (json.loads(Path(f"of{processes}.json").read_text()) for processes in (1, 2))
    for label, scores in one.items():
        assert two[label]["accuracy"] == scores["accuracy"]
        assert two[label]["per_class"] == scores["per_class"]
        assert len(set(scores["accuracy"]["ConvNetD1"])) > 1
    assert len(Path("set/scores.jsonl").read_text().splitlines()) == 2


def children(process: subprocess.Popen[str]) -> set[int]:
    return set(map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for the workers where Linux lists them")
@pytest.mark.parametrize("leads", [True, pytest.param(False, marks=pytest.mark.processes)])
def test_one_of_two_is_killed_and_torchrun_goes_on_from_the_checkpoint(leads: bool) -> None:
    """The command overwrites another run; started again, it must not overwrite what it has begun."""
    command = f"condense dc {GRADIENTS} --iterations 30 --checkpoint-every 0.2s --overwrite"
    run(2, f"{command} --out whole")
    run(1, "condense random --data digits --ipc 3 --out parts")
    process = start(2, f"{command} --out parts", "--max-restarts=1")
    while not Path("parts/checkpoint.previous.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    leader = json.loads(Path("parts/run.json").read_text())["launch"]["process"]
    os.kill(leader if leads else (children(process) - {leader}).pop(), signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "resumed after iteration" in output
    assert torch.equal(load_set("whole").images, load_set("parts").images)
    assert losses("parts") == losses("whole")
    again = run(2, f"condense dc {GRADIENTS} --out parts", "--max-restarts=1", code=1)
    assert again.count("holds another run") == 1  # though it was found out twice


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_torchrun_that_is_stopped_leaves_a_valid_set(number: signal.Signals) -> None:
    process = start(2, "condense dm --data digits --ipc 1 --iterations 100000 --batch-real 32 --compile off --out run")
    while not Path("run/log.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert output.count("stopping after this update") == 1
    assert output.count("stopped early with a valid set; run the same command with --resume to continue") == 1
    assert json.loads(Path("run/run.json").read_text())["status"] == "stopped"
    assert len(load_set("run")) == 10


@pytest.mark.processes
def test_a_time_budget_ends_all_processes_at_the_same_update() -> None:
    command = "condense dm --data digits --ipc 1 --iterations 100000 --batch-real 32 --compile off --out run"
    assert "stopped early with a valid set" in run(2, f"{command} --time-budget 2s")
    done = len(losses("run"))
    assert f"resumed after iteration {done} of" in run(2, f"{command} --time-budget 2s --resume")
    assert len(losses("run")) > done


@pytest.mark.processes
def test_one_process_alone_logs() -> None:
    run(2, f"-- condense dm {QUICK} --arch ConvNetD1 --log tensorboard --out run")
    assert len(list(Path("run/tensorboard").iterdir())) == 1
    events = EventAccumulator("run/tensorboard").Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(losses("run"))
    assert [event.step for event in events.Images("images")] == [0, 20]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("condense dm --data digits --ipc 0", "--ipc 0: must be at least 1"),
        pytest.param(
            "condense dm --data digits --out taken",
            "taken holds another run: continue it with --resume",
            marks=pytest.mark.processes,
        ),
        pytest.param(
            "condense dm --data digits --out file/run",
            "which is a file: name another",
            marks=pytest.mark.processes,
        ),
        pytest.param(
            "evaluate absent",
            "no synthetic set at absent",
            marks=pytest.mark.processes,
        ),
        pytest.param(
            "condense dmm",
            "unknown method 'dmm'",
            marks=pytest.mark.processes,
        ),
    ],
)
def test_bad_input_is_said_once_and_all_end(arguments: str, error: str) -> None:
    Path("taken").mkdir()
    Path("taken/run.json").write_text("{}")
    Path("file").touch()
    output = run(2, arguments, code=1)
    assert output.count("datacondense: error: ") == 1
    assert output.count(error) == 1
    root = output.partition("Root Cause")[2]
    assert "exitcode  : 2 " in root


@pytest.mark.processes
def test_experiments_are_shared_out_and_each_is_run_once() -> None:
    command = "reproduce --all dm/mnist/* dc/depth/ConvNetD4 --data digits --scale 0.001 --seeds 1 --nets 1"
    output = run(2, command, code=1)
    assert "dc/depth/ConvNetD4@digits@scale0.001: a ConvNet of depth 4 needs images of at least 16x16" in output
    assert output.count("datacondense: error: ") == 1
    assert "1 of 4 experiments could not be run, for the reasons above" in output
    files = [Path("results", f"dm-mnist-{ipc}@digits@scale0.001.jsonl") for ipc in (1, 10, 50)]
    assert set(Path("results").iterdir()) == set(files)
    records = [path.read_text() for path in files]
    assert [text.count("\n") for text in records] == [1, 1, 1]
    output = run(2, "reproduce --all dm/mnist/* --data digits --scale 0.001 --seeds 1 --nets 1")
    assert "set 1 of 1" not in output
    assert [output.count(f"dm/mnist/{ipc}@") for ipc in (1, 10, 50)] == [1, 1, 1]
    assert [path.read_text() for path in files] == records
