"""Draw a condensed set as a grid: its images class by class, beside the class names and, on request, real images."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..data.image_set import ImageSet
from ..synthetic.set import SyntheticSet
from ..utils.atomic import write_bytes
from ..utils.errors import InputError
from .layout import PictureLayout, arrange, class_captions, largest_fitting
from .nearest import nearest_real
from .png_codec import to_png

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
    """Write the picture of `draw_grid` as PNG."""
    write_bytes(path, to_png(draw_grid(synthetic, classes=classes, per_class=per_class, real=real)))


def draw_grid(
    synthetic: SyntheticSet,
    *,
    classes: Sequence[int] | None = None,
    per_class: int | None = None,
    real: ImageSet | None = None,
) -> Image.Image:
    """Draw the first images of every class, denormalised, enlarged by a whole factor without smoothing.

    If each class has few images, the classes form several columns, read downwards.

    Args:
        synthetic: The set to draw.
        classes: The classes to draw, in that order; by default all.
        per_class: Images of each class; by default 10, and fewer, down to 1, where the picture would have more than
            25 million pixels.
        real: Real images; beside each synthetic image its nearest real one of the same class is drawn.

    Returns:
        A grey or RGB image.

    Raises:
        InputError: `real` has other classes, or images of another shape.
    """
    spec = synthetic.spec
    difference = spec.difference(real.spec) if real is not None else ""
    if real is not None and difference:
        raise InputError(
            f"the set was not made from the images of {real.spec.name!r}: {difference}; name them with --data"
        )
    chosen = range(spec.classes) if classes is None else classes
    members = [(synthetic.classes == k).nonzero()[:, 0] for k in chosen]
    headings = [""] if real is None else ["synthetic", "nearest real"]
    names = class_captions(spec, chosen)

    def layout(count: int) -> PictureLayout:
        return arrange(names, count, spec.shape, headings=headings, in_a_row=_IN_A_ROW // len(headings))

    count = largest_fitting(layout, min(per_class or _PER_CLASS, max(map(len, members))), fixed=per_class is not None)
    drawn = [spec.pixels(synthetic.images[positions[:count]]) for positions in members]
    beside = [] if real is None else [[nearest_real(real, pixels, k) for k, pixels in zip(chosen, drawn, strict=True)]]
    return layout(count).draw([drawn, *beside])
