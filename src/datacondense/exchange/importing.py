"""Read synthetic sets of others, and our own exports, into run directories."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import picture
from ..artifact import FILE_NAME, SyntheticSet, save
from ..atomic import new_directory
from ..errors import DamagedFile, DataNotFound, InputError
from ..files import named
from ..locks import replacing, writing
from ..rundir import IMPORTED, RUN, RunDirectory
from ..types import Spec
from . import destination, folder, hub, npz, published
from .marker import MARKER, SEVERAL, read_marker
from .provenance import public
from .runs import natural, runs_in


def import_sets(
    path: str | Path,
    spec: Spec | None,
    dest: str | Path,
    *,
    source: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Read the sets in `path` and write a run directory for each: `dest`, or dest/exp0, dest/exp1, ... for several.

    path: a file of the authors (.pt, also of class-incremental learning), or an export of ours, of one set or several.
    spec: what the data are, needed where the file does not say it; where it does, it must agree.
    source: the arguments of `data.load` for these data, so that `evaluate` finds the test images.
    overwrite: replace what an earlier import has left in `dest`; nothing else is ever replaced.
    Returns the run directories. `dest` is written whole or left as it was. Raises InputError for anything that
    cannot be used; nothing in a file is ever run.
    """
    path, dest = named(path), named(dest)
    destination.check_imported(dest, path, overwrite=overwrite)
    sets, files = read_sets(path, spec)
    record = {"file": path.name, "sha256": sha256(files), "sets": len(sets)}
    with new_runs(dest, path, overwrite=overwrite) as new:
        for synthetic, place in zip(sets, _places(new, len(sets)), strict=True):
            if spec is not None:
                _check_fit(path, synthetic.spec, spec)
            write_run(synthetic, place, record, source)
    return _places(dest, len(sets))


@contextmanager
def new_runs(dest: Path, path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A directory to fill with what is imported from `path`, which takes the place of `dest` when the block ends well.

    Raises InputError where `dest` may not be replaced, and Locked while another process writes to it.
    """
    with replacing(dest), ExitStack() as stack:
        for run in runs_in(dest) if dest.is_dir() else ():
            if (run / RUN).exists():
                stack.enter_context(writing(run))
        check = partial(destination.check_imported, dest, path, overwrite=overwrite)
        yield stack.enter_context(new_directory(dest, check))


def read_sets(path: Path, spec: Spec | None) -> tuple[list[SyntheticSet], list[Path]]:
    """The sets in `path`, and the files they were read from. path, spec: as `import_sets` takes them."""
    if path.suffix == ".safetensors" or (path.is_dir() and runs_in(path) != [path]) or (path / FILE_NAME).exists():
        raise InputError(f"{path} is a run already, not an export: evaluate, show and export take it as it is")
    if path.is_dir():
        record = read_marker(path) or {}
        if str(record.get("layout")).startswith(SEVERAL):
            return _read_several(path, record.get("sets"), spec)
        return hub.read(path, spec) if hub.is_hub(path) else folder.read(path, spec)
    if not path.exists():
        raise DataNotFound(f"{path} does not exist: name a file or directory with synthetic sets")
    if npz.is_npz(path):
        return npz.read(path)
    return published.read(path, spec)


def _read_several(path: Path, count: object, spec: Spec | None) -> tuple[list[SyntheticSet], list[Path]]:
    """The sets exp0, exp1, ... in a directory to which several were exported."""
    found = sorted((child for child in path.glob("exp*") if child.stem[3:].isdecimal()), key=natural)
    if [int(child.stem[3:]) for child in found] != list(range(len(found))) or len(found) != count or not found:
        raise DamagedFile(f"{path} is damaged: {MARKER} tells of {count} sets, and {len(found)} are there")
    parts = [read_sets(child, spec) for child in found]
    return [one for sets, _ in parts for one in sets], [path / MARKER, *(file for _, files in parts for file in files)]


def _places(directory: Path, sets: int) -> list[Path]:
    return [directory] if sets == 1 else [directory / f"exp{index}" for index in range(sets)]


def write_run(
    synthetic: SyntheticSet, directory: Path, record: Mapping[str, Any], source: Mapping[str, Any] | None
) -> None:
    """Write an imported set as a run. What it says of itself is filled up by what is known of any imported one.

    record: the file that it was read from; source: as `import_sets` takes it.
    """
    unknown = {
        "method": "imported",
        "settings": {},
        "data": synthetic.spec.name,
        "data_sha256": None,
        "ipc": int(synthetic.labels.bincount().max()),
        "source": None,
        "imported": dict(record),
    }
    named = {} if source is None else {"source": dict(source)}
    synthetic = replace(synthetic, provenance={**unknown, **public(synthetic.provenance), **named})
    directory.mkdir(exist_ok=True)
    save(synthetic, directory / FILE_NAME)
    picture.save_grid(synthetic, directory / picture.FILE_NAME)
    RunDirectory(directory).record({"status": IMPORTED, **synthetic.provenance})


def sha256(files: Iterable[Path]) -> str:
    """One digest of all that files hold."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _check_fit(path: Path, ours: Spec, named: Spec) -> None:
    difference = named.difference(ours)
    if difference:
        raise InputError(f"{path} was made from {ours.name!r}, which is not --data {named.name!r}: {difference}")
