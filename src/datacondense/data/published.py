"""A published set from wherever it is: from disk, or else from the Hugging Face hub."""

import warnings
from pathlib import Path

from .image_set import ImageSet
from .named import NAMED, Found
from .options import Progress
from .readers import checksums
from .search_paths import Listing
from .sources import folder, hub


def load(name: str, data_dir: Path | None, progress: Progress) -> tuple[ImageSet, ImageSet]:
    """Train and test set of a name in NAMED, from the first place that has it.

    data_dir: the only folder that is looked in, when given. Raises InputError, which names every place and how to get
    the set, when none has it, and for files that are damaged or published ones of another set. A warning names files
    that are not the published ones.
    """
    named = NAMED[name]
    found = named.find(data_dir)
    if isinstance(found, Found):
        contents = found.contents()
        if isinstance(contents, Listing):
            return folder.read_published(named, contents, progress)
        packed = [path for path in found.paths if path.suffix == ".gz"]
        note = checksums.check(name, found.folder, contents.digests, packed)
        sets = found.build(contents)
        if note:
            warnings.warn(note, stacklevel=2)
        return sets
    if named.hub is None:
        raise found.error()
    try:
        return hub.read_published(named, named.hub, progress)
    except hub.Absent as error:
        raise found.error([f"the Hugging Face hub ({error})"]) from None
