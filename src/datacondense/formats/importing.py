"""Read synthetic sets of others, and our own exports, into run directories."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .. import pictures
from ..data.spec import Spec
from ..run.directory import IMPORTED, RUN, RunDirectory
from ..synthetic.provenance import Provenance
from ..synthetic.set import FILE_NAME, SyntheticSet, save
from ..utils.atomic import new_directory
from ..utils.errors import DamagedFile, DataNotFound, InputError
from ..utils.locks import replacing, writing
from ..utils.paths import named
from . import authors_pt, destination, hf_dataset, image_folder, npz
from .contents import pair_in, tiles
from .marker import MARKER, SEVERAL, read_marker
from .pixels import Pixels, Reading, Real, Taken
from .provenance import public
from .runs import natural, runs_in


def import_sets(
    path: str | Path,
    spec: Spec | None,
    dest: str | Path,
    *,
    source: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    pixels: Pixels = "auto",
    real: Real = None,
) -> list[Path]:
    """Read the sets in `path` and write a run directory for each: `dest`, or dest/exp0, dest/exp1, ... for several.

    Nothing in a file is ever run. `dest` is written whole or left as it was. What pixels were taken for stands in the
    provenance, as `imported.pixels`; a warning says it where they may be something else or were converted.

    Args:
        path: A .pt file of the authors of DC, DSA and DM (also of class-incremental learning) or of IDC, one of MTT's
            two or the directory that holds both, an .npz file with images and labels, or an export of ours.
        spec: What the data are, needed where the file does not say it; where it does, it must agree.
        dest: The directory to write.
        source: The arguments of `data.load` for these data, so that `evaluate` finds the test images.
        overwrite: Replace what an earlier import has left in `dest`; nothing else is ever replaced.
        pixels: What the pixels of others' files are: "normalised", "unit" (0 to 1), "bytes" (0 to 255) or "zca"
            (whitened, as MTT does by default); "auto" finds it out, or refuses where it cannot.
        real: The training images, or a function that reads them: needed for "zca", and by "auto" where range, mean and
            deviation do not tell.

    Returns:
        The run directories.

    Raises:
        InputError: Anything in the file that cannot be used, or pixels of which it is not clear what they are.
        DataNotFound: There is no such file.
    """
    path, dest = named(path), named(dest)
    destination.check_imported(dest, path, overwrite=overwrite)
    read = read_sets(path, spec, Reading(pixels, real))
    sets = read.sets
    record: dict[str, Any] = {"file": path.name, "sha256": sha256(read.files), "sets": len(sets)}
    if read.pixels is not None:
        record["pixels"] = read.pixels.to_json()
        if read.pixels.worth_a_warning(pixels):
            warnings.warn(f"{path}: {read.pixels}; say by --pixels what else they are, if so", stacklevel=2)
    if (factor := tiles(path)) > 1:
        warnings.warn(
            f"{path}: its images seem to hold {factor} x {factor} tiles each, as IDC stores them; they are imported as "
            "plain images, on which networks do not reach what IDC reports",
            stacklevel=2,
        )
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


class Read(NamedTuple):
    """What was read from a file or directory."""

    sets: list[SyntheticSet]
    files: list[Path]
    pixels: Taken | None = None
    """What the pixels of a file of others were taken for."""


def read_sets(path: Path, spec: Spec | None, reading: Reading | None = None) -> Read:
    """The sets in `path`, and the files they were read from. path, spec: as `import_sets` takes them.

    reading: what pixels are, as `import_sets` takes it in two arguments.
    """
    reading = reading or Reading()
    if path.suffix == ".safetensors" or (path.is_dir() and runs_in(path) != [path]) or (path / FILE_NAME).exists():
        raise InputError(f"{path} is a run already, not an export: evaluate, show and export take it as it is")
    if path.is_dir():
        record = read_marker(path) or {}
        if str(record.get("layout")).startswith(SEVERAL):
            reading.refuse(path)
            return _read_several(path, record.get("sets"), spec)
        pair = pair_in(path)
        if pair is not None and not record:
            return read_sets(pair, spec, reading)
        reading.refuse(path)
        return Read(*(hf_dataset.read(path, spec) if hf_dataset.is_hub(path) else image_folder.read(path, spec)))
    if not path.exists():
        raise DataNotFound(f"{path} does not exist: name a file or directory with synthetic sets")
    if not path.is_file():
        raise InputError(f"{path} is neither a file nor a directory: nothing is read from it")
    if npz.is_npz(path):
        return Read(*npz.read(path, spec, reading))
    return Read(*authors_pt.read(path, spec, reading))


def _read_several(path: Path, count: object, spec: Spec | None) -> Read:
    """The sets exp0, exp1, ... in a directory to which several were exported."""
    found = sorted((child for child in path.glob("exp*") if child.stem[3:].isdecimal()), key=natural)
    if [int(child.stem[3:]) for child in found] != list(range(len(found))) or len(found) != count or not found:
        raise DamagedFile(f"{path} is damaged: {MARKER} tells of {count} sets, and {len(found)} are there")
    for child in found:
        if child.is_dir() and str((read_marker(child) or {}).get("layout")).startswith(SEVERAL):
            raise DamagedFile(f"{path} is damaged: {child.name} holds several exports itself, which none is made of")
    parts = [read_sets(child, spec) for child in found]
    return Read(
        [one for part in parts for one in part.sets], [path / MARKER, *(file for part in parts for file in part.files)]
    )


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
    synthetic = replace(
        synthetic, provenance=Provenance.from_json({**unknown, **public(synthetic.provenance).to_json(), **named})
    )
    directory.mkdir(exist_ok=True)
    save(synthetic, directory / FILE_NAME)
    pictures.save_grid(synthetic, directory / pictures.FILE_NAME)
    RunDirectory(directory).record({"status": IMPORTED, **synthetic.provenance.to_json()})


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
