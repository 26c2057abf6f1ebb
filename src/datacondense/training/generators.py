# pyright: reportUnknownMemberType=false
"""Training of class-conditional generators on all real images; trained generators are cached."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..augment import Siamese
from ..data.image_set import ImageSet
from ..engine.engine import Engine
from ..networks.generators import Generator, build
from ..networks.generators.discriminator_and_encoder import Discriminator, Encoder
from ..utils.streams import Streams, global_draws
from .cached import TrainingCache, named, packed, part, unpack
from .optimiser import build_optimiser

M = TypeVar("M", bound=nn.Module)
GeneratorKind = Literal["decoder", "gan"]

_TIMED = 3.0  # seconds of training from which its duration is estimated


@final
@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe:
    """Size and training of a generator."""

    kind: GeneratorKind = "decoder"
    """gan: trained against a discriminator, with hinge loss and differentiable augmentation; decoder: trained with an
    encoder, as a variational autoencoder, which is far cheaper."""
    latent: int = 32
    """Dimensions of z."""
    width: int = 128
    """Channels of the smallest map."""
    steps: int = 4000
    batch: int = 64
    """Real images in a step."""
    lr: float = 1e-3
    """Learning rate of Adam; a GAN takes a fifth of it."""
    spread: float = 0.5
    """decoder: weight of the KL divergence of z from N(0, 1) (Kingma & Welling 2014) beside the sum of squared errors
    of normalised pixels. A smaller weight gives sharper images, and latents farther from N(0, 1)."""
    discriminator_steps: int = 2
    """gan: steps of the discriminator for each of the generator."""
    average: float = 0.998
    """gan: decay of the moving average of the generator's weights; the average is the result."""


@final
@dataclass(frozen=True)
class TrainedGenerator:
    """A generator, frozen, and the encoder that was trained with it, if any."""

    generator: Generator
    encoder: Encoder | None


def train_generator(
    real: ImageSet,
    recipe: GeneratorRecipe,
    augment: Siamese,
    streams: Streams,
    engine: Engine,
    report: Callable[[float, str], None],
) -> TrainedGenerator:
    """Train a generator of the images of `real`, or take it from the cache.

    Each of several processes trains the same generator by itself.

    Args:
        real: The real images.
        recipe: Size and training of the generator.
        augment: The augmentation of real and generated images before the discriminator of a GAN (Zhao et al. 2020);
            a decoder is trained without.
        streams: Draws weights, batches and latents.
        engine: Gives the device.
        report: Called with the fraction done and the name of the work.
    """
    training, cache = _training(real, recipe, augment, streams, engine)
    what = f"training a generator ({recipe.kind})"
    cache.finish(training, lambda done: report(done / recipe.steps, what))
    return training.result()


def rehearse_generator(
    real: ImageSet, recipe: GeneratorRecipe, augment: Siamese, streams: Streams, engine: Engine
) -> tuple[TrainedGenerator, float]:
    """Return a generator after a few seconds of training, and the seconds that `train_generator` would take."""
    training, cache = _training(real, recipe, augment, streams, engine)
    seconds = cache.seconds_left(training, _TIMED)
    return training.result(), seconds


def _training(
    real: ImageSet, recipe: GeneratorRecipe, augment: Siamese, streams: Streams, engine: Engine
) -> "tuple[_Decoder | _Gan, TrainingCache]":
    here = streams.at("generator")
    key = {"recipe": asdict(recipe), "augment": str(augment) if recipe.kind == "gan" else ""}
    cache = TrainingCache("generators", real, here, engine, key, eager=True)
    if recipe.kind == "gan":
        return _Gan(real, recipe, augment, here, engine), cache
    return _Decoder(real, recipe, here, engine), cache


class _Data:
    """Batches of real images by step."""

    def __init__(self, real: ImageSet, batch: int, streams: Streams) -> None:
        self.real = real
        self.batch = batch
        self.streams = streams

    def at(self, step: int, name: str = "real") -> tuple[Tensor, Tensor]:
        index = torch.randint(len(self.real), (self.batch,), generator=self.streams.at(step)(name))
        return self.real.batch(index)

    def normal(self, step: int, width: int, name: str, device: torch.device) -> Tensor:
        return torch.randn(self.batch, width, generator=self.streams.at(step)(name)).to(device)


