"""Methods that choose real images, against plain loops over their definitions."""

import signal
import time

import pytest
import torch

from datacondense import InputError, Observer, RunProgress, Stopped, condense, estimate
from datacondense.augment import parse
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import Forgetting, Herding, KCenter, Problem
from datacondense.methods.herding import herd
from datacondense.methods.k_center import farthest_points
from datacondense.methods.pretrained_selection import class_embeddings
from datacondense.training import cached, pretrained
from datacondense.training.loop import Training
from datacondense.training.pretrained import ForgettingEvents, Pretraining
from datacondense.training.recipe import Recipe
from datacondense.utils import cache
from datacondense.utils.streams import Streams


def points(n: int = 40, width: int = 7) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(3))


def test_herding_is_the_greedy_choice_of_the_running_mean() -> None:
    found, mean, chosen = points(), points().mean(0), []
    for _ in range(12):
        left = [i for i in range(len(found)) if i not in chosen]
        chosen.append(min(left, key=lambda i: float((mean - found[[*chosen, i]].mean(0)).norm())))
    assert herd(found, 12).tolist() == chosen


def test_herding_of_all_points_takes_each_once() -> None:
    assert sorted(herd(points(9), 9).tolist()) == list(range(9))


def test_k_center_goes_to_the_farthest_from_all_chosen() -> None:
    found = points()
    chosen = [min(range(40), key=lambda i: float((found[i] - found.mean(0)).norm()))]
    while len(chosen) < 12:
        far = [min(float((one - found[i]).norm()) for i in chosen) for one in found]
        chosen.append(max(range(40), key=lambda i: far[i]))
    assert farthest_points(found, 12).tolist() == chosen


def test_k_center_of_points_that_are_alike_takes_each_once() -> None:
    assert sorted(farthest_points(torch.ones(5, 3), 5).tolist()) == list(range(5))


def test_forgetting_counts_how_often_right_becomes_wrong() -> None:
    seen = torch.tensor([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]], dtype=torch.bool)
    events = ForgettingEvents(4)
    for epoch in seen.T:
        order = torch.tensor([2, 0, 3, 1])
        events.count(order[:3], epoch[order[:3]])
        events.count(order[3:], epoch[order[3:]])
    assert events.events.tolist() == [2, 0, 0, 1]
    assert events.ever.tolist() == [True, False, True, True]


def learn(real, epochs: int = 4, tell=lambda done, what: None, arch: str = "ConvNetD1"):
    engine = Engine(Compute().plan(arch, real.spec, 1))
    learning = Pretraining(
        real=real,
        arch=arch,
        recipe=Recipe(epochs=epochs),
        augment=parse("none", real.spec),
        streams=Streams(0),
        engine=engine,
    )
    return learning.finish(tell)


def test_the_events_are_those_of_the_epochs_and_what_was_never_learned_comes_first(toy) -> None:
    real = toy(sizes=(30, 30))
    wrong = type(real)(real.images, real.labels.clone(), real.spec)
    wrong.labels[0] = 1  # an image of the other class: hardly to be learned
    found = learn(wrong)
    assert found.forgotten.shape == (60,)
    assert int(found.forgotten[0]) == int(found.forgotten.max())
    assert (found.forgotten <= 4).all()


def test_a_network_is_trained_once(toy, monkeypatch) -> None:
    told: list[float] = []
    first = learn(toy(), tell=lambda done, what: told.append(done))
    assert told[-1] == 1
    assert told == sorted(told)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "epoch", None)  # not called any more
        second = learn(toy())
    assert torch.equal(first.forgotten, second.forgotten)
    assert all(map(torch.equal, first.network.state_dict().values(), second.network.state_dict().values()))
    assert len(list((cache.folder() / "networks").iterdir())) == 1
    learn(toy(), epochs=3)
    assert len(list((cache.folder() / "networks").iterdir())) == 2


