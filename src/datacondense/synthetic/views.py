"""Augmented, mixed views of the images of a set: their draws are stored, and they are computed when it is read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from ..augment.dsa import STRATEGIES, Siamese, View
from ..augment.mix import MixKind, mix_pair
from ..data.spec import Spec
from ..utils.errors import DamagedFile
from ..utils.limits import affordable
from .stored import Encoded, Store, Stored

VIEWS = "views"
"""Name of the decoder in the header of a file."""
_STRATEGY, _NUMBERS = "views.strategy", "views.numbers"
_PARTNER, _SHARES = "views.partner", "views.shares"
_BELOW_ONE = 1 - 2**-11  # the largest float16 below 1
_AT_ONCE = 1024  # views computed at a time
_PARAMETERS = 3  # uniform numbers of a draw


class ViewsConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The config of `Viewed`."""

    of: dict[str, Any]
    strategies: str
    each: Annotated[int, Meta(ge=1, le=10**4)]
    mix: MixKind = "none"


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
    mixing: "Mixing | None" = None
    """What is mixed into each view; None for views of one image."""

    @staticmethod
    def drawn(
        base: Encoded, count: int, augment: Siamese, each: int, generator: torch.Generator, mix: MixKind = "none"
    ) -> "Viewed":
        """Draw views of each of `count` images."""
        view = augment.draw(generator, count * each)
        mixing = None if mix == "none" else Mixing.drawn(mix, count * each, generator)
        return Viewed(base, augment, each, view.choice.to(torch.uint8), view.u.half().clamp_max(_BELOW_ONE), mixing)

    @property
    def views(self) -> int:
        return self.base.views * self.each

    def images(self, labels: Tensor) -> Tensor:
        return self.with_shares(labels)[0]

    def with_shares(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images (N, C, H, W), decoded, augmented and mixed, and the share of each that is its own, (N,).

        Raises DamagedFile if the images do not have as many views as there are draws.
        """
        images = self.base.images(labels)
        if len(images) * self.each != len(self.strategy):
            raise DamagedFile(f"its {len(images)} images do not have {len(self.strategy)} views")
        view = View(self.augment.strategies, self.strategy.long(), self.numbers.float())
        parts = torch.arange(len(self.strategy)).split(_AT_ONCE)
        whole = torch.cat([view[part[0] : part[-1] + 1](images[part // self.each][:, None])[:, 0] for part in parts])
        return (whole, torch.ones(len(whole))) if self.mixing is None else self.mixing(whole)

    def tensors(self) -> dict[str, Tensor]:
        mixing = {} if self.mixing is None else self.mixing.tensors()
        return {**self.base.tensors(), _STRATEGY: self.strategy, _NUMBERS: self.numbers, **mixing}

    def header(self) -> dict[str, Any]:
        config = {"of": self.base.header(), "strategies": str(self.augment), "each": self.each}
        config |= {} if self.mixing is None else {"mix": self.mixing.kind}
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
        mixing = None if config.mix == "none" else Mixing.taken(config.mix, rest)
        strategy, numbers = (rest.pop(name, torch.zeros(0)) for name in (_STRATEGY, _NUMBERS))
        shapes = strategy.dtype == torch.uint8 and strategy.dim() == 1 and numbers.dtype == torch.float16
        if not shapes or numbers.shape != (len(strategy), _PARAMETERS) or not len(strategy):
            raise DamagedFile(f"its draws have shapes {tuple(strategy.shape)} and {tuple(numbers.shape)}")
        known = set(names) <= STRATEGIES.keys() and int(strategy.max()) < len(names)
        if not known or not bool(((numbers >= 0) & (numbers < 1)).all()):
            raise DamagedFile("its draws are not those of the strategies that it names")
        if mixing is not None and len(mixing.partner) != len(strategy):
            raise DamagedFile(f"its {len(strategy)} views have {len(mixing.partner)} partners")
        held = sum(tensor.nbytes for tensor in tensors.values())
        affordable((3 if mixing is None else 4) * 4 * len(strategy) * math.prod(spec.shape), "its views", held=held)
        base = Encoded.from_tensors(rest, config.of, spec)
        return Viewed(base, Siamese(names), config.each, strategy, numbers, mixing)


@final
@dataclass(frozen=True)
class Mixing:
    """A partner for each view, and how much of it: mixup or CutMix with a share of its own, uniform in [0, 1)."""

    kind: MixKind
    partner: Tensor
    """Position of the view that is mixed into each one, int32 (N,)."""
    shares: Tensor
    """Share of each view that stays, and the centre of the rectangle of its partner, float16 (N, 3) in [0, 1)."""

    @staticmethod
    def drawn(kind: MixKind, count: int, generator: torch.Generator) -> "Mixing":
        """Draw partners and shares of `count` views: a permutation, and uniform numbers."""
        partner = torch.randperm(count, generator=generator).int()
        shares = torch.rand(count, _PARAMETERS, generator=generator).half().clamp_max(_BELOW_ONE)
        return Mixing(kind, partner, shares)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mix images (N, C, H, W), all with what they were before; return them and the share of each, (N,)."""
        mixed, kept = torch.empty_like(images), torch.empty(len(images))
        for place, (share, *centre) in enumerate(self.shares.tolist()):
            other = images[int(self.partner[place])]
            mixed[place], kept[place] = mix_pair(self.kind, images[place], other, share, (centre[0], centre[1]))
        return mixed, kept

    def tensors(self) -> dict[str, Tensor]:
        """Return what a file holds of it."""
        return {_PARTNER: self.partner, _SHARES: self.shares}

    @staticmethod
    def taken(kind: MixKind, tensors: dict[str, Tensor]) -> "Mixing":
        """Remove partners and shares from the tensors of a file. Raises DamagedFile if they do not fit."""
        partner, shares = (tensors.pop(name, torch.zeros(0)) for name in (_PARTNER, _SHARES))
        types = partner.dtype == torch.int32 and shares.dtype == torch.float16
        if not types or partner.dim() != 1 or shares.shape != (len(partner), _PARAMETERS):
            raise DamagedFile(f"its partners have shapes {tuple(partner.shape)} and {tuple(shares.shape)}")
        places = bool(((partner >= 0) & (partner < len(partner))).all())
        if not places or not bool(((shares >= 0) & (shares < 1)).all()):
            raise DamagedFile("its partners are not views, or their shares not between 0 and 1")
        return Mixing(kind, partner, shares)
