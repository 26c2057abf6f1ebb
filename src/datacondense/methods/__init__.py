"""Methods by name. A new one is a file and a line here."""

from dataclasses import MISSING, fields
from typing import Any

from ..utils.errors import unknown
from .base import Loss, Matching, Method, Problem, Selection, differentiate
from .coreset import Forgetting, Herding, KCenter, Random
from .distribution_matching import DistributionMatching
from .gradient_matching import DC, DSA, GradientMatching
from .it_gan import ItGan

METHODS: dict[str, type[Method]] = {
    "dc": DC,
    "dsa": DSA,
    "dm": DistributionMatching,
    "it-gan": ItGan,
    "random": Random,
    "herding": Herding,
    "k-center": KCenter,
    "forgetting": Forgetting,
}


def defaults(name: str) -> dict[str, Any]:
    """What the settings of a registered method are unless given; without those that must be given."""
    found = {}
    for one in fields(METHODS[name]):
        if one.init and one.default is not MISSING:
            found[one.name] = one.default
        elif one.init and one.default_factory is not MISSING:
            found[one.name] = one.default_factory()
    return found


def method_name(method: Method) -> str:
    """The name in METHODS, or the class's own for a method that is not registered."""
    return next((name for name, cls in METHODS.items() if cls is type(method)), type(method).__name__)


def method_class(name: str) -> type[Method]:
    """The class of a registered method. Raises InputError for an unknown name."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


__all__ = [
    "DC",
    "DSA",
    "METHODS",
    "DistributionMatching",
    "Forgetting",
    "GradientMatching",
    "Herding",
    "ItGan",
    "KCenter",
    "Loss",
    "Matching",
    "Method",
    "Problem",
    "Random",
    "Selection",
    "defaults",
    "differentiate",
    "method_class",
    "method_name",
]
