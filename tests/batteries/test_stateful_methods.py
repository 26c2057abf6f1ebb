"""A method with a pool of networks, a sampler and a step size: all of them survive whatever happens to a run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchrun
import trained_along
from torch import Tensor
from trained_along import TrainedAlong

from datacondense import Diverged, InputError, Observer, RunProgress, SyntheticSet, condense, estimate, load_set
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import DistributionMatching, NetworkPool, Problem, Step
from datacondense.run.state import UndoPoint, begin
from datacondense.training.cached import packed, unpack
from datacondense.utils.errors import DamagedFile
from datacondense.utils.files import read_tensors
from datacondense.utils.streams import Streams

METHOD = TrainedAlong(iterations=5, batch_real=8, lr=0.3, arch="ConvNetD1", augment="crop_scale")
PLUGIN = Path(trained_along.__file__)
QUICK = "--data digits --ipc 1 --batch-real 8 --arch ConvNetD1 --compile off"
COMMAND = f"condense trained-along --plugin {PLUGIN} {QUICK}"


class StopAfter(Observer):
    """Asks for a stop after an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def progress(self, progress: RunProgress) -> None:
        if progress.iteration == self.iteration:
            signal.raise_signal(signal.SIGINT)


def acting(act: Callable[[int, int], object]) -> TrainedAlong:
    """The method that calls `act` with iteration and update before each update, under the same name in run.json."""

    class Acting(TrainedAlong):
        def iterate(self, run):
            for update, step in enumerate(super().iterate(run)):
                changed = act(run.number, update)
                yield step if changed is None else changed

    Acting.__name__ = TrainedAlong.__name__
    return Acting(**METHOD.settings())


def once(iteration: int, update: int, act: Callable[[], object]) -> Callable[[int, int], object]:
    """An action for `acting` before one update, the first time that it comes."""
    left = [act]
    return lambda *now: left.pop()() if now == (iteration, update) and left else None


def kept(run: Path) -> dict[str, Tensor]:
    """The tensors of the newest checkpoint."""
    return read_tensors(run / "checkpoint.safetensors")[0]