@final
class _Decoder:
    """A variational autoencoder whose decoder is the generator."""

    def __init__(self, real: ImageSet, recipe: GeneratorRecipe, streams: Streams, engine: Engine) -> None:
        self.recipe = recipe
        self.done, self.steps = 0, recipe.steps
        self.device = engine.device
        self.data = _Data(real, recipe.batch, streams)
        self.generator = _generator(real, recipe, streams, engine)
        with global_draws():
            self.encoder = Encoder(real.spec, latent=recipe.latent, width=recipe.width)
        _draw(self.encoder, streams("encoder"))
        self.encoder.to(engine.device)
        weights = [*self.generator.parameters(), *self.encoder.parameters()]
        self.adam = build_optimiser(weights, recipe.lr, kind="adam", momentum=0.9)

    def step(self) -> None:
        images, labels = self.data.at(self.done)
        mean, log_variance = self.encoder(images, labels)
        noise = self.data.normal(self.done, self.recipe.latent, "noise", self.device)
        z = mean + noise * (0.5 * log_variance).exp()
        error = (self.generator(z, labels) - images).square().flatten(1).sum(1).mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        for group in self.adam.param_groups:  # linearly to a hundredth
            group["lr"] = self.recipe.lr * (1 - 0.99 * self.done / self.steps)
        self.adam.zero_grad()
        (error + self.recipe.spread * divergence).backward()
        self.adam.step()

    def state(self) -> dict[str, Tensor]:
        return {
            **named("generator", self.generator),
            **named("encoder", self.encoder),
            **packed("adam", self.adam),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.generator.load_state_dict(part("generator", state))
        self.encoder.load_state_dict(part("encoder", state))
        unpack("adam", self.adam, state)

    def result(self) -> TrainedGenerator:
        return TrainedGenerator(_frozen(self.generator), _frozen(self.encoder))


@final
class _Gan:
    """A generator and a discriminator with the hinge loss."""

    def __init__(
        self, real: ImageSet, recipe: GeneratorRecipe, augment: Siamese, streams: Streams, engine: Engine
    ) -> None:
        self.recipe = recipe
        self.done, self.steps = 0, recipe.steps
        self.device = engine.device
        self.augment = augment
        self.classes = real.spec.classes
        self.data = _Data(real, recipe.batch, streams)
        self.generator = _generator(real, recipe, streams, engine)
        self.average = _generator(real, recipe, streams, engine).requires_grad_(False)
        with global_draws():
            # torch.manual_seed would seed every GPU too
            torch.default_generator.manual_seed(int(torch.randint(2**31, (), generator=streams("discriminator"))))
            self.discriminator = Discriminator(real.spec, width=recipe.width).to(engine.device)
        self.generator_optimiser, self.discriminator_optimiser = (
            build_optimiser(module.parameters(), recipe.lr / 5, kind="adam", momentum=0.0, squares=0.9)
            for module in (self.generator, self.discriminator)
        )

    def step(self) -> None:
        for number in range(self.recipe.discriminator_steps):
            images, labels = self.data.at(self.done, f"real{number}")
            with torch.no_grad():
                fake, fake_labels = self._fake(f"fake{number}")
            real = self._scores(images, labels, f"a{number}")
            generated = self._scores(fake, fake_labels, f"b{number}")
            loss = F.relu(1 - real).mean() + F.relu(1 + generated).mean()
            self.discriminator_optimiser.zero_grad()
            loss.backward()
            self.discriminator_optimiser.step()
        self.generator_optimiser.zero_grad()
        (-self._scores(*self._fake("fake"), "a")).mean().backward()
        self.generator_optimiser.step()
        with torch.no_grad():
            decay = min(self.recipe.average, (1 + self.done) / (10 + self.done))
            for average, weights in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                average.lerp_(weights, 1 - decay)

    def _fake(self, name: str) -> tuple[Tensor, Tensor]:
        draw = self.data.streams.at(self.done)(f"{name} labels")
        labels = torch.randint(self.classes, (self.recipe.batch,), generator=draw).to(self.device)
        z = self.data.normal(self.done, self.recipe.latent, name, self.device)
        return self.generator(z, labels), labels

    def _scores(self, images: Tensor, labels: Tensor, name: str) -> Tensor:
        if self.augment:
            images = self.augment.per_image(self.data.streams.at(self.done)(f"augment {name}"), len(images))(images)
        return self.discriminator(images, labels)

    def state(self) -> dict[str, Tensor]:
        return {
            **named("generator", self.generator),
            **named("average", self.average),
            **named("discriminator", self.discriminator),
            **packed("of_generator", self.generator_optimiser),
            **packed("of_discriminator", self.discriminator_optimiser),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name in ("generator", "average", "discriminator"):
            getattr(self, name).load_state_dict(part(name, state))
        unpack("of_generator", self.generator_optimiser, state)
        unpack("of_discriminator", self.discriminator_optimiser, state)

    def result(self) -> TrainedGenerator:
        return TrainedGenerator(_frozen(self.average), None)


def _generator(real: ImageSet, recipe: GeneratorRecipe, streams: Streams, engine: Engine) -> Generator:
    generator = build("conv", real.spec, latent=recipe.latent, width=recipe.width)
    _draw(generator, streams("weights"))
    with torch.no_grad():  # first images are near grey: a saturated sigmoid has no gradient
        for name, weight in generator.named_parameters():
            if name == "last.weight":
                weight.mul_(0.1)
            elif name.endswith("scale.weight"):
                weight.zero_()
    return generator.to(engine.device)


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of a module anew, in place: N(0, 2 / fan in) for those of layers, 0 for biases."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                std = (2 / layer.weight[0].numel()) ** 0.5
                layer.weight.copy_(std * torch.randn(layer.weight.shape, generator=generator))
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, nn.Embedding):
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))


def _frozen(module: M) -> M:
    return module.eval().requires_grad_(False)
