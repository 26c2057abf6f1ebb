"""mixup and CutMix."""

import pytest
import torch
from torch.nn import functional as F

from datacondense.augment.mix import Mix, MixKind, MixView

KINDS: tuple[MixKind, ...] = ("mixup", "cutmix")
LABELS = torch.arange(6) % 3


def images() -> torch.Tensor:
    return torch.randn(6, 2, 8, 10, generator=torch.Generator().manual_seed(0))


def draw(kind: MixKind, seed: int = 0, probability: float = 1.0, beta: float = 1.0) -> MixView:
    return Mix(kind, probability, beta).draw(torch.Generator().manual_seed(seed), 6)


def test_mixup_is_the_weighted_mean_of_two_images_and_of_their_labels() -> None:
    view = draw("mixup")
    assert 0 < view.kept < 1
    mixed, labels = view(images(), LABELS, 3)
    for i, j in enumerate(view.partners):
        torch.testing.assert_close(mixed[i], view.kept * images()[i] + (1 - view.kept) * images()[j])
        expected = torch.zeros(3)
        expected[LABELS[i]] += view.kept
        expected[LABELS[j]] += 1 - view.kept
        torch.testing.assert_close(labels[i], expected)


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_replaces_a_rectangle_and_labels_count_its_pixels(seed: int) -> None:
    view = draw("cutmix", seed)
    mixed, labels = view(images(), LABELS, 3)
    other = images()[view.partners]
    moved = torch.tensor([bool(i != j) for i, j in enumerate(view.partners)])
    replaced = (mixed == other).all(1) & moved[:, None, None]  # (6, 8, 10)
    assert torch.equal(torch.where(replaced[:, None], other, images())[moved], mixed[moved])
    place = replaced[moved][0]
    assert bool((replaced[moved] == place).all())  # one rectangle for all
    rows, columns = place.any(1), place.any(0)
    assert torch.equal(place, rows[:, None] & columns)
    share = float(place.sum()) / 80
    assert share <= 1 - view.kept + 1e-6
    expected = (1 - share) * F.one_hot(LABELS, 3) + share * F.one_hot(LABELS[view.partners], 3)
    torch.testing.assert_close(labels, expected.float())


def test_a_rectangle_in_the_middle_has_the_drawn_area() -> None:
    view = MixView("cutmix", torch.tensor([1, 0]), 0.75, (0.5, 0.5))
    mixed, labels = view(torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]), torch.tensor([0, 1]), 2)
    assert int(mixed[0].sum()) == 16
    torch.testing.assert_close(labels, torch.tensor([[0.75, 0.25], [0.25, 0.75]]))


@pytest.mark.parametrize("kind", KINDS)
def test_soft_labels_are_mixed_as_they_are(kind: MixKind) -> None:
    soft = torch.rand(6, 3, generator=torch.Generator().manual_seed(1)).softmax(1)
    view = draw(kind)
    hard, mixed = view(images(), LABELS, 3)[1], view(images(), soft, 3)[1]
    kept = float((hard * F.one_hot(LABELS, 3)).sum(1).min())  # of an image whose partner is of another class
    torch.testing.assert_close(mixed, kept * soft + (1 - kept) * soft[view.partners])


@pytest.mark.parametrize("kind", KINDS)
def test_the_probability_is_the_share_of_mixed_batches(kind: MixKind) -> None:
    mixed, labels = draw(kind, probability=0.0)(images(), LABELS, 3)
    assert torch.equal(mixed, images())
    assert torch.equal(labels, F.one_hot(LABELS, 3).float())
    count = sum(draw(kind, seed, probability=0.5).kept < 1 for seed in range(400))
    assert 150 < count < 250


def test_the_share_is_beta_distributed() -> None:
    for beta in (0.2, 1.0, 4.0):
        kept = torch.tensor([draw("mixup", seed, beta=beta).kept for seed in range(2000)])
        assert float(kept.mean()) == pytest.approx(0.5, abs=0.03)
        assert float(kept.var()) == pytest.approx(1 / (4 * (2 * beta + 1)), rel=0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_a_draw_is_that_of_its_generator(kind: MixKind) -> None:
    one, again, other = draw(kind), draw(kind), draw(kind, seed=1)
    assert torch.equal(one.partners, again.partners)
    assert (one.kept, one.centre) == (again.kept, again.centre) != (other.kept, other.centre)
    assert not Mix("none", 1.0, 1.0)
