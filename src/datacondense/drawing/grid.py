"""Draw images class by class: rows of each class beside its name."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from PIL import Image
from torch import Tensor

from .layout import Labels, PictureLayout, arrange, class_captions, largest_fitting
from .layout import Named as NamedClasses
from .soft_labels import largest_labels

_IN_A_ROW = 20  # images of a class in all groups
_LABELLED_IN_A_ROW = 10
_PER_CLASS = 10

Pixels = Callable[[int, Tensor], Tensor]
"""Takes the number of a class and positions (n,) of its images, and returns pixels, uint8 (n, C, H, W)."""


class Described(NamedClasses, Protocol):
    """Whatever has names of classes and the shape of an image: the Spec of a data set."""

    @property
    def shape(self) -> tuple[int, int, int]: ...


def draw_classes(
    spec: Described,
    classes: Sequence[int],
    members: Sequence[Tensor],
    groups: Sequence[Pixels],
    *,
    headings: Sequence[str] = ("",),
    per_class: int | None = None,
    soft: Tensor | None = None,
) -> Image.Image:
    """Draw the first images of each class, enlarged by a whole factor without smoothing.

    If each class has few images, the classes form several columns, read downwards.

    Args:
        spec: Names the classes.
        classes: The classes to draw, in that order.
        members: Positions of the images of each of them.
        groups: The pictures of these images: one group, or several that lie side by side.
        headings: One for each group; an empty one takes no room.
        per_class: Images of each class; by default 10, and fewer, down to 1, where the picture would have more than
            25 million pixels.
        soft: Soft labels of all images (N, K): the three largest stand below each image, where there is room.

    Returns:
        A grey or RGB image.
    """
    names = class_captions(spec, classes)

    def arranged(labelled: bool) -> PictureLayout:
        width = (_LABELLED_IN_A_ROW if labelled else _IN_A_ROW) // len(headings)
        layout = partial(arrange, names, shape=spec.shape, headings=headings, in_a_row=width, labelled=labelled)
        most = min(per_class or _PER_CLASS, max(map(len, members)))
        return layout(largest_fitting(layout, most, fixed=per_class is not None))

    layout = arranged(soft is not None)
    if not layout.fits:
        layout = arranged(labelled=False)
    shown = [positions[: layout.count] for positions in members]
    drawn = [[group(k, positions) for k, positions in zip(classes, shown, strict=True)] for group in groups]
    labels = [] if soft is None else [_labels(spec, soft, positions) for positions in shown]
    return layout.draw(drawn, labels=labels)


def _labels(spec: Described, soft: Tensor, index: Tensor) -> list[Labels]:
    """Return the largest labels of the images at `index` (n,)."""
    names = spec.class_names
    return [[(names[k], k, text) for k, text in of_image] for of_image in largest_labels(soft, index)]
