"""Draw a condensed set as a grid: its images class by class, beside the class names and, on request, real images."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from ..data.image_set import ImageSet
from ..drawing.grid import Pixels, draw_classes
from ..drawing.png_codec import to_png
from ..synthetic.set import SyntheticSet
from ..utils.atomic import write_bytes
from ..utils.errors import InputError
from .nearest import nearest_real


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

    def pixels(_: int, positions: Tensor) -> Tensor:
        return spec.pixels(synthetic.images[positions])

    groups: list[Pixels] = [pixels]
    if real is not None:
        groups.append(lambda k, positions: nearest_real(real, pixels(k, positions), k))
    return draw_classes(
        spec,
        chosen,
        [(synthetic.classes == k).nonzero()[:, 0] for k in chosen],
        groups,
        headings=[""] if real is None else ["synthetic", "nearest real"],
        per_class=per_class,
        soft=synthetic.labels if synthetic.soft else None,
    )
