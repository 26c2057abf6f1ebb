"""Generators: sizes, published weights, what they are trained to."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from published_biggan import published

from datacondense import ImageSet, InputError, Spec, image_set, load
from datacondense.augment import parse
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.networks.generators import GENERATORS, BigGAN, build
from datacondense.synthetic.generated import Generated
from datacondense.training import cached
from datacondense.training.generators import GeneratorKind, GeneratorRecipe, train_generator
from datacondense.utils import cache
from datacondense.utils.streams import Streams


def spec(channels: int = 1, height: int = 28, side: int = 28, classes: int = 10) -> Spec:
    return Spec("x", tuple(map(str, range(classes))), (channels, height, side), (0.3,) * channels, (0.4,) * channels)


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 16, 24), (3, 64, 64), (1, 30, 30), (1, 9, 9)]
)
def test_images_have_the_size_of_the_data_and_lie_in_its_range(shape) -> None:
    of = spec(*shape)
    generator = build("conv", of, latent=6, width=32)
    images = generator(torch.randn(5, 6), torch.arange(5))
    assert images.shape == (5, *shape)
    assert torch.allclose(of.denormalise(images), images * 0.4 + 0.3, atol=1e-6)  # nothing to clip
    assert build("conv", of, **generator.config()).state_dict().keys() == generator.state_dict().keys()


def test_its_weights_are_in_proportion_for_28_by_28() -> None:
    count = sum(weight.numel() for weight in build("conv", spec(), latent=32, width=128).parameters())
    assert 400_000 < count < 1_000_000


def test_building_leaves_the_global_generator_as_it_was() -> None:
    state = torch.get_rng_state()
    build("conv", spec(), latent=4, width=16)
    build("biggan", spec(3, 32, 32), width=8)
    assert torch.equal(state, torch.get_rng_state())


def test_published_biggan_weights_load_into_a_generator_of_that_architecture() -> None:
    weights = published()
    generator = BigGAN.from_weights(weights, spec(3, 32, 32))
    assert generator.config() == {"latent": 128, "width": 16}
    images = generator.pixels(torch.randn(4, 128, generator=torch.Generator().manual_seed(1)), torch.arange(4))
    assert images.shape == (4, 3, 32, 32)
    assert (images >= 0).all()
    assert (images <= 1).all()
    assert len(torch.unique(images.flatten(1), dim=0)) == 4
    assert not any(weight.requires_grad for weight in generator.parameters())
    wrapped = {f"module.{name}": tensor for name, tensor in weights.items()}
    assert torch.equal(BigGAN.from_weights(wrapped, spec(3, 32, 32)).linear.weight, generator.linear.weight)


def test_its_layers_are_divided_by_their_singular_value_of_one_power_iteration() -> None:
    weights = published()
    generator = BigGAN.from_weights(weights, spec(3, 32, 32))
    matrix, u = weights["linear.weight"], weights["linear.u0"]
    v = (u @ matrix) / (u @ matrix).norm()
    u = (v @ matrix.T) / (v @ matrix.T).norm()
    z = torch.randn(2, 128)
    expected = z @ (matrix / (u @ matrix @ v.T)).T + weights["linear.bias"]
    assert torch.allclose(generator.linear(z), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: {}, "no linear.weight"),
        (lambda w: {k: v for k, v in w.items() if k != "linear.u0"}, r"1 are missing \(linear.u0\)"),
        (lambda w: {**w, "extra": torch.ones(1)}, r"1 are not known \(extra\)"),
        (lambda w: {**w, "linear.bias": torch.ones(3)}, r"linear.bias has the shape \(3,\), expected \(256,\)"),
    ],
)
def test_other_weights_are_refused(change, said: str) -> None:
    with pytest.raises(InputError, match=said):
        BigGAN.from_weights(change(published()), spec(3, 32, 32))


def test_biggan_makes_images_of_its_own_size_only() -> None:
    with pytest.raises(InputError, match="makes images of 3x32x32, not 1x28x28"):
        build("biggan", spec())
    with pytest.raises(InputError, match="expected \\(100, 16\\) for 100 classes"):
        BigGAN.from_weights(published(), spec(3, 32, 32, classes=100))


@pytest.mark.parametrize("storage", ["fp16", "int8"])
@pytest.mark.parametrize("name", GENERATORS)
def test_what_was_stored_is_what_comes_back(name: str, storage) -> None:
    of = spec(3, 32, 32)
    generator = build(name, of, latent=8, width=16).eval()
    z, labels = torch.randn(30, 8), torch.arange(30) % 10
    stored = Generated.round_trip(generator, z, storage)
    again = Generated.from_tensors(stored.tensors(), stored.header(), of)
    assert torch.equal(stored.z, again.z)
    assert torch.equal(stored.images(labels), again.images(labels))
    bound = z.abs().amax(0) / 127 / 2 if storage == "int8" else z.abs() * 2**-10 + 1e-7
    assert ((stored.z - z).abs() <= bound * 1.001).all()
    assert stored.tensors()["latents"].nbytes == 30 * 8 * (2 if storage == "fp16" else 1)


def with_config(header: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**header, "config": {**header["config"], **fields}}


@pytest.mark.parametrize(
    "change",
    [
        lambda t, h: (t, with_config(h, generator="gan")),
        lambda t, h: (t, with_config(h, arguments={"latent": 8})),
        lambda t, h: (t, {**h, "config": [1]}),
        lambda t, h: (t, with_config(h, arguments={"latent": 9, "width": 16})),
        lambda t, h: ({**t, "latents": torch.ones(3, 7)}, h),
        lambda t, h: ({**t, "latents": torch.full((3, 8), math_nan)}, h),
        lambda t, h: ({k: v for k, v in t.items() if k != "generator.linear.weight"}, h),
        lambda t, h: (t, {**h, "store": "int8"}),
        lambda t, h: (t, {}),
    ],
)
def test_a_damaged_generator_is_refused(change) -> None:
    stored = Generated.round_trip(build("conv", spec(), latent=8, width=16), torch.randn(3, 8), "fp16")
    tensors, header = change(stored.tensors(), stored.header())
    with pytest.raises(InputError):
        Generated.from_tensors(tensors, header, spec())


math_nan = float("nan")


def trained(
    kind: GeneratorKind, steps: int, real: ImageSet, tell: Callable[[float, str], None] = lambda done, what: None
):
    engine = Engine(Compute().plan("ConvNetD1", real.spec, 1))
    recipe = GeneratorRecipe(kind=kind, latent=8, width=32, steps=steps, batch=64)
    return train_generator(real, recipe, parse("crop_scale", real.spec), Streams(0), engine, tell)


def test_a_decoder_gives_images_back() -> None:
    real, _ = load("digits")
    images, labels = real.batch(torch.arange(len(real)))

    def error(steps: int) -> float:
        found = trained("decoder", steps, real)
        assert found.encoder is not None
        z, _ = found.encoder(images, labels)
        return float((found.generator(z, labels) - images).square().mean())

    class_means = torch.stack([images[labels == k].mean(0) for k in range(10)])
    assert error(300) < 0.7 * float((class_means[labels] - images).square().mean())
    assert error(2) > float(images.square().mean()) / 2


@pytest.mark.slow
def test_a_gan_learns_what_classes_look_like(toy) -> None:
    real = toy()
    found = trained("gan", 250, real)
    assert found.encoder is None
    images, labels = real.batch(torch.arange(len(real)))
    means = torch.stack([images[labels == k].mean(0) for k in range(3)])
    z, of = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), torch.arange(3).repeat_interleave(20)
    made = found.generator(z, of)
    nearest = torch.cdist(made.flatten(1), means.flatten(1)).argmin(1)
    assert (nearest == of).float().mean() > 0.6  # a third by chance
    assert len(torch.unique(made.flatten(1), dim=0)) == 60


@pytest.mark.parametrize("kind", ["decoder", "gan"])
def test_interrupted_training_goes_on_bit_for_bit(kind: GeneratorKind, toy, monkeypatch) -> None:
    monkeypatch.setattr(cached, "SAVE_EVERY", 0.0)
    real = toy()
    whole = trained(kind, 6, real)
    next((cache.folder() / "generators").iterdir()).unlink()

    def interrupt(done: float, what: str) -> None:
        if done > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(kind, 6, real, interrupt)
    told: list[float] = []
    again = trained(kind, 6, real, lambda done, what: told.append(done))
    assert told[0] > 0.5
    for name, weight in whole.generator.state_dict().items():
        assert torch.equal(weight, again.generator.state_dict()[name])


def test_images_begin_grey_where_a_sigmoid_learns() -> None:
    """At full width too: where weights start large all pixels are black after a step, and stay so."""
    pixels = torch.zeros(20, 28, 28)
    pixels[:, 8:20, 8:20] = torch.rand(20, 12, 12, generator=torch.Generator().manual_seed(0))
    real = image_set(pixels, torch.arange(20) % 2, name="squares")
    engine = Engine(Compute().plan("ConvNetD1", real.spec, 1))
    recipe = GeneratorRecipe(steps=12, batch=16)
    found = train_generator(real, recipe, parse("none", real.spec), Streams(0), engine, lambda done, what: None)
    made = found.generator.pixels(torch.zeros(2, recipe.latent), torch.arange(2)).mean(0)[0]
    assert made[8:20, 8:20].mean() > 0.05
