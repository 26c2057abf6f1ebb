"""Stratified batches and those chosen under a network: unbiased, of less variance, and one image of each cluster."""

import pytest
import torch
from torch import Tensor

from datacondense import ImageSet, load
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import DSA, DistributionMatching, Problem
from datacondense.methods.real_batches import Strata, representatives_under, stratify
from datacondense.networks import build
from datacondense.utils.errors import InputError
from datacondense.utils.streams import Streams


def strata_of(real: ImageSet, batch: int) -> Strata:
    return stratify(real, batch, Streams(0)("strata"))


def test_a_batch_has_an_image_of_each_of_equal_parts_of_a_class(toy) -> None:
    real, batch = toy(sizes=(40, 16, 25)), 8
    strata = strata_of(real, batch)
    for row, members, count in zip(strata.members, real.members, real.counts, strict=True):
        assert sorted(row[:count].tolist()) == members[:count].tolist()
    index = strata.draw(batch, torch.Generator().manual_seed(1))
    assert index.shape == (3, batch)
    assert torch.equal(real.labels[index], torch.arange(3)[:, None].expand(3, batch))
    places = [strata.members[0].tolist().index(position) for position in index[0].tolist()]
    assert [place // 5 for place in places] == list(range(8))
    again, other = (strata.draw(batch, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert torch.equal(index, again)
    assert not torch.equal(index, other)


@pytest.mark.parametrize(("count", "batch"), [(25, 8), (3, 8), (8, 8), (1, 4)])
def test_every_image_is_drawn_equally_often(count: int, batch: int, toy) -> None:
    real, draws = toy(sizes=(count, 30)), 2000
    strata, generator = strata_of(real, batch), torch.Generator().manual_seed(2)
    drawn = torch.cat([strata.draw(batch, generator)[0] for _ in range(draws)])
    shares = drawn.bincount(minlength=count) / len(drawn)
    assert float((shares * count - 1).abs().max()) < 5 * (count / len(drawn)) ** 0.5


def embeddings(real: ImageSet) -> Tensor:
    network = build("ConvNetD1", real.spec)
    network.reset(Streams(1)("network"))
    with torch.no_grad():
        return network.embed(real.batch(torch.arange(len(real)))[0])


def test_the_mean_embedding_varies_less_than_that_of_uniform_batches_and_is_unbiased() -> None:
    (real, _), batch, draws = load("digits"), 16, 100
    psi, strata = embeddings(real), strata_of(real, batch)
    generator = torch.Generator().manual_seed(2)
    stratified = torch.stack([psi[strata.draw(batch, generator)[:4]].mean(1) for _ in range(draws)], 1)
    uniform = torch.stack([psi[real.draw(batch, generator)[:4]].mean(1) for _ in range(draws)], 1)
    for k, (ours, theirs) in enumerate(zip(stratified, uniform, strict=True)):
        variance = ours.var(0).sum()
        assert variance < 0.7 * theirs.var(0).sum()
        # the standard deviation of the mean over all draws; one batch has `draws` ** 0.5 times as much
        assert (ours.mean(0) - psi[real.labels == k].mean(0)).norm() < 2 * (variance / draws).sqrt()


def test_images_chosen_under_a_network_are_those_nearest_to_centres_of_embeddings(toy) -> None:
    real, batch = toy(sizes=(40, 5)), 6
    method = DSA(arch="ConvNetD1")
    problem = Problem(real, 1, method.arch, "none", Engine(Compute(compile="off").plan(method.arch, real.spec, 1)))
    network = problem.fresh_network(Streams(0)("network"))
    index = representatives_under(network, problem, batch, Streams(0)("real"))
    assert index.shape == (2, batch)
    assert torch.equal(real.labels[index], torch.arange(2)[:, None].expand(2, batch))
    assert len(set(index[0].tolist())) == batch
    assert set(index[1].tolist()) == set(range(40, 45))  # all of a small class
    psi = network.embed(real.batch(torch.arange(40))[0])

    def spread(chosen: Tensor) -> float:
        """Return the mean squared distance of the images of the class to the nearest chosen one."""
        return torch.cdist(psi, psi[chosen]).square().amin(1).mean().item()

    generator = torch.Generator().manual_seed(4)
    random = [spread(torch.randperm(40, generator=generator)[:batch]) for _ in range(20)]
    assert spread(index[0]) < sum(random) / 20


def test_distribution_matching_has_no_trained_networks_to_choose_under() -> None:
    DSA(batches="dream").check()
    with pytest.raises(InputError, match="--batches dream needs networks that are trained"):
        DistributionMatching(batches="dream").check()
