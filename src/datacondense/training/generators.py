"""Training of class-conditional generators on all real images, kept in the cache."""

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
from ..networks.generators.opponents import Discriminator, Encoder
from ..utils.streams import Streams
from .cached import Kept, named, packed, part, unpack

M = TypeVar("M", bound=nn.Module)
Kind = Literal["decoder", "gan"]

_TIMED = 3.0  # seconds of training by which its time is foretold


@final
@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe:
    """How a generator is made and trained."""

    kind: Kind = "decoder"
    """gan: against a discriminator, with hinge loss and differentiable augmentation; decoder: with an encoder, so that
    it gives back each image from its z, which is far cheaper."""
    latent: int = 32
    """Numbers of a z."""
    width: int = 128
    """Channels of the smallest map."""
    steps: int = 4000
    batch: int = 64
    """Real images of a step."""
    lr: float = 1e-3
    """Of Adam; a fifth of it for a GAN."""
    spread: float = 0.5
    """decoder: what the distance of z from N(0, 1), the KL divergence of Kingma & Welling (2014), counts against the
    sum of squared errors of normalised pixels. Less gives sharper images, of which fewer lie near N(0, 1)."""
    discriminator_steps: int = 2
    """gan: steps of the discriminator for each of the generator."""
    average: float = 0.998
    """gan: memory of the average of the generator's weights, which is what is used."""


@final
@dataclass(frozen=True)
class TrainedGenerator:
    """A generator, frozen, and the encoder that was trained with it, if any."""

    generator: Generator
    encoder: Encoder | None


def trained_generator(
    real: ImageSet,
    recipe: GeneratorRecipe,
    augment: Siamese,
    streams: Streams,
    engine: Engine,
    tell: Callable[[float, str], None],
) -> TrainedGenerator:
    """A generator of the images of `real`, from the cache where it has been trained before.

    augment: what real and generated images pass before the discriminator of a GAN (Zhao et al. 2020); none for a
    decoder. tell: told which part of the training is done, and what it is. Processes train the same, each by itself.
    """
    training, kept = _training(real, recipe, augment, streams, engine)
    what = f"training a generator ({recipe.kind})"
    kept.finish(training, lambda done: tell(done / recipe.steps, what))
    return training.result()


def rehearsed_generator(
    real: ImageSet, recipe: GeneratorRecipe, augment: Siamese, streams: Streams, engine: Engine
) -> tuple[TrainedGenerator, float]:
    """A generator as far as a few seconds of training bring it, and how long `trained_generator` would take."""
    training, kept = _training(real, recipe, augment, streams, engine)
    seconds = kept.seconds_left(training, _TIMED)
    return training.result(), seconds


def _training(
    real: ImageSet, recipe: GeneratorRecipe, augment: Siamese, streams: Streams, engine: Engine
) -> "tuple[_Decoder | _Gan, Kept]":
    here = streams.at("generator")
    what = {"recipe": asdict(recipe), "augment": str(augment) if recipe.kind == "gan" else ""}
    kept = Kept("generators", real, here, engine, what, eager=True)
    if recipe.kind == "gan":
        return _Gan(real, recipe, augment, here, engine), kept
    return _Decoder(real, recipe, here, engine), kept


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
        with torch.random.fork_rng(devices=[]):
            self.encoder = Encoder(real.spec, latent=recipe.latent, width=recipe.width)
        _draw(self.encoder, streams("encoder"))
        self.encoder.to(engine.device)
        self.adam = torch.optim.Adam([*self.generator.parameters(), *self.encoder.parameters()], lr=recipe.lr)

    def step(self) -> None:
        images, labels = self.data.at(self.done)
        mean, log_variance = self.encoder(images, labels)
        noise = self.data.normal(self.done, self.recipe.latent, "noise", self.device)
        z = mean + noise * (0.5 * log_variance).exp()
        error = (self.generator(z, labels) - images).square().flatten(1).sum(1).mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        for group in self.adam.param_groups:  # down to a hundredth, in a line
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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=streams("discriminator"))))
            self.discriminator = Discriminator(real.spec, width=recipe.width).to(engine.device)
        betas = (0.0, 0.9)
        self.of_generator = torch.optim.Adam(self.generator.parameters(), lr=recipe.lr / 5, betas=betas)
        self.of_discriminator = torch.optim.Adam(self.discriminator.parameters(), lr=recipe.lr / 5, betas=betas)

    def step(self) -> None:
        for number in range(self.recipe.discriminator_steps):
            images, labels = self.data.at(self.done, f"real{number}")
            with torch.no_grad():
                fake, of_fake = self._fake(f"fake{number}")
            said, of_fakes = self._judged(images, labels, f"a{number}"), self._judged(fake, of_fake, f"b{number}")
            loss = F.relu(1 - said).mean() + F.relu(1 + of_fakes).mean()
            self.of_discriminator.zero_grad()
            loss.backward()
            self.of_discriminator.step()
        self.of_generator.zero_grad()
        (-self._judged(*self._fake("fake"), "a")).mean().backward()
        self.of_generator.step()
        with torch.no_grad():
            weight = min(self.recipe.average, (1 + self.done) / (10 + self.done))
            for mean, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(now, 1 - weight)

    def _fake(self, name: str) -> tuple[Tensor, Tensor]:
        draw = self.data.streams.at(self.done)(f"{name} labels")
        labels = torch.randint(self.classes, (self.recipe.batch,), generator=draw).to(self.device)
        z = self.data.normal(self.done, self.recipe.latent, name, self.device)
        return self.generator(z, labels), labels

    def _judged(self, images: Tensor, labels: Tensor, name: str) -> Tensor:
        if self.augment:
            images = self.augment.per_image(self.data.streams.at(self.done)(f"augment {name}"), len(images))(images)
        return self.discriminator(images, labels)

    def state(self) -> dict[str, Tensor]:
        return {
            **named("generator", self.generator),
            **named("average", self.average),
            **named("discriminator", self.discriminator),
            **packed("of_generator", self.of_generator),
            **packed("of_discriminator", self.of_discriminator),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name in ("generator", "average", "discriminator"):
            getattr(self, name).load_state_dict(part(name, state))
        for name in ("of_generator", "of_discriminator"):
            unpack(name, getattr(self, name), state)

    def result(self) -> TrainedGenerator:
        return TrainedGenerator(_frozen(self.average), None)


def _generator(real: ImageSet, recipe: GeneratorRecipe, streams: Streams, engine: Engine) -> Generator:
    generator = build("conv", real.spec, latent=recipe.latent, width=recipe.width)
    _draw(generator, streams("weights"))
    with torch.no_grad():  # images begin near grey: where the sigmoid is saturated nothing is learned
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
