"""Trajectories: what is kept of a training on real images, and how it is resumed and cached."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datacondense import InputError, Trajectory, TrajectoryRecipe, trajectories
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import Problem
from datacondense.training.trajectories import MOMENTS, Weights, blend
from datacondense.utils import cache, files
from datacondense.utils.errors import Diverged, Stopped
from datacondense.utils.streams import Streams

SHORT = TrajectoryRecipe(steps=12, batch=16)


def problem_for(toy, arch: str = "ConvNetD1", augmentation: str = "crop_scale", **options) -> Problem:
    real = toy()
    return Problem(real, 2, arch, augmentation, Engine(Compute().plan(arch, real.spec, 1)), **options)


def train(problem: Problem, recipe: TrajectoryRecipe = SHORT, seed: int = 0) -> Trajectory:
    (found,) = trajectories(problem, 1, Streams(seed), recipe)
    return found


def same_weights(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def same(one: Trajectory, other: Trajectory) -> bool:
    return one.steps == other.steps and all(map(same_weights, one.weights, other.weights))


def stopping(at: float) -> Callable[[float, str], None]:
    """A report that ends the work when so much of it is done."""

    def report(done: float, what: str) -> None:
        if done >= at:
            raise Stopped("stopped")

    return report


def forget() -> None:
    shutil.rmtree(cache.folder())


def test_moments_are_distinct_steps_from_the_first_to_the_last() -> None:
    assert TrajectoryRecipe(steps=500).kept_steps() == (3, 6, 16, 31, 62, 125, 188, 250, 375, 500)
    assert TrajectoryRecipe(steps=8).kept_steps() == (1, 2, 3, 4, 6, 8)
    assert TrajectoryRecipe(steps=1).kept_steps() == (1,)
    assert TrajectoryRecipe(steps=9, moments=(0.5,)).kept_steps() == (4, 9)
    assert len(MOMENTS) == 10


def test_weights_are_those_of_a_plain_training(toy) -> None:
    """SGD on the cross-entropy, with momentum, weight decay and a cosine, written plainly on the same batches."""
    problem = problem_for(toy, augmentation="none")
    found = train(problem)
    assert found.steps == (0, 1, 2, 3, 4, 6, 9, 12)
    streams = Streams(0).at("trajectory", 0)
    network = problem.fresh_network(streams("network")).requires_grad_(True)
    velocity = [torch.zeros_like(weight) for weight in network.parameters()]
    plain: dict[int, dict[str, Tensor]] = {}
    for step in range(12):
        plain[step] = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        index = torch.randint(len(problem.real), (16,), generator=streams.at(step)("train"))
        images, labels = problem.real.batch(index)
        gradients = torch.autograd.grad(F.cross_entropy(network(images), labels), list(network.parameters()))
        rate = 0.02 * (1 + math.cos(math.pi * step / 12)) / 2
        with torch.no_grad():
            for weight, gradient, v in zip(network.parameters(), gradients, velocity, strict=True):
                v.mul_(0.9).add_(gradient + 5e-4 * weight)
                weight -= rate * v
    plain[12] = dict(network.named_parameters())
    for step, weights in zip(found.steps, found.weights, strict=True):
        torch.testing.assert_close(weights, plain[step], rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_other_numbers_other_weights(toy) -> None:
    first = train(problem_for(toy))
    forget()
    assert same(first, train(problem_for(toy)))
    assert not same(first, train(problem_for(toy), seed=1))
    one, other = trajectories(problem_for(toy), 2, Streams(0), SHORT)
    assert same(one, first)
    assert not torch.equal(one.weights[0]["head.weight"], other.weights[0]["head.weight"])
    assert not same(first, train(problem_for(toy, augmentation="none")))


def test_the_cache_gives_equal_bits_and_its_seconds(toy) -> None:
    problem = problem_for(toy)
    trained = train(problem)
    assert trained.cached == 0 < trained.seconds == problem.training.spent
    again = problem_for(toy)
    cached = train(again)
    assert same(trained, cached)
    assert cached.cached == cached.seconds == trained.seconds == again.training.cached == again.training.spent
    assert not any(parameter.requires_grad for parameter in again.fresh_network(Streams(0)("network")).parameters())


@pytest.mark.parametrize("arch", ["ConvNetD1", "ConvNetBN"])
@pytest.mark.parametrize("at", [0.2, 0.5])
def test_an_interrupted_training_is_resumed_bit_for_bit(arch: str, at: float, toy) -> None:
    whole = train(problem_for(toy, arch))
    forget()
    with pytest.raises(Stopped):
        train(problem_for(toy, arch, report=stopping(at)))
    problem = problem_for(toy, arch)
    resumed = train(problem)
    assert same(whole, resumed)
    assert 0 < problem.training.cached < problem.training.spent


def test_running_statistics_are_kept_and_a_step_that_is_stopped_in_the_middle_is_undone(toy) -> None:
    whole = train(problem_for(toy, "ConvNetBN"))
    counts = [[int(t) for name, t in one.items() if name.endswith("num_batches_tracked")] for one in whole.weights]
    assert [set(each) for each in counts] == [{step} for step in whole.steps]
    forget()
    problem = problem_for(toy, "ConvNetBN")
    network = problem.fresh_network(Streams(0)("network"))
    forwards: list[int] = []

    def stop(*arguments: object) -> None:
        forwards.append(1)
        if len(forwards) == 6:
            raise Stopped("stopped after the statistics of a step have changed")

    with network.head.register_forward_pre_hook(stop), pytest.raises(Stopped):
        train(problem)
    assert same(whole, train(problem_for(toy, "ConvNetBN")))


def test_a_damaged_entry_of_the_cache_is_trained_again(toy) -> None:
    whole = train(problem_for(toy))
    (file,) = (cache.folder() / "trajectories").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    assert same(whole, train(problem_for(toy)))


def test_an_entry_that_cannot_be_read_or_is_deleted_meanwhile_only_costs_time(toy, monkeypatch) -> None:
    whole = train(problem_for(toy))
    (file,) = (cache.folder() / "trajectories").glob("*.safetensors")
    read = files.read_tensors

    def unreadable(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "read_tensors", unreadable)
    assert same(whole, train(problem_for(toy)))
    assert file.exists()

    def deleted(path: Path) -> object:
        path.unlink()
        return read(path)

    monkeypatch.setattr(files, "read_tensors", deleted)
    assert files.read_cached_tensors(file) is None
    monkeypatch.setattr(files, "read_tensors", read)
    file.write_bytes(b"damaged")
    assert files.read_cached_tensors(file) is None
    assert not file.exists()


def test_a_training_that_diverges_is_refused_and_not_kept(toy) -> None:
    problem = problem_for(toy, "MLP", "none")
    with pytest.raises(Diverged, match=r"not finite after \d+ steps on the real images: use --networks fresh"):
        train(problem, TrajectoryRecipe(steps=12, batch=16, lr=1e5))
    assert not list(cache.folder().rglob("*.safetensors"))


def test_a_rehearsal_measures_what_is_left_and_keeps_nothing(toy) -> None:
    problem = problem_for(toy, rehearsal=True)
    rehearsed = train(problem)
    assert problem.training.left > 0 == problem.training.spent
    assert not cache.folder().exists() or not list(cache.folder().rglob("*.safetensors"))
    trained = train(problem_for(toy))
    assert rehearsed.steps == trained.steps
    assert rehearsed.weights[0].keys() == trained.weights[0].keys()
    again = problem_for(toy, rehearsal=True)
    train(again)
    assert again.training.left == 0


def test_blends_lie_on_the_line_between_two_networks() -> None:
    first = {"w": torch.zeros(3), "n": torch.tensor(0)}
    last = {"w": torch.tensor([1.0, 2.0, 4.0]), "n": torch.tensor(8)}
    assert blend(first, last, 0.25)["w"].tolist() == [0.75, 1.5, 3.0]
    assert blend(first, last, 0.25)["n"] == 8
    assert same_weights(blend(first, last, 0.0), last)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (TrajectoryRecipe(steps=0), "--steps 0: must be at least 1"),
        (TrajectoryRecipe(lr=0.0), "--lr 0: must be above 0"),
        (TrajectoryRecipe(moments=(0.5, 1.5)), r"--moments \(0.5, 1.5\): must be above 0 and at most 1"),
    ],
)
def test_a_recipe_with_a_number_out_of_range_is_refused(recipe: TrajectoryRecipe, message: str, toy) -> None:
    with pytest.raises(InputError, match=message):
        train(problem_for(toy), recipe)
