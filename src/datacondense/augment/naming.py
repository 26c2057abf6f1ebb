"""Augmentations by name."""

from collections.abc import Collection, Iterable

from ..data.spec import Spec
from ..utils.errors import InputError, unknown
from . import dc, dsa
from .base import Augmentation
from .dc import DCAugmentation
from .dsa import Siamese

_WHOLE = ("auto", "dsa", "none")  # not joined with others


def parse(text: str, spec: Spec) -> Siamese:
    """Return the augmentation for condensing that `text` names.

    Args:
        text: auto or dsa, none, or strategies joined by "_", such as color_crop_cutout. auto is DSA's published set:
            all six, without flip if a mirrored image changes its class.
        spec: The dataset.

    Raises:
        InputError: A strategy does not exist, or `text` names DC's augmentation, which is not for condensing.
    """
    if text == "dc" or text.startswith("dc:"):
        raise InputError(
            f"augmentation {text!r} is for evaluation only: "
            f"condense with {', '.join(_WHOLE)}, or some of {', '.join(dsa.STRATEGIES)} joined by '_'"
        )
    return _siamese(text, spec, _WHOLE)


def parse_training(text: str, spec: Spec, arch: str) -> Augmentation:
    """Return the augmentation for training a network `arch` that `text` names.

    Args:
        text: All that `parse` takes, or dc, or dc: with strategies, such as dc:crop_noise. dc is the published one of
            DC: crop and noise for ConvNetBN, else crop, scale and rotate for MNIST, else none.
        spec: The dataset.
        arch: The network.

    Raises:
        InputError: A strategy does not exist.
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
    """Return the strategies in `text`, each once. `whole`: names that stand alone, for the message."""
    names = text.split("_")
    for name in names:
        if name not in strategies:
            raise unknown(kind, name, strategies if len(names) > 1 else [*whole, *strategies])
    return tuple(dict.fromkeys(names))
