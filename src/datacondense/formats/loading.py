"""Read one synthetic set, whatever file or directory holds it."""

from pathlib import Path

from ..data.spec import Spec
from ..synthetic import set as set_file
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError
from ..utils.paths import named
from .export_marker import has_marker
from .importing import read_sets


def load_set(path: str | Path, *, spec: Spec | None = None) -> SyntheticSet:
    """Read a set from its file, from the run directory that holds it, or from an export.

    Args:
        path: A run directory; a .safetensors file, as `SyntheticSet.save` writes it; or an export: a folder of PNG
            images, a directory for `datasets`, an .npz file or a .pt file. With `spec`, also what other programs wrote.
        spec: Describes the data of a file or folder of another program, which does not describe itself.

    Returns:
        The set, on the CPU.

    Raises:
        DataNotFound: There is no set.
        InputError: The file is damaged, holds several sets, or does not describe its images.
    """
    place = named(path)
    if place.is_dir():
        is_other = (spec is not None or has_marker(place)) and not (place / set_file.FILE_NAME).is_file()
    else:
        is_other = place.is_file() and place.suffix != ".safetensors"
    if not is_other:
        return set_file.load_set(place)
    sets = read_sets(place, spec).sets
    if len(sets) > 1:
        raise InputError(f"{path} holds {len(sets)} sets: dc.import_sets makes a run directory of each")
    return sets[0]
