"""The methods by name. A new method is a file and a line here."""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from ..utils.errors import unknown
from ..utils.registry import Entry, Registry

if TYPE_CHECKING:
    from .base import Method

GROUP = "datacondense.methods"
"""The group of entry points, name = "package.module:Class", under which a package announces its methods."""

METHODS: "Registry[type[Method]]" = Registry(
    __name__,
    {
        "dc": Entry(
            "gradient_matching:DC",
            "Match the gradients of networks trained along on the images (Zhao, Mopuri & Bilen 2021).",
        ),
        "dsa": Entry(
            "gradient_matching:DSA",
            "Match gradients as DC does, with real and synthetic images under one augmentation (Zhao & Bilen 2021).",
        ),
        "dm": Entry(
            "distribution_matching:DistributionMatching",
            "Match class-mean embeddings under fresh random networks.",
        ),
        "it-gan": Entry(
            "it_gan:ItGan",
            "Latents whose images, made by a generator, train networks well (Zhao & Bilen 2022).",
        ),
        "random": Entry(
            "coreset:Random",
            "Random real images of each class: the baseline that every number is shown against.",
        ),
        "herding": Entry(
            "coreset:Herding",
            "Real images whose running mean embedding stays nearest to the mean of their class.",
        ),
        "k-center": Entry(
            "coreset:KCenter",
            "Real images such that none of their class is far from one of them in embedding.",
        ),
        "forgetting": Entry(
            "coreset:Forgetting",
            "Real images that a network forgot most often while it learned them; those it never learned come first.",
        ),
    },
)
"""Name -> class. The summaries are the first lines of the classes' docstrings, read without importing them."""


def defaults(name: str) -> dict[str, Any]:
    """What the settings of a registered method are unless given; without those that must be given."""
    found = {}
    for one in fields(METHODS[name]):
        if one.init and one.default is not MISSING:
            found[one.name] = one.default
        elif one.init and one.default_factory is not MISSING:
            found[one.name] = one.default_factory()
    return found


def method_name(method: "Method") -> str:
    """The name in METHODS, or the class's own for a method that is not registered."""
    return next((name for name, cls in METHODS.items() if cls is type(method)), type(method).__name__)


def method_class(name: str) -> "type[Method]":
    """The class of a registered method. Raises InputError for an unknown name."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
