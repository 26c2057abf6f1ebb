"""A generator and latent vectors, stored instead of the images that it makes from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor

from ..data.spec import Spec
from ..networks.generators import AT_ONCE, Generator, build, generator_name, shapes
from ..utils.errors import DamagedFile, InputError
from ..utils.limits import affordable
from .stored import Stored

Storage = Literal["fp16", "int8"]
LATENTS = "latents"
"""Name of the decoder in the header of a file."""
_GENERATOR = "generator."
_LARGEST = torch.finfo(torch.float16).max


@final
@dataclass(frozen=True)
class Generated(Stored):
    """A frozen generator and the latents (N, d) of N images, both as read back from storage."""

    generator: Generator
    z: Tensor
    storage: Storage

    @staticmethod
    def round_trip(generator: Generator, z: Tensor, storage: Storage) -> "Generated":
        """Store a generator and latents (N, d) and read them back, so that evaluation sees the saved numbers.

        The generator is stored as fp16, latents as fp16, or as int8 with a scale for each of the d dimensions.
        Raises InputError if they hold numbers that these formats cannot store.
        """
        fault = unstorable(z, storage) or unstorable_weights(generator)
        if fault:
            raise InputError(f"{fault}: the set cannot be stored")
        first = Generated(generator, z.detach().float().cpu(), storage)
        tensors = {name: tensor.cpu() for name, tensor in first.tensors().items()}
        return Generated.from_tensors(tensors, first.header(), first.spec)

    @property
    def spec(self) -> Spec:
        return self.generator.spec

    def images(self, labels: Tensor) -> Tensor:
        with torch.no_grad():
            parts = zip(torch.split(self.z, AT_ONCE), torch.split(labels.cpu(), AT_ONCE), strict=True)
            return torch.cat([self.generator(*part) for part in parts])

    def tensors(self) -> dict[str, Tensor]:
        weights = {f"{_GENERATOR}{name}": tensor.half() for name, tensor in self.generator.state_dict().items()}
        if self.storage == "fp16":
            return {"latents": self.z.half(), **weights}
        scale = self.z.abs().amax(0).clamp_min(1e-12) / 127  # (d,)
        return {"latents": (self.z / scale).round().to(torch.int8), "scale": scale, **weights}

    def header(self) -> dict[str, Any]:
        config = {"generator": generator_name(self.generator), "arguments": self.generator.config()}
        return {"name": LATENTS, "config": config, "store": self.storage}

    @property
    def shared(self) -> frozenset[str]:
        return frozenset(self.tensors().keys() - {"latents"})

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor], header: Mapping[str, Any], spec: Spec) -> "Generated":
        """Return the inverse of `tensors` and `header`.

        Raises InputError for tensors and a header that do not fit together, and, before anything is built, for a file
        that would decode to far more than its size.
        """
        try:
            name, arguments = header["config"]["generator"], header["config"]["arguments"]
            _check(tensors, name, arguments, spec)
            generator = build(name, spec, **arguments)
            weights = {
                name.removeprefix(_GENERATOR): tensor.float()
                for name, tensor in tensors.items()
                if name.startswith(_GENERATOR)
            }
            generator.load_state_dict(weights)
            z, storage = tensors["latents"], header["store"]
            z = z.float() * tensors["scale"] if storage == "int8" else z.float()
        except InputError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise DamagedFile(f"its generator is damaged ({' '.join(str(error).split())[:200]})") from None
        if z.dim() != 2 or z.shape[1] != generator.latent or not bool(torch.isfinite(z).all()):
            raise InputError(f"its latents of shape {tuple(z.shape)} are not {generator.latent} finite numbers each")
        return Generated(generator.eval().requires_grad_(False), z, storage)


def unstorable(z: Tensor, storage: Storage) -> str:
    """Return the reason why latents z cannot be stored; empty if they can."""
    if bool(torch.isfinite(z.half() if storage == "fp16" else z).all()):
        return ""
    return f"latents up to {float(z.detach().abs().max()):.3g} do not fit {storage}, which ends at {_LARGEST:.0f}"


def unstorable_weights(generator: Generator) -> str:
    """Return the reason why a generator cannot be stored; empty if it can."""
    finite = all(bool(torch.isfinite(tensor.half()).all()) for tensor in generator.state_dict().values())
    return (
        "" if finite else f"the generator has weights that are not finite, or beyond fp16, which ends at {_LARGEST:.0f}"
    )


def _check(tensors: Mapping[str, Tensor], generator: str, arguments: Mapping[str, Any], spec: Spec) -> None:
    """Raise InputError unless all weights of a generator are present and fit into memory."""
    held = sum(tensor.nbytes for tensor in tensors.values())
    count = len(tensors["latents"])
    c, h, w = spec.shape
    needed = shapes(generator, spec, arguments)
    for name, shape in needed.items():
        found = tensors.get(f"{_GENERATOR}{name}")
        if found is None or found.shape != shape:
            there = "missing" if found is None else f"of shape {tuple(found.shape)}"
            raise DamagedFile(f"its generator is damaged: {name} is {there}, expected {tuple(shape)}")
    largest = (c + 2 * arguments["width"]) * h * w  # input and output of a layer for one image
    affordable(4 * (count * c * h * w + min(count, AT_ONCE) * largest), "its images", held=held)
