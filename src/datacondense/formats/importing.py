"""Read synthetic sets of other programs, and exports of this one, into run directories."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from .. import pictures
from ..data.spec import Spec
from ..run.directory import IMPORTED, RUN, RunDirectory
from ..synthetic.provenance import Provenance
from ..synthetic.set import FILE_NAME, SyntheticSet, save
from ..utils.atomic import new_directory
from ..utils.errors import DamagedFile, DataNotFound, InputError, naming
from ..utils.keywords import check_keywords
from ..utils.locks import replacing, writing
from ..utils.paths import named
from . import destination
from .export_marker import MARKER, SEVERAL, read_marker
from .file_options import FileOptions, ImportOptions
from .label_kinds import HELP
from .local_paths import without_local_paths
from .pixel_scale import PixelOptions
from .pt_layouts import find_images_of_pair
from .read_result import ReadResult
from .registry import FORMATS
from .run_folders import by_number, find_runs
from .tiles import as_tiles, tiles_per_side


def import_sets(
    path: str | Path,
    spec: Spec | None,
    dest: str | Path,
    *,
    source: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    **options: Unpack[ImportOptions],
) -> list[Path]:
    """Read the sets in `path` and write a run directory for each: `dest`, or dest/exp0, dest/exp1, ... for several.

    No code in a file is executed. `dest` is written completely or left unchanged. The scale in which pixels were read
    is recorded as `imported.pixels` in the provenance, the kind of soft labels as `imported.labels`, and tiles as
    `imported.factor`; a warning reports a scale that is uncertain or was converted, and labels read as logits.

    Args:
        path: A .pt file of the authors of DC, DSA and DM (also of class-incremental learning) or of IDC, one of MTT's
            two or the directory that holds both, an .npz file with images and labels, a folder of PNG images with or
            without a table of labels, or an export of this package.
        spec: Describes the data; needed if the file does not, and must agree if it does.
        dest: The directory to write.
        source: The arguments of `data.load` for these data, so that `evaluate` finds the test images.
        overwrite: Replace the runs of an earlier import in `dest`; nothing else is ever replaced.
        options: The keywords of `ImportOptions`, for files that do not describe themselves.

    Returns:
        The run directories.

    Raises:
        InputError: The file cannot be used, or the scale of its pixels is ambiguous.
        DataNotFound: There is no such file.
        TypeError: A keyword is unknown.
        Locked: Another process exports or imports to `dest`.
    """
    check_keywords("import_sets", ImportOptions, options)
    pixels = PixelOptions(options.get("pixels", "auto"), options.get("real"))
    chosen = FileOptions(pixels, options.get("labels", "auto"), options.get("factor"))
    path, dest = named(path), named(dest)
    destination.check_imported(dest, path, overwrite=overwrite)
    read = read_sets(path, spec, chosen)
    sets = read.sets
    record = {"file": path.name, "sha256": digest_files(read.files), "sets": len(sets), **_recognised(read)}
    if read.pixels is not None and read.pixels.deserves_warning(pixels.scale):
        warnings.warn(f"{path}: {read.pixels}; name another scale with --pixels if this is wrong", stacklevel=2)
    if read.labels is not None and chosen.labels == "auto" and read.labels.kind == "logits":
        warnings.warn(f"{path}: {read.labels}, and their softmax is stored; {HELP} if this is wrong", stacklevel=2)
    if read.factor > 1 and chosen.factor is None:
        cut = f"each of its images is cut into {read.factor} x {read.factor} training images, as the name of its"
        warnings.warn(f"{path}: {cut} directory says; leave images whole with --factor 1", stacklevel=2)
    with new_runs(dest, path, overwrite=overwrite) as new:
        for synthetic, place in zip(sets, _run_folders(new, len(sets)), strict=True):
            if spec is not None:
                _check_same_data(path, synthetic.spec, spec)
            write_run(synthetic, place, record, source)
    return _run_folders(dest, len(sets))


@contextmanager
def new_runs(dest: Path, path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a directory to fill with the sets of `path`; it replaces `dest` when the block ends without an error.

    Raises InputError if `dest` may not be replaced, and Locked while another process writes to it.
    """
    with replacing(dest), ExitStack() as stack:
        for run in find_runs(dest) if dest.is_dir() else ():
            if (run / RUN).exists():
                stack.enter_context(writing(run))
        check = partial(destination.check_imported, dest, path, overwrite=overwrite)
        yield stack.enter_context(new_directory(dest, check))


