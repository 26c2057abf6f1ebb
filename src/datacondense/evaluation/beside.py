"""The baselines beside condensed sets: random real images, as many as a set stores, and the whole training set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from ..data.image_set import ImageSet
from ..synthetic.set import SyntheticSet
from .baselines import baselines
from .protocol import Protocol

Beside: TypeAlias = Literal["random", "whole"]
"""As many random real images per class as the set stores; the whole real training set."""
WHOLE_EPOCHS = 30
"""Training epochs on the whole set, which has many more images."""


@final
@dataclass(frozen=True)
class Entrant:
    """A condensed set, and the training of networks on it."""

    label: str
    examples: SyntheticSet
    protocol: Protocol


@final
@dataclass(frozen=True)
class Baseline:
    """Real images beside condensed sets, and the training of networks on them."""

    label: str
    examples: SyntheticSet | ImageSet
    protocol: Protocol
    beside: tuple[int, ...]
    """Positions of the sets that have its recipe."""


def random_baselines(entrants: Sequence[Entrant], real: ImageSet, device: str = "auto") -> list[Baseline]:
    """Return random real images for each recipe of the sets, those of the last sets last.

    Args:
        entrants: The sets.
        real: The training images that they were made from.
        device: As in `condense`.

    Raises:
        InputError: `real` is not what the sets stand for.
    """
    found: list[Baseline] = []
    for recipe, places in by_recipe(entrants, [one.protocol for one in entrants]).items():
        protocol = entrants[places[0]].protocol
        drawn = baselines([entrants[place].examples for place in places], real, protocol.archs[0], device)
        found += [Baseline(name + recipe, one, protocol, tuple(places)) for name, one in reversed(drawn.items())]
    return found


def whole_baselines(entrants: Sequence[Entrant], real: ImageSet, epochs: int = WHOLE_EPOCHS) -> list[Baseline]:
    """Return the whole training set for each recipe of the sets, with `epochs` in place of its own."""
    protocols = [one.protocol.with_epochs(epochs) for one in entrants]
    return [
        Baseline(f"whole set{recipe}", real, protocols[places[0]], tuple(places))
        for recipe, places in by_recipe(entrants, protocols).items()
    ]


def by_recipe(entrants: Sequence[Entrant], protocols: Sequence[Protocol]) -> dict[str, list[int]]:
    """Return the positions of sets by recipe.

    The key is the end of a label: empty for a single recipe, else its source, with the first set if others share it.

    Args:
        entrants: The sets.
        protocols: The protocol of each, from which the recipe is taken.
    """
    groups: dict[object, list[int]] = {}
    for place, protocol in enumerate(protocols):
        groups.setdefault((tuple(protocol.recipes.items()), protocol.source), []).append(place)
    if len(groups) == 1:
        return {"": next(iter(groups.values()))}
    sources = [protocols[places[0]].source for places in groups.values()]
    named: dict[str, list[int]] = {}
    for places in groups.values():
        source = protocols[places[0]].source
        alone = sources.count(source) == 1
        name = f", recipe {source}" if alone else f", recipe {source} ({entrants[places[0]].label})"
        named[name if name not in named else f"{name} ({len(named) + 1})"] = places
    return named
