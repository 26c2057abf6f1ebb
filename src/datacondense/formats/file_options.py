"""Options for files that do not describe their pixels and labels."""

from dataclasses import dataclass, field
from typing import TypedDict, final

from ..utils.errors import InputError
from ..utils.ranges import Tiles, check_fields
from .label_kinds import LabelKind, check_label_kind
from .pixel_scale import PixelOptions, PixelScale, TrainingImages


class ImportOptions(TypedDict, total=False):
    """Options of `import_sets` for files that do not describe themselves, as keywords."""

    pixels: PixelScale
    """Scale of the pixels: "normalised", "unit" (0 to 1), "bytes" (0 to 255) or "zca" (whitened, MTT's default).
    "auto", the default, detects it, and raises InputError if it is ambiguous."""
    real: TrainingImages
    """The training images, or a function that reads them: needed for "zca", and by "auto" where range, mean and
    deviation do not decide."""
    labels: LabelKind
    """Kind of labels with a number for each class: "hard" (the class with the largest), "probabilities", "logits"
    (their softmax becomes the label) or "values" (as they are). "auto", the default, detects it."""
    factor: Tiles | None
    """Tiles along each side of a stored image, as IDC stores them: each image becomes factor x factor training images.
    None, the default, takes it from the name of IDC's directory (..._factor2_...); 1 leaves images as they are."""


@final
@dataclass(frozen=True)
class FileOptions:
    """The options of an import, checked."""

    pixels: PixelOptions = field(default_factory=PixelOptions)
    labels: LabelKind = "auto"
    factor: Tiles | None = None

    def __post_init__(self) -> None:
        check_label_kind(self.labels)
        check_fields(self)

    def reject_all(self, described: object) -> None:
        """Raise InputError if an option was set for a file, `described`, that records pixels, labels and views."""
        self.pixels.reject_scale(described)
        if self.labels != "auto":
            raise InputError(f"--labels {self.labels}: {described} records the kind of its labels: leave it out")
        if self.factor is not None:
            raise InputError(f"--factor {self.factor}: {described} holds training images, not tiles: leave it out")
