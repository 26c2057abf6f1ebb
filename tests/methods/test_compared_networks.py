"""The networks under which methods compare: fresh, of real training, blended, and in a queue."""

import itertools
from dataclasses import replace

import pytest
import torch
from toy_methods import TOY

from datacondense import ImageSet, InputError, condense
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import ComparedNetworks, DistributionMatching, Iteration, Method, Problem
from datacondense.methods.network_queue import NetworkQueue, first_queue
from datacondense.methods.trained_networks import Compared
from datacondense.networks import Network
from datacondense.training.trajectories import Trajectory, Weights, weights_of
from datacondense.utils.streams import Streams


def like(name: str = "dm", **changes) -> Method:
    return replace(TOY[name], **{"training_steps": 8, **changes})


def dm(**changes) -> DistributionMatching:
    method = like(**changes)
    assert isinstance(method, DistributionMatching)
    return method


class Run:
    """The networks of the iterations of a run, without its updates."""

    def __init__(self, method: ComparedNetworks, toy, ipc: int = 2) -> None:
        real = toy()
        self.method = method
        self.problem = Problem(
            real, ipc, method.arch, method.augment, Engine(Compute().plan(method.arch, real.spec, 1))
        )
        self.synthetic = method.start(self.problem, Streams(0))
        self.state = method.state(self.problem, Streams(0))

    def compared(self, number: int) -> Compared:
        streams = Streams(0).at(number)
        return self.method.compared(Iteration(self.synthetic, self.state, self.problem, streams, number))

    def moments(self) -> list[Weights]:
        found: list[Trajectory] = self.problem.found["trajectories"]
        return [weights for one in found for weights in one.weights]


def place(network: Network, among: list[Weights]) -> int:
    """The one of `among` that a network has."""
    own = network.state_dict()
    (found,) = [n for n, one in enumerate(among) if all(torch.equal(one[name], own[name]) for name in own)]
    return found


def test_by_default_each_iteration_draws_the_fresh_network(toy) -> None:
    run = Run(dm(), toy)
    assert run.state is None
    for number in range(3):
        found = run.compared(number)
        assert found.classifying is None
        weights = weights_of(found.matching)
        fresh = run.problem.fresh_network(Streams(0).at(number)("network"))
        assert fresh is found.matching
        assert place(fresh, [weights]) == 0
        assert fresh.training


@pytest.mark.parametrize("name", ["dm", "dc"])
def test_a_share_of_one_is_as_fresh_networks_in_every_bit(name: str, toy) -> None:
    fresh, drawn, trained = (
        condense(like(name, iterations=2, **how), toy(), 1)
        for how in ({}, {"networks": "trained", "fresh_share": 1.0}, {"networks": "trained"})
    )
    assert torch.equal(fresh.images, drawn.images)
    assert not torch.equal(fresh.images, trained.images)


def test_networks_are_drawn_from_all_moments_of_all_trainings_but_the_fresh_ones(toy) -> None:
    run = Run(dm(networks="trained", trainings=2), toy)
    moments = run.moments()
    assert len(moments) == 2 * 7
    places = []
    for number in range(80):
        found = run.compared(number)
        assert found.classifying is found.matching
        assert found.matching.training
        assert not any(one.requires_grad for one in found.matching.parameters())
        places.append(place(found.matching, moments))
    assert set(places) == {*range(1, 7), *range(8, 14)}


def test_the_classifying_network_is_at_most_so_many_moments_ahead(toy) -> None:
    run = Run(dm(networks="trained", ahead=2), toy)
    pairs = []
    for number in range(80):
        found = run.compared(number)
        assert found.classifying is not None
        pairs.append((place(found.matching, run.moments()), place(found.classifying, run.moments())))
    assert {later - moment for moment, later in pairs if moment < 5} == {0, 1, 2}
    assert {later for moment, later in pairs if moment == 6} == {6}


def test_some_iterations_take_a_fresh_network(toy) -> None:
    run = Run(dm(networks="trained", fresh_share=0.5), toy)
    fresh = sum(run.compared(number).classifying is None for number in range(60))
    assert 15 < fresh < 45


def test_blended_networks_lie_between_the_ends_of_a_training(toy) -> None:
    assert Run(dm(networks="blended"), toy).compared(0).classifying is None  # nothing classifies: no second network
    run = Run(dm(networks="blended", classify=1.0), toy)
    first, *_, last = run.moments()
    shares = []
    for number in range(20):
        found = run.compared(number)
        assert found.classifying is not None
        assert found.classifying is not found.matching
        assert place(found.classifying, [first, last]) == 1
        own = found.matching.state_dict()
        joined = [torch.cat([one[name].flatten() for name in own]) for one in (own, first, last)]
        along = joined[1] - joined[2]
        share = float((joined[0] - joined[2]) @ along / along.square().sum())
        torch.testing.assert_close(joined[0], joined[2] + share * along, rtol=0, atol=1e-5)
        shares.append(share)
    assert min(shares) >= 0
    assert max(shares) <= 1
    assert max(shares) - min(shares) > 0.5


