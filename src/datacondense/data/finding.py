"""A published set from wherever it is: from disk, or else from the Hugging Face hub."""

import warnings
from pathlib import Path

from .image_set import ImageSet
from .named import NAMED, Found, Named
from .options import Options, Progress
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
            return _decoded(named, contents, progress)
        packed = [path for path in found.paths if path.suffix == ".gz"]
        note = checksums.check(name, found.folder, contents.digests, packed)
        sets = found.build(contents)
        if note:
            warnings.warn(note, stacklevel=2)
        return sets
    if named.hub is None:
        raise found.error()
    try:
        return hub.read(
            name=name,
            repo=named.hub.repo,
            config=named.hub.config,
            image_column=named.hub.image_column,
            label_column=named.hub.label_column,
            train=named.hub.train,
            test=named.hub.test,
            class_names=named.class_names,
            mean=named.mean,
            std=named.std,
            flip=named.flip,
            shape=named.shape,
            progress=progress,
        )
    except hub.Absent as error:
        raise found.error([f"the Hugging Face hub ({error})"]) from None


def _decoded(named: Named, listing: Listing, progress: Progress) -> tuple[ImageSet, ImageSet]:
    """A set that lies in image files."""
    parts = ((listing.train, False), (listing.test, True))
    return folder.read_files(
        named.name,
        listing.class_names,
        [(path, label, test) for files, test in parts for path, label in files],
        Options(),
        progress,
        mean=named.mean,
        std=named.std,
        flip=named.flip,
        rgb=named.shape[0] == 3,
        shape=named.shape,
    )
