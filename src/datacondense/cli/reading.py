"""Reading real images, as several commands do it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ..data.image_set import ImageSet
from ..data.source import load
from ..synthetic.set import SyntheticSet
from ..utils.distributed import Processes, all_processes
from ..utils.errors import DataNotFound, InputError
from ..utils.ranges import HeldOut, Side
from .display import RunDisplay


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How images are read that have not been brought into shape."""

    data_dir: Path | None = None
    """Where the files of a named dataset are."""
    image_size: Side | None = None
    """Resize the short side of each image of folder: or hub: to this many pixels, and crop the middle square."""
    skip_broken: bool = False
    """Leave out images that cannot be read, and list them."""
    image_column: str | None = None
    """Column of the images in a hub set; by default the only one of images."""
    label_column: str | None = None
    """Column of the labels in a hub set; by default the only one of classes."""
    pixel_range: Literal["full", "own"] = "full"
    """What becomes 0 and 255: the ends of the range of the format (full), or the lowest and the highest value of all
    training images (own), as for images of 4, 10 or 12 bits."""
    hold_out: HeldOut = 0.0
    """Leave this share of each class's training images out, always the same: settings are chosen by them, with
    `evaluate --on validation`, and not by the test images."""

    def given(self) -> dict[str, Any]:
        """The arguments of `load` that were given."""
        return {
            field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not field.default
        }


def read(source: dict[str, Any], processes: Processes | None = None) -> tuple[ImageSet, ImageSet]:
    """`load` with these arguments, and a display of its progress.

    processes: who reads at once, by default all there are. The others wait for the leading one, and then find in the
    cache what it has decoded.
    """
    processes = all_processes() if processes is None else processes
    with RunDisplay("reading images", brief=True) as display:

        def reading() -> tuple[ImageSet, ImageSet]:
            return load(
                **source,
                progress=lambda what, done, total: display.step(done, total, f"{what} {done}/{total}", "images/s"),
            )

        if processes.size == 1:
            return reading()
        first: list[tuple[ImageSet, ImageSet]] = []
        processes.agreed(lambda: first.append(reading()))
        return first[0] if first else reading()


def real_images(
    paths: Sequence[Path],
    sets: Sequence[SyntheticSet],
    *,
    data: str | None,
    reading: Reading,
    which: str,
    validation: bool = False,
) -> tuple[ImageSet, ImageSet]:
    """Training and test images that the first of `sets`, read from `paths`, says it was made from.

    data, reading: where they are instead, and how they are read. which: the images that are needed, in words.
    validation: give the training images that were held out in place of the test images. A warning
    names each set that was made from others. Raises InputError when the set does not say and `data` is not given, and
    DataNotFound when they are no longer where it says.
    """
    recorded = dict(sets[0].provenance.source)
    if data and _kind(data) != _kind(str(recorded.get("source"))):
        recorded = {}  # how those images are read is of no use to others
    source = {**recorded, **({"source": data} if data else {})}
    if not source:
        raise InputError(f"{paths[0]} does not say what it was made from: name the {which} images by --data")
    source |= reading.given()
    if validation and not source.get("hold_out"):
        raise InputError(f"{paths[0]} was made from all training images: condense with --hold-out 0.1")
    try:
        train, test = read({**source, **({"validation": True} if validation else {})})
    except DataNotFound as error:
        if data or reading.data_dir:  # named just now, and not by what the set says
            raise
        where = source["source"] + (f" in {source['data_dir']}" if "data_dir" in source else "")
        raise DataNotFound(
            f"the data that {paths[0]} was made from are not at {where} any more: name them by --data ({error})"
        ) from None
    fingerprint = train.fingerprint()
    for path, synthetic in zip(paths, sets, strict=True):
        made_from = synthetic.provenance.data_sha256
        if made_from not in (None, fingerprint):
            warnings.warn(f"{source['source']} does not hold the images that {path} was made from", stacklevel=1)
    return train, test


def _kind(source: str) -> str:
    """What tells how a source is read: its prefix, or its name."""
    return source.partition(":")[0]
