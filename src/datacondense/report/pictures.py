"""Prepare the images of a page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from .. import pictures
from .process import draw_strip, process_frames
from .reading import Run

_BUDGET = 2_400_000  # bytes of all images of a report, as PNG
_PER_CLASS = 10
_SHOWN = 96  # CSS pixels that an image is wide
_PROCESS_CLASSES = 10
_FRAMES, _FRAMES_BUDGET = 40, 600_000  # moments, and characters of all of them, that can be leafed through


@final
@dataclass(frozen=True)
class PageImage:
    """An image, and the real one nearest to it if known."""

    number: int
    """From 1, in its class."""
    source: str
    """As a data URI."""
    neighbour: str
    """Data URI of the nearest real image; empty if there is none."""


@final
@dataclass(frozen=True)
class ClassImages:
    """The first images of a class."""

    name: str
    count: int
    """Images of the class in the set."""
    images: list[PageImage]


def to_uri(data: bytes, kind: str = "png") -> str:
    """Return an image file as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def by_class(runs: Sequence[Run]) -> list[list[ClassImages]]:
    """Return the first images of each class of each run: 10, or fewer to keep the page small."""
    shown = [_images_of_run(run) for run in runs]

    def size(each: int) -> int:
        images = (one for run in shown for k in run for one in k.images[:each])
        return sum(len(one.source) + len(one.neighbour) for one in images)

    each = next((each for each in range(_PER_CLASS, 1, -1) if size(each) <= _BUDGET * 4 / 3), 1)
    return [[replace(k, images=k.images[:each]) for k in run] for run in shown]


def _images_of_run(run: Run) -> list[ClassImages]:
    spec, labels = run.synthetic.spec, run.synthetic.classes
    found = []
    for k in labels.unique().tolist():
        positions = (labels == k).nonzero()[:, 0]
        pixels = spec.pixels(run.synthetic.images[positions[:_PER_CLASS]])
        images = [
            PageImage(number, _uri(image), _uri(run.neighbours[place]) if place in run.neighbours else "")
            for number, (place, image) in enumerate(zip(positions.tolist(), pixels, strict=False), start=1)
        ]
        found.append(ClassImages(spec.class_names[k], len(positions), images))
    return found


def _uri(pixels: Tensor) -> str:
    return to_uri(pictures.to_png(pixels.cpu()))


def shown_size(run: Run) -> tuple[int, int]:
    """Width and height, in CSS pixels, at which an image is shown."""
    _, height, width = run.synthetic.spec.shape
    return _SHOWN, round(_SHOWN * height / width)


@final
@dataclass(frozen=True)
class Process:
    """The images of the first classes over the iterations, one image of each class."""

    strip: str
    """All iterations side by side, as a data URI."""
    frames: list[tuple[int, str]]
    """Iteration, and the images side by side as a data URI, for the player; a selection if there are many."""
    width: int
    """CSS pixels at which a frame is shown."""


def process(run: Run) -> Process | None:
    """Return the strip of the snapshots; None for a run without any."""
    if not run.has_process:
        return None
    spec = run.synthetic.spec
    classes = range(min(_PROCESS_CLASSES, spec.classes))
    found = process_frames(run.synthetic, run.path, classes, 1)
    strip = to_uri(pictures.to_png(draw_strip(found, spec, classes)))
    uris = [(iteration, _uri(torch.cat([*torch.cat(images)], dim=-1))) for iteration, images in found.items()]
    while len(uris) > 2 and (len(uris) > _FRAMES or sum(len(uri) for _, uri in uris) > _FRAMES_BUDGET):
        uris = [*uris[:-1:2], uris[-1]]  # the last is the set itself
    return Process(strip, uris, len(classes) * _SHOWN)
