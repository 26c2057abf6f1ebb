"""Several sets in one picture: of each class a row of images from each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..synthetic.set import SyntheticSet
from ..utils.atomic import write_bytes
from ..utils.errors import InputError
from .layout import Layout, arrange, class_labels, fitting, to_png

_PER_CLASS, _IN_A_ROW = 10, 20


def save_rows(
    sets: Mapping[str, SyntheticSet],
    path: Path,
    *,
    classes: Sequence[int] | None = None,
    per_class: int | None = None,
) -> None:
    """Write the first images of every class of each set as PNG, a row for each set under its name.

    So images that belong together, such as real ones and those that a generator makes of their latents, stand one
    above the other. classes: the classes to draw, in that order; by default all. per_class: how many images of each;
    by default 10, and fewer where the picture would have more than 25 million pixels.
    Raises InputError when the sets are not of the same classes and image shape.
    """
    spec = next(iter(sets.values())).spec
    for name, one in sets.items():
        if (one.spec.class_names, one.spec.shape) != (spec.class_names, spec.shape):
            raise InputError(f"{name} has other classes, or images of another shape, than {next(iter(sets))}")
    chosen = range(spec.classes) if classes is None else classes
    members = [[(one.labels == k).nonzero()[:, 0] for k in chosen] for one in sets.values()]
    labels = class_labels(spec, chosen)

    def layout(count: int) -> Layout:
        return arrange(labels, count, spec.shape, headings=list(sets), stacked=True, in_a_row=_IN_A_ROW)

    most = max(len(positions) for of_set in members for positions in of_set)
    count = fitting(layout, min(per_class or _PER_CLASS, most), fixed=per_class is not None)
    images = [
        [one.spec.pixels(one.images[positions[:count]]) for positions in of_set]
        for one, of_set in zip(sets.values(), members, strict=True)
    ]
    write_bytes(path, to_png(layout(count).draw(images)))
