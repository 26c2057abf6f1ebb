"""Load a published dataset by name: from disk, or else from the Hugging Face hub."""

import warnings
from pathlib import Path

from .image_set import ImageSet
from .named import NAMED, Found
from .options import ReadProgress
from .readers import checksums
from .search_paths import ImageFiles
from .sources import folder, hub


def load(data_dir: Path | None, progress: ReadProgress, *, name: str) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set of a name in NAMED, from the first place that has its files.

    data_dir: the only folder to search, unless None. Warn of files that are not the published ones. Raise DataNotFound,
    whose message names every place and how to get the files, when they are missing; InputError for damaged files and
    for the published files of another dataset.
    """
    named = NAMED[name]
    found = named.find(data_dir)
    if isinstance(found, Found):
        contents = found.contents()
        if isinstance(contents, ImageFiles):
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