def test_a_network_is_kept_for_some_iterations(toy) -> None:
    for how in ("fresh", "trained"):
        run = Run(dm(networks=how, keep=3), toy)
        weights = [weights_of(run.compared(number).matching) for number in range(9)]
        for one, other in itertools.combinations(range(9), 2):
            equal = all(torch.equal(weights[one][name], weights[other][name]) for name in weights[one])
            assert equal or one // 3 != other // 3
        assert any(not torch.equal(weights[0]["head.weight"], weights[n]["head.weight"]) for n in (3, 6))


def test_networks_with_batch_norm_are_compared_too(toy) -> None:
    for how, steps in (("trained", "training_steps"), ("blended", "training_steps"), ("queue", "queue_steps")):
        method = dm(networks=how, arch="ConvNetBN", iterations=2, **{steps: 2})
        assert torch.isfinite(condense(method, toy(), 2).images).all()


def test_a_queue_grows_and_loses_its_oldest_network(toy) -> None:
    problem = Run(dm(), toy).problem
    queue = first_queue(problem, 4, Streams(0))
    assert len(queue) == 3
    pushed = []
    for number in range(5):
        network = problem.fresh_network(Streams(0).at(number)("pushed"))
        queue.push(network)
        pushed.append(weights_of(network))
        assert len(queue) == 4
    kept = [place(problem.network_with(queue[at]), pushed) for at in range(4)]
    assert sorted(kept) == [1, 2, 3, 4]
    assert len(first_queue(problem, 2, Streams(0))) == 2


def test_each_iteration_trains_two_networks_of_the_queue(toy) -> None:
    problem = Run(dm(), toy).problem
    queue = first_queue(problem, 5, Streams(0))
    before = [{name: tensor.clone() for name, tensor in queue[at].items()} for at in range(3)]
    queue.train_some(problem, 4, Streams(0))
    assert sorted(queue.steps[:3].tolist()) == [0, 4, 4]
    for at in range(3):
        equal = all(torch.equal(before[at][name], tensor) for name, tensor in queue[at].items())
        assert equal == (queue.steps[at] == 0)
    queue.push(problem.fresh_network(Streams(0)("pushed")))
    assert queue.steps[3] == 0


def test_an_iteration_under_a_queue(toy) -> None:
    """3 networks, a fresh one after every 2 iterations, two trained after each; the untrained ones do not classify."""
    run = Run(dm(networks="queue", iterations=7, queue_every=2, queue_steps=1), toy)
    queue = run.state
    assert isinstance(queue, NetworkQueue)
    assert queue.steps.shape == (6,)
    for number in range(7):
        found = run.compared(number)
        assert len(queue) == 3 + number // 2
        assert int(queue.steps.sum()) == 2 * number
        at = place(found.matching, [queue[at] for at in range(len(queue))])
        assert (found.classifying is found.matching) == bool(queue.steps[at])


def test_the_published_pace_of_a_queue_follows_the_images_per_class(toy) -> None:
    for ipc, size in ((1, 3 + 12), (2, 3 + 2)):
        state = Run(dm(networks="queue", iterations=61), toy, ipc).state
        assert isinstance(state, NetworkQueue)
        assert len(state.steps) == size
    state = Run(dm(networks="queue", iterations=5000), toy, 1).state
    assert isinstance(state, NetworkQueue)
    assert len(state.steps) == 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": "old"}, "--networks old: use one of fresh, trained, blended, queue"),
        ({"networks": "queue", "keep": 2}, "--keep 2: a queue changes in every iteration, so use other --networks"),
        ({"training_steps": 0}, "--training-steps 0: must be at least 1"),
        ({"trainings": 0}, "--trainings 0: must be at least 1"),
        ({"fresh_share": 1.5}, "--fresh-share 1.5: must be at least 0 and at most 1"),
        ({"ahead": -1}, "--ahead -1: must be at least 0"),
        ({"ahead": 1}, "--ahead 1 needs --networks trained: it has no effect without it, so leave it out"),
        ({"ahead": 2, "networks": "blended", "classify": 1.0}, "--ahead 2 needs --networks trained: it has no effect"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(change: dict, message: str, toy) -> None:
    with pytest.raises(InputError, match=message):
        condense(like(**change), toy(), 2)


def test_gradient_matching_has_no_queue(toy) -> None:
    with pytest.raises(InputError, match="--networks queue: use one of fresh, trained, blended"):
        condense(like("dc", networks="queue"), toy(), 2)


def test_one_class_alone_trains_no_network(toy) -> None:
    real = toy()
    alone = real.labels == 0
    one = ImageSet(real.images[alone], real.labels[alone], replace(real.spec, class_names=real.spec.class_names[:1]))
    condense(dm(), one, 2)
    for method in (dm(networks="trained"), dm(networks="queue"), dm(regress=1.0)):
        with pytest.raises(InputError, match="dm needs at least two classes, but there is only one"):
            condense(method, one, 2)