def same(one: Path, other: Path) -> bool:
    """Whether images, state and optimisers of two runs are equal in every bit."""
    a, b = kept(one), kept(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def whole(toy, tmp_path) -> tuple[SyntheticSet, Path]:
    return condense(METHOD, toy(), 2, out=tmp_path / "whole"), tmp_path / "whole"


def resumed(toy: Any, out: Path) -> SyntheticSet:
    return condense(METHOD, toy(), 2, out=out, resume=True)


def test_the_state_changes_reaches_the_checkpoint_and_repeats_with_the_seed(whole, toy, tmp_path) -> None:
    result, out = whole
    tensors = kept(out)
    assert int(tensors["state.seen"]) == 5
    assert tensors["state.pool.steps"].sum() < 5  # some networks have started anew
    assert not torch.equal(tensors["state.sampler"], torch.zeros_like(tensors["state.sampler"]))
    assert float(tensors["state.log_rate"]) != -4.0
    assert {"optimiser.0.momentum_buffer", "optimisers.sampler.0.exp_avg", "optimisers.rate.0.momentum_buffer"} <= (
        tensors.keys()
    )
    again = condense(METHOD, toy(), 2, out=tmp_path / "again")
    assert torch.equal(again.images, result.images)
    assert same(tmp_path / "again", out)
    other = condense(METHOD, toy(), 2, seed=1, out=tmp_path / "other")
    assert not torch.equal(other.images, result.images)


def test_the_sampler_ascends_and_the_images_descend(toy, tmp_path) -> None:
    settings = {**METHOD.settings(), "iterations": 1, "augment": "none"}
    losses: list[float] = []

    class Watched(TrainedAlong):
        def iterate(self, run):
            for step in super().iterate(run):
                yield step
                made = run.problem.engine.class_means(run.state.pool[0], run.synthetic())
                real = run.problem.engine.class_means(
                    run.state.pool[0], run.problem.real.sample(self.batch_real, run.streams("real"))
                )
                losses.append(float((run.state.sampler.softmax(0) * (real - made).square().sum(1)).sum().detach()))

    condense(Watched(**{**settings, "size": 1}), toy(), 2, out=tmp_path)
    assert losses[1] > losses[0]  # after the update of the sampler
    assert losses[2] == losses[1]  # the step size alone has changed


def test_a_run_stopped_between_iterations_resumes_with_its_state(whole, toy, tmp_path) -> None:
    condense(METHOD, toy(), 2, out=tmp_path / "parts", observers=[StopAfter(2)])
    assert int(kept(tmp_path / "parts")["state.seen"]) == 2
    assert torch.equal(resumed(toy, tmp_path / "parts").images, whole[0].images)
    assert same(tmp_path / "parts", whole[1])


@pytest.mark.parametrize("update", [1, 2])
def test_a_run_stopped_inside_an_iteration_resumes_with_its_state(update: int, whole, toy, tmp_path) -> None:
    stopping = acting(once(2, update, lambda: signal.raise_signal(signal.SIGINT)))
    part = condense(stopping, toy(), 2, out=tmp_path / "parts")
    assert part.provenance.iterations_done == 2
    assert int(kept(tmp_path / "parts")["state.seen"]) == 2
    assert torch.equal(resumed(toy, tmp_path / "parts").images, whole[0].images)
    assert same(tmp_path / "parts", whole[1])


@pytest.mark.parametrize("update", [1, 2])
def test_an_iteration_without_memory_is_repeated_with_the_state_before_it(update: int, toy, tmp_path) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("no memory is left")

    for name, when in (("first", 0), ("later", update)):  # before the first update there is nothing to undo
        condense(acting(once(2, when, full)), toy(), 2, out=tmp_path / name)
    assert json.loads((tmp_path / "later" / "run.json").read_text())["execution"]["chunk"] == 128
    assert same(tmp_path / "first", tmp_path / "later")


@pytest.mark.parametrize("of", ["images", "sampler"])
def test_divergence_leaves_set_and_state_as_before_the_iteration(of: str, toy, tmp_path) -> None:
    def infinite() -> Step:
        return Step(torch.ones((), requires_grad=True) * float("inf"), of=of)

    with pytest.raises(Diverged, match="the loss is no longer finite at iteration 3"):
        condense(acting(once(2, 2, infinite)), toy(), 2, out=tmp_path / "diverged")
    two = TrainedAlong(**{**METHOD.settings(), "iterations": 2})
    assert torch.equal(condense(two, toy(), 2, out=tmp_path / "two").images, load_set(tmp_path / "diverged").images)
    assert same(tmp_path / "two", tmp_path / "diverged")


def test_parameters_that_overflow_are_named_by_their_optimiser(toy) -> None:
    class Overflows(TrainedAlong):
        def iterate(self, run):
            yield run.synthetic().square().mean()
            zero = run.state.log_rate + 4  # a finite loss, whose gradient is infinite
            yield Step([zero * 3e38, zero * 3e38], of="rate")

    with pytest.raises(Diverged, match=r"parameters of the optimiser 'rate' .* learning rate of the optimiser 'rate'"):
        condense(Overflows(**METHOD.settings()), toy(), 1)


def test_an_unknown_optimiser_is_answered_with_the_names(toy) -> None:
    method = acting(once(0, 0, lambda: Step(torch.zeros(()), of="samplr")))
    with pytest.raises(InputError, match="unknown optimiser 'samplr': did you mean 'sampler'"):
        condense(method, toy(), 1)


def test_a_state_that_cannot_be_saved_is_refused(toy) -> None:
    class Plain(TrainedAlong):
        def state(self, problem, streams) -> Any:
            return {"sampler": 3}

    with pytest.raises(InputError, match=r"Plain\.state must return a torch\.nn\.Module or None, not {'sampler': 3}"):
        condense(Plain(**METHOD.settings()), toy(), 1)


def refused(method: type[TrainedAlong], toy: Any) -> str:
    with pytest.raises(InputError) as caught:
        condense(method(**METHOD.settings()), toy(), 1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FOREIGN = torch.nn.Parameter(torch.zeros(3))


@pytest.mark.parametrize(
    ("name", "optimiser", "message"),
    [
        ("other", torch.optim.SGD([FOREIGN], lr=0.1), "'other' holds a parameter that a checkpoint lacks: register it"),
        ("other", FOREIGN, r"'other' is of type Parameter: return a torch\.optim\.Optimizer"),
        ("a.b", torch.optim.SGD([FOREIGN], lr=0.1), r"'a\.b' cannot be the name of an optimiser"),
        (3, torch.optim.SGD([FOREIGN], lr=0.1), "3 cannot be the name of an optimiser"),
    ],
)
def test_an_optimiser_that_cannot_be_restored_is_refused(name: Any, optimiser: Any, message: str, toy) -> None:
    class More(TrainedAlong):
        def optimisers(self, synthetic, state: Any):
            return {**super().optimisers(synthetic, state), name: optimiser}

    assert re.match(rf"More\.optimisers: {message}", refused(More, toy))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (None, "yields NoneType: yield a scalar tensor, an iterable of them, or a Step"),
        (3, "yields int: yield a scalar tensor"),
        ([None], "yields NoneType: yield a scalar tensor"),
        (torch.ones(2, requires_grad=True), r"yields a loss of shape \(2,\): yield a scalar, such as its sum"),
        (torch.ones(()), "yields a loss without gradient: compute it from the parameters of the step"),
        ([torch.ones(())], "yields a loss without gradient"),
        (
            Step(torch.ones((), requires_grad=True), of=()),
            r"a step names no optimiser: yield Step\(loss, of='images'\)",
        ),
    ],
)
def test_what_is_no_loss_is_refused(loss: Any, message: str, toy) -> None:
    class Yields(TrainedAlong):
        def iterate(self, run):
            yield loss

    assert re.match(rf"Yields\.iterate: {message}", refused(Yields, toy))


