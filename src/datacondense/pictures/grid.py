"""A condensed set as a picture: its images class by class, beside the class's name and, if asked, real images."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..data.image_set import ImageSet
from ..synthetic.set import SyntheticSet
from ..utils.atomic import write_bytes
from ..utils.errors import InputError
from .layout import Layout, arrange, class_labels, fitting, to_png
from .nearest import nearest

_IN_A_ROW = 20  # images of a class, synthetic and real
_PER_CLASS = 10


def save_grid(
    synthetic: SyntheticSet,
    path: Path,
    *,
    classes: Sequence[int] | None = None,
    per_class: int | None = None,
    real: ImageSet | None = None,
) -> None:
    """Write what `draw_grid` draws as PNG."""
    write_bytes(path, to_png(draw_grid(synthetic, classes=classes, per_class=per_class, real=real)))


def draw_grid(
    synthetic: SyntheticSet,
    *,
    classes: Sequence[int] | None = None,
    per_class: int | None = None,
    real: ImageSet | None = None,
) -> Image.Image:
    """The first images of every class, denormalised, enlarged by a whole factor without smoothing.

    classes: the classes to draw, in that order; by default all.
    per_class: how many images of each; by default 10, and fewer, down to 1, where the picture would have more than 25
    million pixels. Where each class has few, classes stand in several columns, to be read downwards.
    real: draw beside the synthetic images the real one of their class that each is nearest to, as pixels are drawn.
    Raises InputError when `real` has other classes, or images of another shape.
    """
    spec = synthetic.spec
    difference = spec.difference(real.spec) if real is not None else ""
    if real is not None and difference:
        raise InputError(
            f"the images of {real.spec.name!r} are not what the set was made from: {difference}; name them by --data"
        )
    chosen = range(spec.classes) if classes is None else classes
    members = [(synthetic.labels == k).nonzero()[:, 0] for k in chosen]
    headings = [""] if real is None else ["synthetic", "nearest real"]
    names = class_labels(spec, chosen)

    def layout(count: int) -> Layout:
        return arrange(names, count, spec.shape, headings=headings, in_a_row=_IN_A_ROW // len(headings))

    count = fitting(layout, min(per_class or _PER_CLASS, max(map(len, members))), fixed=per_class is not None)
    drawn = [spec.pixels(synthetic.images[positions[:count]]) for positions in members]
    beside = [] if real is None else [[nearest(real, pixels, k) for k, pixels in zip(chosen, drawn, strict=True)]]
    return layout(count).draw([drawn, *beside])
