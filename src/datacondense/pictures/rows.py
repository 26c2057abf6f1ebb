"""Draw several sets in one picture: for each class a row of images from each set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..drawing.layout import PictureLayout, arrange, class_captions, largest_fitting
from ..drawing.png_codec import to_png
from ..synthetic.set import SyntheticSet
from ..utils.atomic import write_bytes
from ..utils.errors import InputError

_PER_CLASS, _IN_A_ROW = 10, 20


def save_rows(
    sets: Mapping[str, SyntheticSet],
    path: Path,
    *,
    classes: Sequence[int] | None = None,
    per_class: int | None = None,
) -> None:
    """Write the first images of every class of each set as PNG, a row for each set under its name.

    Images that belong together, such as real ones and a generator's reconstructions of them, lie above each other.

    Args:
        sets: Name -> set; all of the same classes and image shape.
        path: The file to write.
        classes: The classes to draw, in that order; by default all.
        per_class: Images of each class; by default 10, and fewer where the picture would have more than 25 million
            pixels.

    Raises:
        InputError: The sets differ in their classes or image shape.
    """
    spec = next(iter(sets.values())).spec
    for name, one in sets.items():
        if (one.spec.class_names, one.spec.shape) != (spec.class_names, spec.shape):
            raise InputError(f"{name} has other classes, or images of another shape, than {next(iter(sets))}")
    chosen = range(spec.classes) if classes is None else classes
    members = [[(one.classes == k).nonzero()[:, 0] for k in chosen] for one in sets.values()]
    names = class_captions(spec, chosen)

    def layout(count: int) -> PictureLayout:
        return arrange(names, count, spec.shape, headings=list(sets), stacked=True, in_a_row=_IN_A_ROW)

    most = max(len(positions) for by_class in members for positions in by_class)
    count = largest_fitting(layout, min(per_class or _PER_CLASS, most), fixed=per_class is not None)
    images = [
        [one.spec.pixels(one.images[positions[:count]]) for positions in by_class]
        for one, by_class in zip(sets.values(), members, strict=True)
    ]
    write_bytes(path, to_png(layout(count).draw(images)))
