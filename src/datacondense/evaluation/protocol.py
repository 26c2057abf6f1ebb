"""The protocol of an evaluation: networks and recipes, as published unless set otherwise."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from typing_extensions import TypedDict, Unpack

from ..augment import parse_training
from ..data.image_set import ImageSet
from ..networks import pool_archs, serving
from ..synthetic.set import SyntheticSet
from ..training.recipe import Recipe, read_recipe
from ..utils.errors import InputError
from ..utils.keywords import check_keywords
from ..utils.ranges import Batch, Epochs, Networks, Rate, Seed, plain, plain_fields
from ..utils.text import printable
from .scores import PUBLISHED

OWN = "own"
"""Choice of the recipe that is stored with a set, or else of the published one."""
GIVEN = "given"
"""Source of a recipe that was passed in Python."""
_CHANGED = ", changed"


@final
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Networks and their training for a score (Zhao, Mopuri & Bilen 2021). Tested after the last epoch."""

    recipes: Mapping[str, Recipe]
    """Architecture -> recipe of its networks."""
    nets: int
    """Networks of each architecture, each from fresh weights."""
    seed: int
    source: str = PUBLISHED
    """Source of the recipe: published, own (stored with the set), the name of a file, or given (from Python); with
    ", changed" if fields of a recipe that is not the published one are others."""

    @property
    def archs(self) -> tuple[str, ...]:
        return tuple(self.recipes)

    @property
    def epochs(self) -> int:
        """Training epochs of all networks together."""
        return self.nets * sum(recipe.epochs for recipe in self.recipes.values())

    def with_epochs(self, epochs: int) -> "Protocol":
        """Return the protocol with other epochs; the learning rate falls after half of them."""
        recipes = {
            arch: one if one.epochs == epochs else replace(one, epochs=epochs, full_rate=None)
            for arch, one in self.recipes.items()
        }
        return replace(self, recipes=recipes, source=_marked(self.source, changed=recipes != self.recipes))

    def shortened(self, share: float) -> "Protocol":
        """Return the protocol with this share of the epochs, as large a part of them at the full rate."""
        return replace(self, recipes={arch: one.shortened(share) for arch, one in self.recipes.items()})

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
        source = {} if self.source == PUBLISHED else {"source": self.source}
        recipes = {arch: {**recipe.to_json(), **source} for arch, recipe in self.recipes.items()}
        return {"recipes": recipes, "nets": self.nets, "seed": self.seed}


class ProtocolOptions(TypedDict, total=False):
    """Keywords that set a protocol, each of which may be left out."""

    pool: str | None
    """A published pool of networks in place of `archs`. Networks that cannot take images of this size are left out,
    with a warning."""
    nets: Networks
    """Networks of each architecture, 5 by default."""
    recipe: Recipe | Path | str | None
    """Recipe of the training: a `Recipe`, the path of a JSON file of one, published, or own, the default and None: the
    one that is stored with the set, or else the published one."""
    epochs: Epochs | None
    """Training epochs; None takes those of the recipe; the published are 1000 with augmentation and 300 without."""
    lr: Rate | None
    """Learning rate; None takes that of the recipe; the published is 0.01."""
    batch: Batch | None
    """Images in a step; None takes those of the recipe; the published are 256."""
    augment: str
    """Augmentation; auto, the default, takes that of the recipe. The published recipe takes what the set was condensed
    under; for a set condensed without, DC's rule (none, but crop_scale_rotate on MNIST and crop_noise for ConvNetBN);
    for real images DSA's."""
    seed: Seed
    """Seed of the networks, 0 by default."""


def protocol_for(
    examples: SyntheticSet | ImageSet, *, archs: Sequence[str] | str | None = None, **options: Unpack[ProtocolOptions]
) -> Protocol:
    """Return the protocol of `options`, with values of the recipe for missing ones.

    archs: names of networks; None takes the one that the set was made with.

    Raises InputError for numbers out of range, for unknown names, and for a file that is no recipe.
    """
    check_keywords("protocol_for", ProtocolOptions, options, "nets", "epochs", "lr", "batch", "seed")
    settings: Mapping[str, Any] = examples.provenance.settings if isinstance(examples, SyntheticSet) else {}
    own = settings.get("arch", "ConvNet")
    recipe, source = _base(examples, options.get("recipe", OWN))
    augment = options.get("augment", "auto")
    if augment == "auto" and recipe is not None:
        augment = recipe.augment
    elif augment == "auto":
        augment = settings.get("augment", "auto")
        augment = "dc" if augment == "none" else augment
    changes = {name: plain(options.get(name)) for name in ("epochs", "lr", "batch") if options.get(name) is not None}
    recipes, changed = {}, False
    for arch in _archs(archs, options.get("pool"), own, examples) or (own,):
        augmentation = parse_training(augment, examples.spec, arch)
        base = published_recipe(str(augmentation)) if recipe is None else recipe
        full_rate = None if "epochs" in changes else base.full_rate  # it counts epochs of the recipe
        recipes[arch] = replace(base, augment=str(augmentation), full_rate=full_rate, **changes)
        as_stored = replace(base, augment=str(parse_training(base.augment, examples.spec, arch)))
        changed |= recipes[arch] != as_stored
    return Protocol(
        recipes=recipes,
        nets=plain(options.get("nets", 5)),
        seed=plain(options.get("seed", 0)),
        source=_marked(source, changed=changed),
    )


def published_recipe(augment: str) -> Recipe:
    """Return the published recipe under an augmentation, none or strategies: 1000 epochs, and 300 without any."""
    return Recipe(epochs=300 if augment == "none" else 1000, augment=augment)


def _archs(
    archs: Sequence[str] | str | None, pool: str | None, own: str, examples: SyntheticSet | ImageSet
) -> Sequence[str]:
    """Return the networks of `archs` or of `pool`; none for the set's own network. Warn of those a pool leaves out."""
    archs = (archs,) if isinstance(archs, str) else archs
    if archs and pool is not None:
        raise InputError("--archs and --pool exclude each other: use one")
    if pool is None:
        return archs or ()
    archs, refused = serving(pool_archs(pool, own), examples.spec)
    if not archs:
        raise InputError(
            f"no network of pool {pool} can take the images of {examples.spec.name}: {next(iter(refused.values()))}"
        )
    for name, reason in refused.items():
        warnings.warn(f"pool {pool} leaves out {name}: {reason}", stacklevel=3)
    return archs


def _base(examples: SyntheticSet | ImageSet, recipe: Recipe | Path | str | None) -> tuple[Recipe | None, str]:
    """Return the chosen recipe, None for the published one, and its source."""
    recipe = OWN if recipe is None else recipe
    if isinstance(recipe, Recipe):
        found, source = recipe, GIVEN
    elif not isinstance(recipe, str | Path):
        raise InputError(f"recipe {recipe!r}: give a Recipe, the path of a JSON file of one, own or published")
    elif recipe == OWN and isinstance(examples, SyntheticSet) and examples.recipe is not None:
        found, source = examples.recipe, OWN
    elif recipe in (OWN, PUBLISHED):
        return None, PUBLISHED
    else:
        found, name = read_recipe(recipe), printable(Path(recipe).name)
        source = f"file {name}" if name.split(",")[0] in (OWN, PUBLISHED, GIVEN) else name
    found.check()
    return plain_fields(found), source


def _marked(source: str, *, changed: bool) -> str:
    """Return the source of a recipe, marked if fields of it are others; published recipes go by the same name."""
    return f"{source.removesuffix(_CHANGED)}{_CHANGED}" if changed and source != PUBLISHED else source
