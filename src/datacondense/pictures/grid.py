"""Draw a condensed set as a grid: its images class by class, beside the class names and, on request, real images."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image
from torch import Tensor

from ..data.image_set import ImageSet
from ..synthetic.set import SyntheticSet
from ..utils.atomic import write_bytes
from ..utils.errors import InputError
from .layout import Labels, PictureLayout, arrange, class_captions, largest_fitting
from .nearest import nearest_real
from .png_codec import to_png
from .soft_labels import largest_labels

_IN_A_ROW = 20  # images of a class, synthetic and real
_LABELLED_IN_A_ROW = 10
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

    If each class has few images, the classes form several columns, read downwards. Images with soft labels belong to
    the class of the largest, and their three largest labels stand below them, where the picture has room for that.

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

    def arranged(labelled: bool) -> PictureLayout:
        width = (_LABELLED_IN_A_ROW if labelled else _IN_A_ROW) // len(headings)
        layout = partial(arrange, names, shape=spec.shape, headings=headings, in_a_row=width, labelled=labelled)
        most = min(per_class or _PER_CLASS, max(map(len, members)))
        return layout(largest_fitting(layout, most, fixed=per_class is not None))

    layout = arranged(synthetic.soft)
    if not layout.fits:
        layout = arranged(labelled=False)
    shown = [positions[: layout.count] for positions in members]
    drawn = [spec.pixels(synthetic.images[positions]) for positions in shown]
    beside = [] if real is None else [[nearest_real(real, pixels, k) for k, pixels in zip(chosen, drawn, strict=True)]]
    return layout.draw([drawn, *beside], labels=[_labels(synthetic, positions) for positions in shown])


def _labels(synthetic: SyntheticSet, index: Tensor) -> list[Labels]:
    """Return the largest labels of the images at `index` (n,)."""
    names = synthetic.spec.class_names
    return [[(names[k], k, text) for k, text in of_image] for of_image in largest_labels(synthetic, index)]
