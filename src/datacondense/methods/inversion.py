"""Latents from which a generator makes images like given real ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..engine.engine import Engine
from ..networks import Network
from ..training.generators import TrainedGenerator
from ..utils.streams import Streams

INVERTED_AT_ONCE = 256
"""Images that are inverted together."""


@final
@dataclass(frozen=True, kw_only=True)
class InversionRecipe:
    """Adam on each z, down to a hundredth of its rate on a line."""

    steps: int
    lr: float
    pixels: float
    """What a pixel's mean squared error counts against that of an embedding."""


@final
class Inversion:
    """Inverts the real images at `index` (N,), some of them in each step.

    For each image x: the z that minimises |psi(G(z)) - psi(x)|^2 / D + pixels |G(z) - x|^2 / (C H W), psi a trained
    network without its last layer. z begins where the encoder says, if there is one, and at random otherwise.
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
        self.parts = index.split(INVERTED_AT_ONCE)
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
        wanted = self.engine.embed(self.network, images)
        for step in range(self.recipe.steps):
            for group in adam.param_groups:
                group["lr"] = self.recipe.lr * (1 - 0.99 * step / self.recipe.steps)
            made = self.trained.generator(z, labels)
            found = self.engine.embed(self.network, made, differentiable=True)
            of_pixels = (made - images).square().flatten(1).mean(1)
            loss = ((found - wanted).square().mean(1) + self.recipe.pixels * of_pixels).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
        self.z[first : first + len(images)] = z.detach()

    def state(self) -> dict[str, Any]:
        return {"z": self.z}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.z = state["z"].to(self.engine.device)