def _recognised(read: ReadResult) -> dict[str, Any]:
    """Return what is recorded of a file that does not describe itself."""
    found: dict[str, Any] = {} if read.pixels is None else {"pixels": read.pixels.to_json()}
    found |= {} if read.labels is None else {"labels": read.labels.to_json()}
    return found | ({} if read.factor == 1 else {"factor": read.factor})


def read_sets(path: Path, spec: Spec | None, options: FileOptions | None = None) -> ReadResult:
    """Read the sets in `path`, whatever its format. `path` and `spec` are those of `import_sets`."""
    options = options or FileOptions()
    read = _read(path, spec, options)
    factor = options.factor or tiles_per_side(path)
    if not read.foreign or factor == 1:
        return read
    with naming(path):
        return read._replace(sets=[as_tiles(one, factor) for one in read.sets], factor=factor)


def _read(path: Path, spec: Spec | None, options: FileOptions) -> ReadResult:
    """Read the sets in `path` without cutting tiles."""
    if path.suffix == ".safetensors" or (path.is_dir() and find_runs(path) != [path]) or (path / FILE_NAME).exists():
        raise InputError(f"{path} is already a run, not an export: evaluate, show and export read it directly")
    if path.is_dir():
        record = read_marker(path) or {}
        if str(record.get("layout")).startswith(SEVERAL):
            options.reject_all(path)
            return _read_several(path, record.get("sets"), spec)
        pair = find_images_of_pair(path)
        if pair is not None and not record:
            return _read(pair, spec, options)
        options.pixels.reject_scale(path)
    elif not path.exists():
        raise DataNotFound(f"{path} does not exist: name a file or directory with synthetic sets")
    elif not path.is_file():
        raise InputError(f"{path} is neither a file nor a directory: nothing is read from it")
    formats = (one for one in FORMATS.values() if bool(one.suffix) == path.is_file())
    return next(one for one in formats if one.recognises(path)).read(path, spec, options)


def _read_several(path: Path, count: object, spec: Spec | None) -> ReadResult:
    """Read the sets exp0, exp1, ... in a directory to which several were exported."""
    found = sorted((child for child in path.glob("exp*") if child.stem[3:].isdecimal()), key=by_number)
    if [int(child.stem[3:]) for child in found] != list(range(len(found))) or len(found) != count or not found:
        raise DamagedFile(f"{path} is damaged: {MARKER} lists {count} sets, but {len(found)} are there")
    for child in found:
        if child.is_dir() and str((read_marker(child) or {}).get("layout")).startswith(SEVERAL):
            raise DamagedFile(f"{path} is damaged: {child.name} holds several exports itself: exports are not nested")
    parts = [read_sets(child, spec) for child in found]
    return ReadResult(
        [one for part in parts for one in part.sets], [path / MARKER, *(file for part in parts for file in part.files)]
    )


def _run_folders(directory: Path, sets: int) -> list[Path]:
    """Return the directory of each run."""
    return [directory] if sets == 1 else [directory / f"exp{index}" for index in range(sets)]


def write_run(
    synthetic: SyntheticSet, directory: Path, record: Mapping[str, Any], source: Mapping[str, Any] | None
) -> None:
    """Write an imported set as a run. Defaults of every imported set fill the gaps of its own provenance.

    `record` describes the file that it was read from; `source` is that of `import_sets`.
    """
    unknown = {
        "method": "imported",
        "settings": {},
        "data": synthetic.spec.name,
        "data_sha256": None,
        "ipc": int(synthetic.counts.max()) // synthetic.views,
        "source": None,
        "imported": dict(record),
    }
    named = {} if source is None else {"source": dict(source)}
    entries = {**unknown, **without_local_paths(synthetic.provenance).to_json(), **named}
    synthetic = replace(synthetic, provenance=Provenance.from_json(entries))
    directory.mkdir(exist_ok=True)
    save(synthetic, directory / FILE_NAME)
    pictures.save_grid(synthetic, directory / pictures.FILE_NAME)
    RunDirectory(directory).record({"status": IMPORTED, **synthetic.provenance.to_json()})


def digest_files(files: Iterable[Path]) -> str:
    """Return one sha256 of the content of all files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _check_same_data(path: Path, recorded: Spec, named: Spec) -> None:
    """Raise InputError if a file records other data than the user named."""
    difference = named.difference(recorded)
    if difference:
        raise InputError(f"{path} was made from {recorded.name!r}, which is not --data {named.name!r}: {difference}")
