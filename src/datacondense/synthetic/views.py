"""Augmented views of the images of a set: their draws are stored, and the views are computed when it is read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from ..augment.dsa import STRATEGIES, Siamese, View
from ..data.spec import Spec
from ..utils.errors import DamagedFile
from ..utils.limits import affordable
from .stored import Encoded, Store, Stored

VIEWS = "views"
"""Name of the decoder in the header of a file."""
_STRATEGY, _NUMBERS = "views.strategy", "views.numbers"
_BELOW_ONE = 1 - 2**-11  # the largest float16 below 1
_AT_ONCE = 1024  # views computed at a time
_PARAMETERS = 3  # uniform numbers of a draw


class ViewsConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The config of `Viewed`."""

    of: dict[str, Any]
    strategies: str
    each: Annotated[int, Meta(ge=1, le=10**4)]


class ViewsFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The header of `Viewed`."""

    name: str
    config: ViewsConfig
    store: Store


@final
@dataclass(frozen=True)
class Viewed(Stored):
    """Views of the images that other stored tensors decode to: a strategy of DSA and its numbers for each view."""

    base: Encoded
    augment: Siamese
    each: int
    """Views of an image; those of one image follow one another."""
    strategy: Tensor
    """Position of the strategy of each view, uint8 (N,)."""
    numbers: Tensor
    """Uniform numbers in [0, 1) from which it computes its parameters, float16 (N, 3)."""

    @staticmethod
    def drawn(base: Encoded, count: int, augment: Siamese, each: int, generator: torch.Generator) -> "Viewed":
        """Draw views of each of `count` images."""
        view = augment.draw(generator, count * each)
        return Viewed(base, augment, each, view.choice.to(torch.uint8), view.u.half().clamp_max(_BELOW_ONE))

    @property
    def views(self) -> int:
        return self.base.views * self.each

    def images(self, labels: Tensor) -> Tensor:
        """Decode and augment the images. Raises DamagedFile if they do not have as many views as there are draws."""
        images = self.base.images(labels)
        if len(images) * self.each != len(self.strategy):
            raise DamagedFile(f"its {len(images)} images do not have {len(self.strategy)} views")
        view = View(self.augment.strategies, self.strategy.long(), self.numbers.float())
        parts = torch.arange(len(self.strategy)).split(_AT_ONCE)
        whole = [view[part[0] : part[-1] + 1](images[part // self.each][:, None])[:, 0] for part in parts]
        return torch.cat(whole)

    def tensors(self) -> dict[str, Tensor]:
        return {**self.base.tensors(), _STRATEGY: self.strategy, _NUMBERS: self.numbers}

    def header(self) -> dict[str, Any]:
        config = {"of": self.base.header(), "strategies": str(self.augment), "each": self.each}
        return {"name": VIEWS, "config": config, "store": self.base.store}

    @property
    def shared(self) -> frozenset[str]:
        return self.base.shared

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor], header: Any, spec: Spec) -> "Viewed":
        """Return the inverse of `tensors` and `header`.

        Raises InputError for tensors and a header that do not fit together, before anything large is decoded.
        """
        try:
            config = msgspec.convert(header, ViewsFields).config
        except msgspec.ValidationError as error:
            raise DamagedFile(f"its decoder is damaged ({error})") from None
        names = tuple(config.strategies.split("_"))
        rest = dict(tensors)
        strategy, numbers = (rest.pop(name, torch.zeros(0)) for name in (_STRATEGY, _NUMBERS))
        shapes = strategy.dtype == torch.uint8 and strategy.dim() == 1 and numbers.dtype == torch.float16
        if not shapes or numbers.shape != (len(strategy), _PARAMETERS) or not len(strategy):
            raise DamagedFile(f"its draws have shapes {tuple(strategy.shape)} and {tuple(numbers.shape)}")
        known = set(names) <= STRATEGIES.keys() and int(strategy.max()) < len(names)
        if not known or not bool(((numbers >= 0) & (numbers < 1)).all()):
            raise DamagedFile("its draws are not those of the strategies that it names")
        held = sum(tensor.nbytes for tensor in tensors.values())
        affordable(3 * 4 * len(strategy) * math.prod(spec.shape), "its views", held=held)
        base = Encoded.from_tensors(rest, config.of, spec)
        return Viewed(base, Siamese(names), config.each, strategy, numbers)
