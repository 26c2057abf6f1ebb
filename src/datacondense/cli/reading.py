"""Read real images for several commands."""

import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..data.image_set import ImageSet
from ..data.options import ReadOptions
from ..data.source import DataSource
from ..formats import find_runs
from ..synthetic.set import SyntheticSet, load_set
from ..utils.distributed import Processes, all_processes
from ..utils.errors import DataNotFound, InputError
from ..utils.locks import writer
from .display import RunDisplay


def read(source: DataSource, processes: Processes | None = None) -> tuple[ImageSet, ImageSet]:
    """Load a source and display the progress.

    processes: those that read at the same time, by default all of them. They wait for the leading one, and then find
        the decoded images in the cache.
    """
    processes = all_processes() if processes is None else processes
    with RunDisplay("reading images", brief=True) as display:

        def reading() -> tuple[ImageSet, ImageSet]:
            return source.load(
                lambda what, done, total: display.step(done, total, f"{what} {done}/{total}", "images/s"),
            )

        if processes.size == 1:
            return reading()
        first: list[tuple[ImageSet, ImageSet]] = []
        processes.agreed(lambda: first.append(reading()))
        return first[0] if first else reading()


def named_sets(run_dirs: Sequence[Path], command: str) -> tuple[list[Path], list[SyntheticSet]]:
    """Return the runs that the command line names, and their sets. Warns of a run that is being written.

    Raises InputError if none is named, or if two hold the same set.
    """
    if not run_dirs:
        raise InputError(f"name a run, before the options: datacondense {command} RUN")
    runs = [run for path in run_dirs for run in find_runs(path)]
    for run in runs:
        holder = writer(run)
        if holder:
            text = f"{run} is being written by {holder}: scores are saved there only if its set does not change"
            warnings.warn(text, stacklevel=1)
    sets = [load_set(path) for path in runs]
    prints = [synthetic.fingerprint() for synthetic in sets]
    for place, path in enumerate(runs):
        first = prints.index(prints[place])
        if first != place:
            raise InputError(f"{runs[first]} and {path} hold the same set: name one of them")
    return runs, sets


def real_images(
    paths: Sequence[Path],
    sets: Sequence[SyntheticSet],
    *,
    data: str | None,
    reading: ReadOptions,
    which: str,
    validation: bool = False,
) -> tuple[ImageSet, ImageSet]:
    """Return the training and test images that the first of `sets`, read from `paths`, was made from.

    data, reading: another source to read instead, and its options. which: the images that are needed, in words.
    validation: give the training images that were held out in place of the test images. A warning names each set that
    was made from other images. Raises InputError when the set does not record its source and `data` is None, and
    DataNotFound when the images are no longer there.
    """
    recorded = dict(sets[0].provenance.source)
    if data and DataSource(data).prefix != DataSource(str(recorded.get("source"))).prefix:
        recorded = {}  # how those images are read is of no use to others
    record = {**recorded, **({"source": data} if data else {})}
    if not record:
        raise InputError(f"{paths[0]} does not record its source: name the {which} images with --data")
    source = replace(DataSource.from_json(record | _non_default(reading)), validation=validation)
    if validation and not source.hold_out:
        raise InputError(f"{paths[0]} was made from all training images: condense with --hold-out 0.1")
    try:
        train, test = read(source)
    except DataNotFound as error:
        if data or reading.data_dir:  # named on the command line, not by the set
            raise
        where = source.source + (f" in {source.data_dir}" if source.data_dir else "")
        raise DataNotFound(
            f"the data from which {paths[0]} was made are no longer at {where}: name them with --data ({error})"
        ) from None
    fingerprint = train.fingerprint()
    for path, synthetic in zip(paths, sets, strict=True):
        made_from = synthetic.provenance.data_sha256
        if made_from not in (None, fingerprint):
            warnings.warn(f"{source.source} does not hold the images that {path} was made from", stacklevel=1)
    return train, test


def _non_default(options: ReadOptions) -> dict[str, Any]:
    """Return the options that are on the command line, by name."""
    values = ((field.name, getattr(options, field.name), field.default) for field in fields(options))
    return {name: value for name, value, default in values if value is not default}  # `--hold-out 0.0` is another zero
