"""Each augmentation against its literal definition in benchmarks/naive.py, the Siamese rules, and names."""

import math
from collections import Counter
from dataclasses import replace

import naive
import pytest
import torch
from torch import Tensor

from datacondense import InputError
from datacondense.augment import STRATEGIES, Augmentation, DCAugmentation, Siamese, dc, parse, parse_training
from datacondense.augment.dc import DCView
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.networks import build
from datacondense.training.loop import train
from datacondense.training.recipe import Recipe
from datacondense.utils.streams import Streams

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
        return naive.augment_flip(x) if u[0] < 0.5 else x
    if name == "scale":
        sx, sy = (v * (1.2 - 1 / 1.2) + 1 / 1.2 for v in u[:2])
        return naive.augment_affine(x, [[sx, 0], [0, sy]])
    angle = math.radians((u[0] - 0.5) * 30)
    cos, sin = math.cos(angle), math.sin(angle)  # published for square images, in a grid of [-1, 1] on either axis
    return naive.augment_affine(x, [[cos, -sin * h / w], [sin * w / h, cos]])


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


def literal_classic(view: DCView, images: Tensor) -> Tensor:
    """DC's augmentation of images (N, C, H, W) by plain loops, with what its numbers mean written out."""
    mean = naive.batch_mean(images)
    noisy = [n for n in range(len(images)) if view.names[int(view.choice[n])] == "noise"]
    normal = view.normal(torch.Size((len(noisy), *images.shape[1:]))).double()
    out = []
    for n, image in enumerate(images):
        name, u = view.names[int(view.choice[n])], view.u[n].tolist()
        if name == "crop":
            out.append(naive.classic_crop(image, mean, int(u[0] * 9), int(u[1] * 9)))
        elif name == "scale":
            out.append(naive.classic_scale(image, 0.8 + 0.4 * u[0], 0.8 + 0.4 * u[1]))
        elif name == "rotate":
            out.append(naive.classic_rotate(image, mean, int(u[0] * 90) - 45))
        else:
            out.append(naive.classic_noise(image, normal[noisy.index(n)]))
    return torch.stack(out)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("names", [*((name,) for name in dc.STRATEGIES), tuple(dc.STRATEGIES)], ids="_".join)