def test_a_step_of_frozen_parameters_is_refused(toy) -> None:
    class Frozen(TrainedAlong):
        def iterate(self, run):
            run.state.sampler.requires_grad_(False)
            yield Step(run.synthetic().sum(), of="sampler")

    assert refused(Frozen, toy).startswith("Frozen.iterate: all parameters of a step are frozen: call requires_grad_")


def test_a_method_with_several_optimisers_is_estimated(toy) -> None:
    found = estimate(METHOD, toy(), 2)
    assert found.iteration_seconds > 0
    assert found.start_seconds >= 0


def problem_for(toy: Any) -> Problem:
    real = toy()
    return Problem(real, 2, METHOD.arch, METHOD.augment, Engine(Compute().plan(METHOD.arch, real.spec, 1)))


def test_the_undo_point_uses_its_buffers_again_and_restores_all(toy) -> None:
    problem, streams = problem_for(toy), Streams(0)
    state, updates = begin(METHOD, problem, METHOD.start(problem, streams), streams)
    undo = UndoPoint(state)
    undo.set()
    fresh = {name: tensor.clone() for name, tensor in state.tensors().items()}
    assert isinstance(state.method, trained_along.Along)
    step = Step(state.method.sampler.square().sum() + state.method.sampler.sum(), of="sampler")
    updates.apply(step, 0.0, 1)
    assert len(state.tensors()) > len(fresh)  # Adam has moments now, and the number of its steps
    undo.undo()
    now = state.tensors()
    assert now.keys() == fresh.keys()
    assert all(torch.equal(now[name], fresh[name]) for name in fresh)
    updates.apply(Step(state.method.sampler.sum(), of="sampler"), 0.0, 1)
    undo.set()
    places = {name: tensor.data_ptr() for name, tensor in undo.tensors.items()}
    updates.apply(Step(state.method.sampler.sum(), of="sampler"), 0.0, 1)
    undo.set()
    assert {name: tensor.data_ptr() for name, tensor in undo.tensors.items()} == places
    now = state.tensors()
    assert all(torch.equal(tensor, now[name]) for name, tensor in undo.tensors.items())


@pytest.mark.parametrize("name", ["state.sampler", "optimisers.rate.0.momentum_buffer"])
def test_tensors_that_do_not_fit_change_nothing(name: str, toy) -> None:
    problem, streams = problem_for(toy), Streams(0)
    state, updates = begin(METHOD, problem, METHOD.start(problem, streams), streams)
    assert isinstance(state.method, trained_along.Along)
    updates.apply(Step(state.method.log_rate.square(), of="rate"), 0.0, 1)
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    wrong = {key: tensor + 1 for key, tensor in before.items()} | {name: torch.zeros(17)}
    with pytest.raises(DamagedFile):
        state.load(wrong)
    now = state.tensors()
    assert all(torch.equal(now[key], before[key]) for key in before)


def test_the_state_of_adam_with_amsgrad_is_restored_for_the_groups_that_have_it() -> None:
    def made() -> torch.optim.Adam:
        weights = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
        for weight in weights:
            weight.grad = torch.ones(3)
        return torch.optim.Adam([{"params": weights[:1], "amsgrad": True}, {"params": weights[1:]}], lr=0.1)

    first, other = made(), made()
    first.step()
    tensors = packed("adam", first)
    unpack("adam", other, tensors)
    restored = packed("adam", other)
    assert restored.keys() == tensors.keys()
    assert all(torch.equal(restored[name], tensors[name]) for name in tensors)
    del tensors["adam.0.max_exp_avg_sq"]
    with pytest.raises(DamagedFile, match="its optimiser, Adam, stores exp_avg, exp_avg_sq, step"):
        unpack("adam", other, tensors)


