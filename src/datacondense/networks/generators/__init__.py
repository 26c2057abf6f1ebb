# pyright: reportUnknownMemberType=false
"""Generators of images from latent vectors, by name."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ...data.spec import Spec
from ...utils.errors import InputError, unknown
from ...utils.streams import global_draws
from .base import AT_ONCE, Generator
from .biggan import BigGAN
from .convolutional import ConvGenerator

GENERATORS: dict[str, type[Generator]] = {
    "biggan": BigGAN,
    "conv": ConvGenerator,
}


_LARGEST = 65536
"""Largest size of a latent or a layer; published ones have up to 256."""


_DRAWING = ("normal_", "uniform_", "kaiming_uniform_", "zeros_", "ones_", "zero_", "fill_", "normalize")
"""Functions that set the values of their first argument and keep its shape."""


def build(name: str, spec: Spec, **config: Any) -> Generator:
    """Build a generator. Its weights are not drawn yet.

    Args:
        name: A name in GENERATORS.
        spec: The images and classes that it is for.
        **config: The arguments that `Generator.config` returns.

    Raises:
        InputError: An unknown name, or a Spec that the generator cannot make images for.
    """
    if name not in GENERATORS:
        raise unknown("generator", name, GENERATORS)
    with global_draws():
        return GENERATORS[name](spec, **config)


class _Undrawn(TorchFunctionMode):
    """Skip drawing weights: its first use on the meta device takes seconds."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _DRAWING:
            return (*args, *(kwargs or {}).values())[0]
        return func(*args, **(kwargs or {}))


def shapes(name: Any, spec: Spec, config: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Return the name and shape of every weight that `build` would make, without making any.

    Args:
        name: A name in GENERATORS; unchecked if it comes from a file.
        spec: The images and classes that it is for.
        config: The result of `Generator.config`; unchecked if it comes from a file.

    Raises:
        InputError: An unknown name, a Spec that it cannot make images for, or a config value that is not an integer in
            1 to 65536.
    """
    if not isinstance(name, str) or name not in GENERATORS:
        raise unknown("generator", str(name), GENERATORS)
    for key, value in config.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST:
            raise InputError(
                f"generator.config.{key} is {str(value)[:60]}, expected a whole number from 1 to {_LARGEST}"
            )
    with torch.device("meta"), _Undrawn():
        generator = build(name, spec, **config)
    return {name: tensor.shape for name, tensor in generator.state_dict().items()}


def generator_name(generator: Generator) -> str:
    """Return the name in GENERATORS."""
    return next(name for name, cls in GENERATORS.items() if cls is type(generator))


__all__ = ["AT_ONCE", "GENERATORS", "BigGAN", "ConvGenerator", "Generator", "build", "generator_name", "shapes"]