def test_dcs_augmentation_is_its_definition(names: tuple[str, ...], shape: tuple[int, int, int]) -> None:
    count = 24
    images = torch.randn(count, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    view = DCAugmentation(names).per_image(Streams(0)("augment"), count)
    assert set(view.choice.tolist()) == set(range(len(names)))
    torch.testing.assert_close(view(images), literal_classic(view, images), rtol=1e-9, atol=1e-9)


def test_dcs_extremes_are_their_definition() -> None:
    images = torch.randn(9, 3, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)
    for name in ("crop", "scale", "rotate"):
        view = DCView((name,), torch.zeros(9, dtype=torch.long), torch.cartesian_prod(values, values), 0)
        torch.testing.assert_close(view(images), literal_classic(view, images), rtol=1e-9, atol=1e-9)


def test_dcs_rotation_is_counter_clockwise_and_in_pixels() -> None:
    image = torch.zeros(1, 1, 9, 13, dtype=torch.float64)
    image[0, 0, 4, 9] = 1.0  # 3 right of the centre
    for u, place in ((0.0, (6, 8)), (0.5, (4, 9)), (1 - 1e-9, (2, 8))):  # -45, 0 and 44 degrees
        turned = dc.rotate(image, torch.tensor([[u, 0.0]], dtype=torch.float64), torch.zeros(1, 1, 1))
        assert divmod(int(turned.argmax()), 13) == place


def test_dsas_rotation_turns_images_that_are_not_square() -> None:
    """By 15 degrees: a point 30 to the right of the centre moves 8 pixels up or down, and its distance stays."""
    image = torch.zeros(1, 1, 1, 31, 91, dtype=torch.float64)
    image[0, 0, 0, 15, 75] = 1.0
    turned = STRATEGIES["rotate"](image, torch.tensor([[0.0, 0.0, 0.0]], dtype=torch.float64))
    row, column = divmod(int(turned.argmax()), 91)
    assert (abs(row - 15), column - 45) == (round(30 * math.sin(math.pi / 12)), round(30 * math.cos(math.pi / 12)))


def test_dcs_draws_are_the_generators_alone() -> None:
    images = torch.randn(40, 3, 9, 12)
    augment = DCAugmentation(tuple(dc.STRATEGIES))
    before = torch.get_rng_state()
    view = augment.per_image(Streams(0)("augment"), 40)
    first, again = view(images), view(images)
    assert torch.equal(first, again)
    assert torch.equal(first, augment.per_image(Streams(0)("augment"), 40)(images))
    assert not torch.equal(first, augment.per_image(Streams(1)("augment"), 40)(images))
    assert torch.equal(before, torch.get_rng_state())
    assert first.dtype == torch.float32
    torch.testing.assert_close(first.double(), view(images.double()), rtol=1e-5, atol=1e-5)  # the same numbers


def test_dcs_strategies_and_parameters_are_uniform_over_images() -> None:
    view = DCAugmentation(("crop", "scale", "rotate")).per_image(Streams(0)("augment"), 9000)
    assert all(abs(count - 3000) < 200 for count in Counter(view.choice.tolist()).values())
    shifts = Counter((view.u * 9).long().flatten().tolist())
    assert set(shifts) == set(range(9))
    assert all(abs(count - 2000) < 200 for count in shifts.values())
    noise = DCAugmentation(("noise",)).per_image(Streams(0)("augment"), 100)(torch.zeros(100, 1, 10, 10))
    assert float(noise.std()) == pytest.approx(0.001, rel=0.05)


def test_an_image_keeps_its_place_whatever_the_others_get() -> None:
    images = torch.arange(30.0)[:, None, None, None].expand(30, 3, 12, 12) + 1
    names = tuple(dc.STRATEGIES)
    view = DCAugmentation(names).per_image(Streams(0)("augment"), 30)
    assert len(set(view.choice.tolist())) == 4
    centres = view(images)[:, :, 4:8, 4:8]  # what comes in from outside stays at the border
    torch.testing.assert_close(centres, images[:, :, 4:8, 4:8], rtol=0, atol=0.01)


def test_training_takes_dcs_augmentation(toy) -> None:
    real = toy(sizes=(4, 4, 4))
    engine = Engine(Execution(device="cpu", precision="fp32", compile=False, chunk=64, classes_at_once=3, threads=1))

    def trained(augment: Augmentation) -> Tensor:
        network = build("ConvNetD1", real.spec)
        train(network, real, Streams(0), engine, Recipe(epochs=2), augment=augment)
        return network.head.weight.detach()

    ours = trained(DCAugmentation(("crop", "noise")))
    assert torch.equal(ours, trained(DCAugmentation(("crop", "noise"))))
    assert not torch.equal(ours, trained(DCAugmentation(())))


def test_nothing_of_dcs_changes_nothing() -> None:
    images = torch.randn(2, 1, 8, 8)
    assert not DCAugmentation(())
    assert DCAugmentation(()).per_image(Streams(0)("augment"), 2)(images) is images


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


def test_dcs_rule_is_by_dataset_and_network(toy) -> None:
    toys = toy().spec
    mnist = replace(toys, name="mnist")
    assert parse_training("dc", mnist, "ConvNet") == DCAugmentation(("crop", "scale", "rotate"))
    assert parse_training("dc", mnist, "ConvNetBN") == DCAugmentation(("crop", "noise"))
    assert parse_training("dc", toys, "ConvNetBN") == DCAugmentation(("crop", "noise"))
    assert parse_training("dc", replace(toys, name="fashion-mnist"), "ConvNet") == Siamese(())


@pytest.mark.parametrize("text", ["none", "auto", "dsa", "crop_flip", "dc", "dc:crop_noise", "dc:rotate_rotate"])
@pytest.mark.parametrize("arch", ["ConvNet", "ConvNetBN"])
def test_the_text_of_an_augmentation_reads_back(text: str, arch: str, toy) -> None:
    for spec in (toy().spec, replace(toy().spec, name="mnist", flip=True)):
        augment = parse_training(text, spec, arch)
        assert parse_training(str(augment), spec, arch) == augment
        if not text.startswith("dc"):
            assert augment == parse(text, spec)


def test_the_texts_are_those_of_the_command_line() -> None:
    assert str(DCAugmentation(("crop", "noise"))) == "dc:crop_noise"
    assert str(DCAugmentation(())) == str(Siamese(())) == "none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour_crop", "unknown augmentation 'colour': did you mean 'color'"),
        ("dcc", "unknown augmentation 'dcc': did you mean 'dc'.* choose from auto, dsa, none, dc, color"),
        ("das", "unknown augmentation 'das': did you mean 'dsa'"),
        ("crop_dc", "unknown augmentation 'dc'"),
        ("dc:crop_noize", "unknown augmentation of DC 'noize': did you mean 'noise'.* choose from crop, scale, rotate"),
        ("dc:flip", "unknown augmentation of DC 'flip'"),
        ("dc:", "unknown augmentation of DC ''"),
    ],
)
def test_unknown_training_augmentations_are_refused(text: str, message: str, toy) -> None:
    with pytest.raises(InputError, match=message):
        parse_training(text, toy().spec, "ConvNet")


@pytest.mark.parametrize("text", ["dc", "dc:crop_noise"])
def test_dcs_augmentation_is_not_for_condensing(text: str, toy) -> None:
    with pytest.raises(InputError, match=f"'{text}' is for evaluation only: condense with auto, dsa, none"):
        parse(text, toy().spec)
