"""What an evaluation trains, and how: the published protocol, with what was asked for in its place."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from ..augment import parse_training
from ..data.image_set import ImageSet
from ..networks import pool_archs, serving
from ..synthetic.set import SyntheticSet
from ..training.recipe import Recipe
from ..utils.errors import InputError
from ..utils.ranges import Batch, Epochs, Networks, Rate, Seed, check_arguments, plain


@final
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which networks are trained for a score, and how (Zhao, Mopuri & Bilen 2021). The last epoch is what counts."""

    recipes: Mapping[str, Recipe]
    """Architecture -> how its networks train."""
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
        """The protocol with epochs counted as the authors' code does, whose E epochs are 0 to E: E + 1 of them.

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


def protocol_for(
    examples: SyntheticSet | ImageSet,
    *,
    archs: Sequence[str] | None = None,
    pool: str | None = None,
    nets: Networks = 5,
    epochs: Epochs | None = None,
    lr: Rate | None = None,
    batch: Batch | None = None,
    augment: str = "auto",
    seed: Seed = 0,
) -> Protocol:
    """Fill in what was left open: networks, augmentation, and the published epochs for each.

    archs, or a published pool of them; by default the set's own network. A network of a pool that cannot serve the
    images is left out, and a warning says so.
    augment: auto takes what the set was condensed under; for a set condensed without, DC's rule (none, but
    crop_scale_rotate on MNIST and crop_noise for ConvNetBN); for real images DSA's.
    epochs: published are 1000 with augmentation and 300 without. lr, batch: of SGD, 0.01 and 256 by default.
    Raises InputError for numbers that make no sense and for unknown names.
    """
    settings: Mapping[str, Any] = examples.provenance.get("settings", {}) if isinstance(examples, SyntheticSet) else {}
    own = settings.get("arch", "ConvNet")
    archs = (archs,) if isinstance(archs, str) else archs
    if archs and pool is not None:
        raise InputError("--archs and --pool exclude each other: take one")
    if pool is not None:
        archs, refused = serving(pool_archs(pool, own), examples.spec)
        if not archs:
            raise InputError(f"no network of pool {pool} serves {examples.spec.name}: {next(iter(refused.values()))}")
        for name, reason in refused.items():
            warnings.warn(f"pool {pool} without {name}: {reason}", stacklevel=2)
    if augment == "auto":
        augment = settings.get("augment", "auto")
        augment = "dc" if augment == "none" else augment
    check_arguments(protocol_for, nets=nets, epochs=epochs, lr=lr, batch=batch, seed=seed)
    nets, epochs, lr, batch, seed = map(plain, (nets, epochs, lr, batch, seed))
    given = {name: value for name, value in {"lr": lr, "batch": batch}.items() if value is not None}
    recipes = {}
    for arch in archs or (own,):
        augmentation = parse_training(augment, examples.spec, arch)
        published = 1000 if augmentation else 300
        recipes[arch] = Recipe(epochs=published if epochs is None else epochs, augment=str(augmentation), **given)
    return Protocol(recipes=recipes, nets=nets, seed=seed)
