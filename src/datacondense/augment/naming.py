"""Augmentations by name."""

from collections.abc import Collection, Iterable

from ..data.spec import Spec
from ..utils.errors import InputError, unknown
from . import dc, dsa
from .base import Augmentation
from .dc import DCAugmentation
from .dsa import Siamese

_WHOLE = ("auto", "dsa", "none")  # what is not joined with others


def parse(text: str, spec: Spec) -> Siamese:
    """The augmentation that `text` names: auto or dsa, none, or strategies joined by "_" such as color_crop_cutout.

    auto is DSA's published set: all six, without flip where a mirrored image changes its class.
    Raises InputError for a strategy that does not exist, and for DC's augmentation, which is not for condensing.
    """
    if text == "dc" or text.startswith("dc:"):
        raise InputError(
            f"augmentation {text!r} is for evaluation only: "
            f"condense with {', '.join(_WHOLE)}, or some of {', '.join(dsa.STRATEGIES)} joined by '_'"
        )
    return _siamese(text, spec, _WHOLE)


def parse_training(text: str, spec: Spec, arch: str) -> Augmentation:
    """The augmentation that `text` names for training a network `arch`: what `parse` reads, or DC's.

    dc is what DC's networks were evaluated with: crop and noise for ConvNetBN, else crop, scale and rotate for MNIST,
    else none. dc:crop_noise names its strategies.
    Raises InputError for a strategy that does not exist.
    """
    if text == "dc":
        strategies = dc.published(spec, arch)
        return DCAugmentation(strategies) if strategies else Siamese(())
    if text.startswith("dc:"):
        return DCAugmentation(_joined(text[3:], "augmentation of DC", dc.STRATEGIES))
    return _siamese(text, spec, (*_WHOLE, "dc"))


def _siamese(text: str, spec: Spec, whole: Iterable[str]) -> Siamese:
    if text == "none":
        return Siamese(())
    if text in ("auto", "dsa"):
        return Siamese(tuple(name for name in dsa.STRATEGIES if name != "flip" or spec.flip))
    return Siamese(_joined(text, "augmentation", dsa.STRATEGIES, whole))


def _joined(text: str, kind: str, strategies: Collection[str], whole: Iterable[str] = ()) -> tuple[str, ...]:
    """The strategies in `text`, each once. `whole`: names that may stand alone, for the message."""
    names = text.split("_")
    for name in names:
        if name not in strategies:
            raise unknown(kind, name, strategies if len(names) > 1 else [*whole, *strategies])
    return tuple(dict.fromkeys(names))
