"""The methods by name. A new method is a file and a line here."""

from typing import TYPE_CHECKING, Any

from ..utils.defaults import field_defaults
from ..utils.errors import unknown
from ..utils.registry import Entry, Registry

if TYPE_CHECKING:
    from .base import Method

METHODS: "Registry[type[Method]]" = Registry(
    __name__,
    {
        "dc": Entry(
            "dc:DC",
            "Match the gradients of networks while they train on the synthetic images.",
        ),
        "dsa": Entry(
            "dsa:DSA",
            "Match gradients as DC does, with real and synthetic images of a class under one augmentation draw A.",
        ),
        "dm": Entry(
            "distribution_matching:DistributionMatching",
            "Match class-mean embeddings under fresh random networks (DM).",
        ),
        "krr": Entry(
            "kernel_regression:KernelRegression",
            "Learn images and labels from which ridge regression on network features is right on real images (krr).",
        ),
        "it-gan": Entry(
            "it_gan:ItGan",
            "Optimise the latents of a generator so that its images train networks well (Zhao & Bilen 2022).",
        ),
        "random": Entry(
            "random:Random",
            "Choose random real images of each class: the baseline that every accuracy is compared with.",
        ),
        "label-solve": Entry(
            "label_solve:LabelSolve",
            "Choose real images, and give them the labels by which ridge regression errs least (KIP's label solve).",
        ),
        "herding": Entry(
            "herding:Herding",
            "Choose real images whose running mean embedding stays nearest to the mean of their class.",
        ),
        "k-center": Entry(
            "k_center:KCenter",
            "Choose real images such that every image of their class is near one of them in embedding.",
        ),
        "forgetting": Entry(
            "forgetting:Forgetting",
            "Choose the real images that a network forgot most often; those it never learned come first.",
        ),
    },
    kind="method",
    group="datacondense.methods",
    check="plugins:checked",
)
"""Name -> class. The summaries are the first lines of the classes' docstrings, read without importing them."""


def defaults(name: str) -> dict[str, Any]:
    """Return the default settings of a registered method, as files record them; required settings are left out."""
    return METHODS[name].recorded(field_defaults(METHODS[name]))


def method_name(method: "Method") -> str:
    """Return the name in METHODS, or the class's own for a method that is not registered."""
    return METHODS.name_of(type(method)) or type(method).__name__


def method_class(name: str) -> "type[Method]":
    """Return the class of a registered method. Raises InputError for an unknown name."""
    if name not in METHODS:
        raise unknown("method", name, METHODS, plugins=True)
    return METHODS[name]
