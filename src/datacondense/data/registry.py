"""The data sets by name. A published set is an entry of NAMED and a line here."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..utils.registry import Entry, Registry

if TYPE_CHECKING:
    from .image_set import ImageSet
    from .options import ReadProgress

DATASETS: "Registry[Callable[[Path | None, ReadProgress], tuple[ImageSet, ImageSet]]]" = Registry(
    __name__,
    {
        "digits": Entry("readers.digits:load"),
        "mnist": Entry("published:load", name="mnist"),
        "fashion-mnist": Entry("published:load", name="fashion-mnist"),
        "svhn": Entry("published:load", name="svhn"),
        "cifar10": Entry("published:load", name="cifar10"),
        "cifar100": Entry("published:load", name="cifar100"),
        "tiny-imagenet": Entry("published:load", name="tiny-imagenet"),
    },
    kind="data set",
    group="datacondense.data",
    check="plugins:checked",
)
"""Name -> reader of the train and test set; it receives the data folder, None for the usual places."""

SOURCE_FORMS = {"arrays": "FILE.npz", "folder": "PATH", "hub": "OWNER/NAME"}
"""Prefix -> the form of the place after its colon, for data without a name here."""