def test_a_pool_draws_counts_and_starts_its_networks_anew(toy) -> None:
    pool = NetworkPool(problem_for(toy), "ConvNetD1", 3, Streams(0))
    first = [parameter.clone() for parameter in pool[1].parameters()]
    assert not torch.equal(next(pool[0].parameters()), first[0])
    assert {pool.draw(Streams(0).at(number)("network")) for number in range(30)} == {0, 1, 2}
    pool.steps += 4
    pool.reset(1, Streams(0).at(1)("pool"))
    assert pool.steps.tolist() == [4, 0, 4]
    assert all(torch.equal(one, other) for one, other in zip(pool[1].parameters(), first, strict=True))
    assert pool[1].training
    assert not any(parameter.requires_grad for parameter in pool[1].parameters())


def test_a_run_from_before_a_setting_existed_resumes_with_its_default(toy, tmp_path) -> None:
    method = DistributionMatching(iterations=4, batch_real=8, arch="ConvNetD1", augment="none")
    whole = condense(method, toy(), 1)
    condense(method, toy(), 1, out=tmp_path, observers=[StopAfter(2)])
    record = json.loads((tmp_path / "run.json").read_text())
    del record["settings"]["schedule"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    falling = DistributionMatching(**{**method.settings(), "schedule": "cosine"})
    with pytest.raises(InputError, match="schedule was 'constant' and is 'cosine'"):
        condense(falling, toy(), 1, out=tmp_path, resume=True)
    assert torch.equal(condense(method, toy(), 1, out=tmp_path, resume=True).images, whole.images)


@pytest.mark.processes
def test_a_killed_run_resumes_with_its_state(tmp_path) -> None:
    command = [*COMMAND.split(), "--iterations", "40", "--checkpoint-every", "0s"]
    environment = {**os.environ, "PYTHONPATH": str(torchrun.SOURCE), "OMP_NUM_THREADS": "1"}

    def start(*more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "datacondense", *command, *more], env=environment)

    assert start("--out", str(tmp_path / "whole")).wait(timeout=120) == 0
    process = start("--out", str(tmp_path / "parts"))
    while not (tmp_path / "parts/checkpoint.previous.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert start("--out", str(tmp_path / "parts"), "--resume").wait(timeout=120) == 0
    assert torch.equal(load_set(tmp_path / "whole").images, load_set(tmp_path / "parts").images)
    assert same(tmp_path / "whole", tmp_path / "parts")


CHECKED = f"""
import sys
sys.path.insert(0, {str(PLUGIN.parent)!r})
from dataclasses import dataclass
import trained_along

@dataclass(frozen=True, kw_only=True)
class Checked(trained_along.TrainedAlong):
    '''Compare the state of all processes in each iteration.'''

    def iterate(self, run):
        yield from super().iterate(run)
        sums = [float(tensor.double().sum()) for tensor in run.state.state_dict().values()]
        assert run.problem.engine.processes.gathered(sums) == [sums] * 2
"""


@pytest.mark.processes
def test_two_processes_have_the_same_state(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("checked.py").write_text(CHECKED)
    torchrun.run(2, f"condense checked --plugin checked.py {QUICK} --iterations 6 --out two")
    torchrun.run(1, f"{COMMAND} --iterations 6 --out one")
    assert torch.allclose(load_set("one").images, load_set("two").images, atol=1e-3)
    assert torch.allclose(kept(Path("one"))["state.sampler"], kept(Path("two"))["state.sampler"], atol=1e-3)


ALTERNATING = """
from dataclasses import dataclass
import torch
from torch import nn
from datacondense import Step
from datacondense.methods import Matching

@dataclass(frozen=True, kw_only=True)
class Alternating(Matching):
    "Each iteration has a loss of one of two parameters."

    def state(self, problem, streams):
        return nn.ParameterList([nn.Parameter(torch.ones(3)) for _ in range(2)])

    def optimisers(self, synthetic, state):
        return {**super().optimisers(synthetic, state), "rows": torch.optim.Adam(state.parameters(), lr=0.1)}

    def iterate(self, run):
        yield run.synthetic().square().mean()
        yield Step(run.state[run.number % 2].square().sum(), of="rows")
"""


@pytest.mark.processes
def test_parameters_without_a_gradient_stay_in_two_processes_too(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("alternating.py").write_text(ALTERNATING)
    for count in (1, 2):
        torchrun.run(count, f"condense alternating --plugin alternating.py {QUICK} --iterations 3 --out of-{count}")
    assert same(Path("of-1"), Path("of-2"))
