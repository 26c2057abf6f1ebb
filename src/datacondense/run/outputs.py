"""Pictures of a finished set in its run directory: its images, and the real images nearest to them."""

from pathlib import Path

from .. import pictures
from ..data.image_set import ImageSet
from ..synthetic.set import SyntheticSet


def write_outputs(synthetic: SyntheticSet, real: ImageSet, run: Path, *, again: bool = True) -> None:
    """Write the pictures of a set into its run directory.

    again: also write pictures that exist already.
    """
    if again or not (run / pictures.FILE_NAME).exists():
        pictures.save_grid(synthetic, run / pictures.FILE_NAME)
    neighbours = run / pictures.NEIGHBOURS_FILE
    if real.images.nbytes <= pictures.SEARCHED and (again or not neighbours.exists()):
        pictures.save_neighbours(synthetic, real, neighbours)
