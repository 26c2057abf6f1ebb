"""Each augmentation against its literal definition in benchmarks/naive.py, and the Siamese rules."""

import math
from dataclasses import replace

import naive
import pytest
import torch
from torch import Tensor

from datacondense import InputError
from datacondense.augment import STRATEGIES, Siamese, parse
from datacondense.streams import Streams

SHAPES = [(1, 28, 28), (3, 9, 12)]


def literal(name: str, x: Tensor, u: list[float]) -> Tensor:
    """The augmentation of images (n, C, H, W) by plain loops, with what its uniform numbers mean written out."""
    h, w = x.shape[2:]
    if name == "color":
        return naive.augment_color(x, *u)
    if name == "crop":
        most = int(0.125 * h + 0.5), int(0.125 * w + 0.5)
        return naive.augment_crop(x, int(u[0] * (2 * most[0] + 1)) - most[0], int(u[1] * (2 * most[1] + 1)) - most[1])
    if name == "cutout":
        odd = int(0.5 * h + 0.5) % 2, int(0.5 * w + 0.5) % 2
        return naive.augment_cutout(x, int(u[0] * (h + 1 - odd[0])), int(u[1] * (w + 1 - odd[1])))
    if name == "flip":
        return x.flip(3) if u[0] < 0.5 else x
    if name == "scale":
        sx, sy = (v * (1.2 - 1 / 1.2) + 1 / 1.2 for v in u[:2])
        return naive.augment_affine(x, [[sx, 0], [0, sy]])
    angle = math.radians((u[0] - 0.5) * 30)
    return naive.augment_affine(x, [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_is_its_definition(name: str, shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 2, *shape, generator=generator, dtype=torch.float64, requires_grad=True)
    view = Siamese((name,)).draw(generator, 5)
    u = view.u.double()
    expected = torch.stack([literal(name, group, u[g].tolist()) for g, group in enumerate(images)])
    actual = STRATEGIES[name](images, u)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
    weight = torch.randn(images.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((out * weight).sum(), images)[0] for out in (actual, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)


def test_one_draw_serves_all_images_of_a_group_and_any_number_of_them() -> None:
    siamese = Siamese(tuple(STRATEGIES))
    view = siamese.draw(Streams(0)("augment"), 12)
    image = torch.randn(12, 1, 1, 28, 28)
    alone, repeated = view(image), view(image.expand(12, 5, 1, 28, 28))
    for copy in repeated.unbind(1):
        torch.testing.assert_close(copy, alone[:, 0])


def test_groups_differ_and_keep_their_place() -> None:
    siamese = Siamese(tuple(STRATEGIES))
    view = siamese.draw(Streams(0)("augment"), 30)
    assert len(set(view.choice.tolist())) == 6
    images = torch.randn(30, 1, 3, 8, 8)
    together = view(images)
    for group in range(30):
        alone = STRATEGIES[view.names[int(view.choice[group])]](images[group : group + 1], view.u[group : group + 1])
        torch.testing.assert_close(together[group : group + 1], alone)


def test_training_draws_one_strategy_for_a_batch_and_parameters_for_each_image() -> None:
    view = Siamese(tuple(STRATEGIES)).draw(Streams(1)("augment"), 64, one_strategy=True)
    assert len(set(view.choice.tolist())) == 1
    assert len(set(view.u[:, 0].tolist())) == 64


def test_no_strategy_changes_nothing() -> None:
    images = torch.randn(2, 3, 1, 8, 8)
    assert Siamese(()).draw(Streams(0)("augment"), 2)(images) is images


def test_gradient_reaches_the_images_through_every_strategy() -> None:
    for name in STRATEGIES:
        images = torch.randn(4, 2, 1, 28, 28, requires_grad=True)
        Siamese((name,)).draw(Streams(0)("augment"), 4)(images).square().sum().backward()
        assert images.grad is not None
        assert (images.grad.flatten(2).abs().sum(2) > 0).all()


def test_training_images_are_groups_of_their_own() -> None:
    siamese, images = Siamese(tuple(STRATEGIES)), torch.randn(20, 3, 8, 8)
    for seed in range(6):
        view = siamese.draw(Streams(seed)("augment"), 20, one_strategy=True)
        expected = view(images[:, None])[:, 0]
        assert torch.equal(siamese.per_image(Streams(seed)("augment"), 20)(images), expected)


def test_auto_leaves_flip_to_datasets_that_may_be_mirrored(toy) -> None:
    spec = toy().spec
    assert str(parse("auto", spec)) == "color_crop_cutout_scale_rotate"
    assert parse("dsa", spec) == parse("auto", spec)
    assert str(parse("auto", replace(spec, flip=True))) == "color_crop_cutout_flip_scale_rotate"
    assert str(parse("none", spec)) == "none"
    assert str(parse("crop_flip", spec)) == "crop_flip"


def test_an_unknown_strategy_is_refused_with_the_nearest(toy) -> None:
    with pytest.raises(InputError, match="unknown augmentation 'colour': did you mean 'color'"):
        parse("colour_crop", toy().spec)
