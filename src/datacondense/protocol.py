"""What an evaluation trains, and how: the published protocol, with what was asked for in its place."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from .artifact import SyntheticSet
from .augment import parse_training
from .errors import InputError
from .networks import pool_archs, serving
from .streams import check_seed
from .training import Recipe
from .types import ImageSet


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

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def protocol_for(
    examples: SyntheticSet | ImageSet,
    *,
    archs: Sequence[str] | None = None,
    pool: str | None = None,
    nets: int = 5,
    epochs: int | None = None,
    augment: str = "auto",
    seed: int = 0,
) -> Protocol:
    """Fill in what was left open: networks, augmentation, and the published epochs for each.

    archs, or a published pool of them; by default the set's own network. A network of a pool that cannot serve the
    images is left out, and a warning says so.
    augment: auto takes what the set was condensed under; for a set condensed without, DC's rule (none, but
    crop_scale_rotate on MNIST and crop_noise for ConvNetBN); for real images DSA's.
    epochs: published are 1000 with augmentation and 300 without.
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
    if nets < 1 or (epochs is not None and epochs < 1):
        raise InputError(f"--nets {nets} --epochs {epochs}: both must be at least 1")
    check_seed(seed)
    recipes = {}
    for arch in archs or (own,):
        augmentation = parse_training(augment, examples.spec, arch)
        published = 1000 if augmentation else 300
        recipes[arch] = Recipe(epochs=published if epochs is None else epochs, augment=str(augmentation))
    return Protocol(recipes=recipes, nets=nets, seed=seed)
