"""Methods by name. A new method is a file and a line here."""

from dataclasses import MISSING, fields
from typing import Any

from ..engine.execution import Workload
from ..utils.errors import unknown
from .base import Method
from .dc import DC
from .distribution_matching import DistributionMatching
from .dsa import DSA
from .forgetting import Forgetting
from .gradient_matching import GradientMatching
from .herding import Herding
from .it_gan import ItGan
from .k_center import KCenter
from .losses import Loss, differentiate
from .matching import Matching
from .problem import Problem
from .random import Random
from .selection import Selection

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
    """Return the default settings of a registered method, as files record them; required settings are left out."""
    found: dict[str, Any] = {}
    for one in fields(METHODS[name]):
        if one.init and one.default is not MISSING:
            found[one.name] = one.default
        elif one.init and one.default_factory is not MISSING:
            found[one.name] = one.default_factory()
    return METHODS[name].recorded(found)


def method_name(method: Method) -> str:
    """Return the name in METHODS, or the class's own for a method that is not registered."""
    return next((name for name, cls in METHODS.items() if cls is type(method)), type(method).__name__)


def method_class(name: str) -> type[Method]:
    """Return the class of a registered method. Raises InputError for an unknown name."""
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
    "Workload",
    "defaults",
    "differentiate",
    "method_class",
    "method_name",
]
