"""Augmentations by name."""

from collections.abc import Collection, Iterable

from ..errors import unknown
from ..types import Spec
from . import siamese
from .siamese import Siamese

_WHOLE = ("auto", "dsa", "none")  # what is not joined with others


def parse(text: str, spec: Spec) -> Siamese:
    """The augmentation that `text` names: auto or dsa, none, or strategies joined by "_" such as color_crop_cutout.

    auto is DSA's published set: all six, without flip where a mirrored image changes its class.
    Raises InputError for a strategy that does not exist.
    """
    return _siamese(text, spec, _WHOLE)


def _siamese(text: str, spec: Spec, whole: Iterable[str]) -> Siamese:
    if text == "none":
        return Siamese(())
    if text in ("auto", "dsa"):
        return Siamese(tuple(name for name in siamese.STRATEGIES if name != "flip" or spec.flip))
    return Siamese(_joined(text, "augmentation", siamese.STRATEGIES, whole))


def _joined(text: str, kind: str, strategies: Collection[str], whole: Iterable[str] = ()) -> tuple[str, ...]:
    """The strategies in `text`, each once. `whole`: names that may stand alone, for the message."""
    names = text.split("_")
    for name in names:
        if name not in strategies:
            raise unknown(kind, name, strategies if len(names) > 1 else [*whole, *strategies])
    return tuple(dict.fromkeys(names))
