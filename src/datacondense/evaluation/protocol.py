"""The protocol of an evaluation: networks and recipes, as published unless set otherwise."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from typing_extensions import TypedDict, Unpack

from ..augment import parse_training
from ..data.image_set import ImageSet
from ..networks import pool_archs, serving
from ..synthetic.set import SyntheticSet
from ..training.recipe import Recipe
from ..utils.errors import InputError
from ..utils.keywords import check_keywords
from ..utils.ranges import Batch, Epochs, Networks, Rate, Seed, plain


@final
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Networks and their training for a score (Zhao, Mopuri & Bilen 2021). Tested after the last epoch."""

    recipes: Mapping[str, Recipe]
    """Architecture -> recipe of its networks."""
    nets: int
    """Networks of each architecture, each from fresh weights."""
    seed: int

    @property
    def archs(self) -> tuple[str, ...]:
        return tuple(self.recipes)

    @property
    def epochs(self) -> int:
        """Training epochs of all networks together."""
        return self.nets * sum(recipe.epochs for recipe in self.recipes.values())

    def as_published(self) -> "Protocol":
        """Return the protocol with epochs counted as the authors' code does, whose E epochs are 0 to E: E + 1 of them.

        The learning rate falls after epoch E // 2 + 1 of these, so that E // 2 + 2 have the full one.
        """
        recipes = {
            arch: replace(one, epochs=one.epochs + 1, full_rate=one.epochs // 2 + 2)
            for arch, one in self.recipes.items()
        }
        return replace(self, recipes=recipes)

    def to_json(self) -> dict[str, Any]:
        recipes = {arch: recipe.to_json() for arch, recipe in self.recipes.items()}
        return {"recipes": recipes, "nets": self.nets, "seed": self.seed}


class ProtocolOptions(TypedDict, total=False):
    """Keywords that set a protocol, each of which may be left out."""

    pool: str | None
    """A published pool of networks in place of `archs`. Networks that cannot take images of this size are left out,
    with a warning."""
    nets: Networks
    """Networks of each architecture, 5 by default."""
    epochs: Epochs | None
    """Training epochs; None takes the published 1000 with augmentation and 300 without."""
    lr: Rate | None
    """Learning rate of SGD; None takes 0.01."""
    batch: Batch | None
    """Batch of SGD; None takes 256."""
    augment: str
    """Augmentation; auto, the default, takes what the set was condensed under; for a set condensed without, DC's rule
    (none, but crop_scale_rotate on MNIST and crop_noise for ConvNetBN); for real images DSA's."""
    seed: Seed
    """Seed of the networks, 0 by default."""


def protocol_for(
    examples: SyntheticSet | ImageSet, *, archs: Sequence[str] | str | None = None, **options: Unpack[ProtocolOptions]
) -> Protocol:
    """Return the protocol of `options`, with published values for missing ones.

    archs: names of networks; None takes the one that the set was made with.

    Raises InputError for numbers out of range and for unknown names.
    """
    check_keywords("protocol_for", ProtocolOptions, options, "nets", "epochs", "lr", "batch", "seed")
    pool, augment = options.get("pool"), options.get("augment", "auto")
    settings: Mapping[str, Any] = examples.provenance.settings if isinstance(examples, SyntheticSet) else {}
    own = settings.get("arch", "ConvNet")
    archs = (archs,) if isinstance(archs, str) else archs
    if archs and pool is not None:
        raise InputError("--archs and --pool exclude each other: use one")
    if pool is not None:
        archs, refused = serving(pool_archs(pool, own), examples.spec)
        if not archs:
            raise InputError(
                f"no network of pool {pool} can take the images of {examples.spec.name}: {next(iter(refused.values()))}"
            )
        for name, reason in refused.items():
            warnings.warn(f"pool {pool} leaves out {name}: {reason}", stacklevel=2)
    if augment == "auto":
        augment = settings.get("augment", "auto")
        augment = "dc" if augment == "none" else augment
    sgd = {name: plain(options.get(name)) for name in ("lr", "batch") if options.get(name) is not None}
    epochs = plain(options.get("epochs"))
    recipes = {}
    for arch in archs or (own,):
        augmentation = parse_training(augment, examples.spec, arch)
        published = 1000 if augmentation else 300
        recipes[arch] = Recipe(epochs=published if epochs is None else epochs, augment=str(augmentation), **sgd)
    return Protocol(recipes=recipes, nets=plain(options.get("nets", 5)), seed=plain(options.get("seed", 0)))
