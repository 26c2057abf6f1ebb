"""Import the images of IDC as tiles: each stored image holds F x F training images."""

import re
from dataclasses import replace
from pathlib import Path

from ..synthetic.decoders import TileDecoder
from ..synthetic.set import SyntheticSet, checked
from ..synthetic.stored import Encoded
from ..utils.limits import affordable

_FACTOR = re.compile(r"factor(\d{1,3})(?!\d)")
_LARGEST = 16


def tiles_per_side(path: Path) -> int:
    """Return the tiles along each side of an image by the name of IDC's directory (..._factor2_...); 1 without it."""
    found = _FACTOR.findall(path.absolute().parent.name) if path.name == "data.pt" else []
    return int(found[-1]) if found and 1 <= int(found[-1]) <= _LARGEST else 1


def as_tiles(synthetic: SyntheticSet, factor: int) -> SyntheticSet:
    """Return a set whose images (N, C, H, W) are stored ones, of which each is cut into F x F training images.

    The views of an image follow one another, and all have its label. Raises InputError if they do not fit into memory,
    or if an image has fewer pixels than tiles.
    """
    if factor == 1:
        return synthetic
    decoder, spec = TileDecoder(factor=factor), synthetic.spec
    views = decoder.views(spec)
    affordable(4 * 4 * synthetic.images.numel() * views, "its images", held=synthetic.images.nbytes)
    stored = Encoded.round_trip(decoder, {"images": synthetic.images[None]}, spec, "f32")
    labels = synthetic.labels.repeat_interleave(views, dim=0)
    made = checked(stored.images(labels), labels, spec, synthetic.provenance, recipe=synthetic.recipe)
    return replace(made, stored=stored)
