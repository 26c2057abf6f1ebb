# pyright: reportUnknownMemberType=false
"""Inversion of real images to latents of a generator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..engine.engine import Engine
from ..networks import Network
from ..training.generators import TrainedGenerator
from ..utils.streams import Streams

INVERTED_AT_ONCE = 256
"""Images that are inverted at a time."""


@final
@dataclass(frozen=True, kw_only=True)
class InversionRecipe:
    """Settings of the inversion, by Adam with a learning rate that falls linearly to a hundredth."""

    steps: int
    lr: float
    pixels: float
    """Weight of the mean squared error of pixels beside that of embeddings."""


@final
class Inversion:
    """Invert the real images at `index` (N,), 256 of them in each step.

    For each image x: the z that minimises |psi(G(z)) - psi(x)|^2 / D + pixels |G(z) - x|^2 / (C H W), psi a trained
    network without its last layer. z starts from the encoder's mean, if there is an encoder, and at random otherwise.
    """

    def __init__(
        self,
        real: ImageSet,
        index: Tensor,
        trained: TrainedGenerator,
        network: Network,
        recipe: InversionRecipe,
        streams: Streams,
        engine: Engine,
    ) -> None:
        self.real = real
        self.parts = torch.split(index, INVERTED_AT_ONCE)
        self.trained = trained
        self.network = network
        self.recipe = recipe
        self.engine = engine
        self.done, self.steps = 0, len(self.parts)
        self.z = torch.randn(len(index), trained.generator.latent, generator=streams("inversion")).to(engine.device)

    def step(self) -> None:
        first = self.done * INVERTED_AT_ONCE
        images, labels = self.real.batch(self.parts[self.done])
        z = self.z[first : first + len(images)].clone()
        if self.trained.encoder is not None:
            with torch.no_grad():
                z, _ = self.trained.encoder(images, labels)
        z.requires_grad_()
        adam = torch.optim.Adam([z], lr=self.recipe.lr)
        target = self.engine.embed(self.network, images)
        for step in range(self.recipe.steps):
            for group in adam.param_groups:
                group["lr"] = self.recipe.lr * (1 - 0.99 * step / self.recipe.steps)
            made = self.trained.generator(z, labels)
            embedding = self.engine.embed(self.network, made, differentiable=True)
            pixel_error = (made - images).square().flatten(1).mean(1)
            loss = ((embedding - target).square().mean(1) + self.recipe.pixels * pixel_error).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
        self.z[first : first + len(images)] = z.detach()

    def state(self) -> dict[str, Tensor]:
        return {"z": self.z}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.z = state["z"].to(self.engine.device)
