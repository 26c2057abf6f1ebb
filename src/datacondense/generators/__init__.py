"""Generators by name: what makes images from latent vectors."""

from typing import Any

import torch

from ..errors import unknown
from ..types import Spec
from .base import AT_ONCE, Generator
from .biggan import BigGAN
from .convolutional import ConvGenerator

GENERATORS: dict[str, type[Generator]] = {
    "biggan": BigGAN,
    "conv": ConvGenerator,
}


def build(name: str, spec: Spec, **config: Any) -> Generator:
    """The generator `name` for the images and classes of `spec`, with weights yet to be drawn or loaded.

    config: as `Generator.config` gives it. Raises InputError for a name not in GENERATORS and for a Spec that it cannot
    serve.
    """
    if name not in GENERATORS:
        raise unknown("generator", name, GENERATORS)
    with torch.random.fork_rng(devices=[]):  # PyTorch's layers draw from the global generator when they are made
        return GENERATORS[name](spec, **config)


def generator_name(generator: Generator) -> str:
    """The name in GENERATORS."""
    return next(name for name, cls in GENERATORS.items() if cls is type(generator))


__all__ = ["AT_ONCE", "GENERATORS", "BigGAN", "ConvGenerator", "Generator", "build", "generator_name"]