def test_an_interrupted_training_goes_on_from_the_cache(toy, monkeypatch) -> None:
    monkeypatch.setattr(cached, "SAVE_EVERY", 0.0)
    whole = learn(toy(), epochs=5)
    next((cache.folder() / "networks").iterdir()).unlink()
    parts: list[float] = []

    def interrupt(done: float, what: str) -> None:
        parts.append(done)
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(toy(), epochs=5, tell=interrupt)
    begun = len(parts)
    resumed = learn(toy(), epochs=5, tell=lambda done, what: parts.append(done))
    assert parts[begun] > 0.4  # not from the beginning
    assert torch.equal(whole.forgotten, resumed.forgotten)
    assert all(map(torch.equal, whole.network.state_dict().values(), resumed.network.state_dict().values()))


def test_what_is_damaged_in_the_cache_is_trained_anew(toy) -> None:
    first = learn(toy())
    path = next((cache.folder() / "networks").iterdir())
    path.write_bytes(path.read_bytes()[:-9])
    assert torch.equal(first.forgotten, learn(toy()).forgotten)


@pytest.mark.parametrize("method", [Herding, KCenter, Forgetting])
def test_real_images_of_each_class_are_chosen_once(method, toy) -> None:
    real = toy(sizes=(9, 30))
    made = condense(method(epochs=2, arch="ConvNetD1"), real, ipc=8)
    for image, label in zip(made.images, made.labels, strict=True):
        same = (real.spec.normalise(real.images) == image).flatten(1).all(1)
        assert real.labels[same].tolist() == [label]
    assert len(torch.unique(made.images, dim=0)) == 16


def test_embeddings_are_those_of_the_network_class_by_class(toy) -> None:
    real = toy(sizes=(7, 12))
    found = learn(real)
    problem = Problem(real, 1, "ConvNetD1", "none", Engine(Compute().plan("ConvNetD1", real.spec, 1)))
    expected = found.network.embed(real.spec.normalise(real.images[real.labels == 1]))
    assert torch.allclose(class_embeddings(problem, found, 1), expected, atol=1e-5)


class Told(Observer):
    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}

    def progress(self, progress: RunProgress) -> None: ...

    def message(self, text: str) -> None: ...

    def preparing(self, done: float, what: str) -> None:
        self.parts.setdefault(what, []).append(done)


def test_long_work_before_the_choice_is_told(toy) -> None:
    told = Told()
    condense(Herding(epochs=2, arch="ConvNetD1"), toy(), ipc=1, observers=[told])
    assert [parts[-1] for parts in told.parts.values()] == [1, 1]
    assert "ConvNetD1 learns the 120 real images" in told.parts


def test_an_estimate_trains_for_seconds_only_and_tells_of_the_cache(toy, monkeypatch) -> None:
    monkeypatch.setattr(pretrained, "_TIMED_SECONDS", 0.05)
    real, method = toy(), Herding(epochs=4000, arch="ConvNetD1")
    began = time.perf_counter()
    foretold = estimate(method, real, 2)
    assert foretold.start_seconds > 2 * (time.perf_counter() - began)
    assert not (cache.folder() / "networks").exists()
    short = Herding(epochs=2, arch="ConvNetD1")
    condense(short, real, 2)
    assert estimate(short, real, 2).start_seconds < 5


def test_epochs_below_one_are_refused(toy) -> None:
    with pytest.raises(InputError, match="--epochs 0: must be at least 1"):
        condense(Herding(epochs=0), toy(), ipc=1)


def test_ctrl_c_while_the_network_learns_leaves_no_run(toy, tmp_path) -> None:
    class Stop(Told):
        def preparing(self, done: float, what: str) -> None:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
    try:
        with pytest.raises(Stopped, match=r"stopped by SIGINT before the first iteration \(ConvNetD1 learns"):
            condense(Herding(epochs=2, arch="ConvNetD1"), toy(), ipc=1, out=tmp_path / "run", observers=[Stop()])
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "run").exists()


def test_a_cache_that_cannot_be_written_costs_its_time_only(toy, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = Herding(arch="MLP", epochs=1)
    kept = condense(method, toy(), 2)
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATACONDENSE_CACHE", str(tmp_path / "file" / "below"))
    with pytest.warns(UserWarning, match="not written to the cache, so the next run trains again"):
        assert torch.equal(condense(method, toy(), 2).images, kept.images)
