"""Prepare the images of a page."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

from torch import Tensor

from .. import pictures
from ..synthetic.set import SyntheticSet
from .process import process_frames
from .reading import Run

_BUDGET = 2_000_000  # characters of all images of a page and of what stands around them
_AROUND, _AROUND_REAL = 330, 120  # characters around an image, and around its nearest real one
_SAMPLED = 12  # classes of which the sizes are measured
_PER_CLASS = 10
_QUALITY = 90  # of WebP
_SHOWN, _LARGEST = 56, 96  # CSS pixels: the width of an image among many, and of one of few or above labels
_PROCESS_CLASSES = 10
_FRAMES, _FRAMES_BUDGET = 40, 450_000  # moments of a run, and characters of the moments of all runs


@final
class Picture:
    """An image, uint8 (C, H, W), encoded when that is needed."""

    def __init__(self, pixels: Tensor) -> None:
        self._pixels = pixels

    @cached_property
    def png(self) -> str:
        """The pixels, as a data URI."""
        return to_uri(pictures.to_png(self._pixels.cpu()))

    @cached_property
    def webp(self) -> str:
        """About the pixels, in fewer bytes, as a data URI."""
        buffer = io.BytesIO()
        pictures.to_image(self._pixels).save(buffer, "WEBP", quality=_QUALITY)
        return to_uri(buffer.getvalue(), "webp")


@final
@dataclass(frozen=True)
class PageImage:
    """An image, and the real one nearest to it if known."""

    number: int
    """From 1, in its class."""
    picture: Picture
    real: Picture | None
    labels: list[tuple[str, str]]
    """Names and numbers of the largest soft labels; empty for hard ones."""


@final
@dataclass(frozen=True)
class ClassImages:
    """The first images of a class."""

    name: str
    count: int
    """Images of the class in the set."""
    images: list[PageImage]


@final
@dataclass(frozen=True)
class RunImages:
    """The images of a run by class."""

    training: list[ClassImages]
    """Those that networks are trained on."""
    stored: list[ClassImages]
    """Those that several training images each are decoded from, if they are images too; else empty."""


@final
@dataclass(frozen=True)
class Choice:
    """The images of a page: so many of each class, so many of them with the nearest real one."""

    each: int
    real: int
    exact: bool
    """True for the pixels of the sets; False for compressed images."""

    def source(self, picture: Picture) -> str:
        """Return an image as a data URI."""
        return picture.png if self.exact else picture.webp

    def size(self, classes: Sequence[ClassImages]) -> int:
        """Return the characters that the images of classes take in a page."""
        return sum(
            _AROUND
            + len(self.source(image.picture))
            + (_AROUND_REAL + len(self.source(image.real)) if image.real and place < self.real else 0)
            for one in classes
            for place, image in enumerate(one.images[: self.each])
        )


_CHOICES = (
    *(Choice(_PER_CLASS, _PER_CLASS, exact) for exact in (True, False)),
    *(Choice(_PER_CLASS, real, exact=False) for real in (3, 1)),
    *(Choice(each, 1, exact=False) for each in range(_PER_CLASS - 1, 0, -1)),
    Choice(1, 0, exact=False),
)
"""From the most to the least."""


def to_uri(data: bytes, kind: str = "png") -> str:
    """Return an image file as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def by_class(runs: Sequence[Run]) -> tuple[list[RunImages], Choice]:
    """Return the first 10 images of each class of each run, and the choice of them that keeps the page small."""
    found = [RunImages(_images_of(run.synthetic, run.neighbours), _stored_images(run.synthetic)) for run in runs]
    classes = [one for run in found for one in (*run.training, *run.stored)]
    some = classes[:: max(len(classes) // _SAMPLED, 1)]
    budget = _BUDGET * len(some) / len(classes)
    return found, next((choice for choice in _CHOICES if choice.size(some) <= budget), _CHOICES[-1])


def _images_of(synthetic: SyntheticSet, neighbours: Mapping[int, Tensor]) -> list[ClassImages]:
    """Return the first images of each class; neighbours: position in the set -> the nearest real image."""
    spec, labels = synthetic.spec, synthetic.classes
    found = []
    for k in labels.unique().tolist():
        positions = (labels == k).nonzero()[:, 0]
        first = positions[:_PER_CLASS]
        pixels, largest = spec.pixels(synthetic.images[first]), pictures.largest_labels(synthetic, first)
        images = [
            PageImage(
                number,
                Picture(image),
                Picture(neighbours[place]) if place in neighbours else None,
                [(spec.class_names[other], text) for other, text in of_image],
            )
            for number, (place, image, of_image) in enumerate(
                zip(first.tolist(), pixels, largest, strict=True), start=1
            )
        ]
        found.append(ClassImages(spec.class_names[k], len(positions), images))
    return found


def _stored_images(synthetic: SyntheticSet) -> list[ClassImages]:
    """Return the first stored images of each class; none if they are no images, or the training images themselves."""
    stored = pictures.stored_images(synthetic)
    return [] if stored is None or len(stored) == len(synthetic) else _images_of(stored, {})


@final
@dataclass(frozen=True)
class Frame:
    """Size of an image on a page, in CSS pixels."""

    width: int
    height: int
    enlarged: bool
    """True if its pixels are larger than those of the page: they keep their edges."""


def frame(run: Run, form: str) -> Frame:
    """Return the size at which an image is shown: a whole multiple of its own, if it is small.

    form: tiles or "sets few", for classes of few images, which can be larger; rows; or sets, side by side.
    """
    _, height, width = run.synthetic.spec.shape
    most = _LARGEST if run.synthetic.soft or form in ("tiles", "sets few") else _SHOWN
    shown = most // width * width or most
    return Frame(shown, max(round(shown * height / width), 1), enlarged=shown >= width)


@final
@dataclass(frozen=True)
class Process:
    """One image of each of the first classes over the iterations; a selection of iterations if there are many."""

    iterations: list[int]
    rows: list[tuple[str, list[str]]]
    """Name of a class, and its image at each iteration as a data URI."""


def process(run: Run, among: int) -> Process | None:
    """Return the images over the iterations, one of `among` runs of a page; None for a run without snapshots."""
    if not run.has_process:
        return None
    spec = run.synthetic.spec
    classes = range(min(_PROCESS_CLASSES, spec.classes))
    found = process_frames(run.synthetic, run.path, classes, 1)
    moments = {
        iteration: [Picture(images[0]).png if len(images) else "" for images in of_classes]
        for iteration, of_classes in found.items()
    }

    def size() -> int:
        return sum(len(uri) + _AROUND for uris in moments.values() for uri in uris)

    while len(moments) > 2 and (len(moments) > _FRAMES or size() > _FRAMES_BUDGET / among):
        kept = list(moments)
        kept = [*kept[:-1:2], kept[-1]]  # the last is the set itself
        moments = {iteration: moments[iteration] for iteration in kept}
    rows = [
        (spec.class_names[k], [uris[place] for uris in moments.values()])
        for place, k in enumerate(classes)
        if all(uris[place] for uris in moments.values())
    ]
    return Process(list(moments), rows)
