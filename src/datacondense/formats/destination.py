"""Protect files at a destination: --overwrite replaces exports and imported runs, and nothing else."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..pictures import FILE_NAMES
from ..run.directory import IMPORTED, PROCESS, REPORT, RUN, SCORES, RunDirectory
from ..synthetic.set import FILE_NAME
from ..utils.atomic import LOCK
from ..utils.errors import InputError
from ..utils.paths import resolved
from .export_marker import MARKER

_EXPORTED = re.compile(
    r"(exp\d+/)?(datacondense\.json|README\.md|labels\.csv|data/train-\d+-of-\d+\.parquet|\d\d+(_[^/]*)?/\d{4,}\.png)|exp\d+\.npz"
)
"""The files of an exported directory."""
_RUN_FILES = {RUN, FILE_NAME, SCORES, PROCESS, REPORT, *FILE_NAMES}
"""The files of an imported run: those of `import`, `evaluate` and `show`."""


def check_file(dest: Path, is_export: Callable[[Path], bool], read_from: Sequence[Path], *, overwrite: bool) -> None:
    """Raise InputError unless `dest` is free, or is to be overwritten and holds an export of the same format.

    `is_export` recognises such an export. `read_from`, the origin of the sets, is never replaced.
    """
    resolved(dest)
    if dest.is_dir():
        raise InputError(f"{dest} is a directory: name a file")
    if not dest.exists():
        return
    if not overwrite:
        raise InputError(f"{dest} exists: replace it with --overwrite, or name another")
    if not dest.is_file():
        raise InputError(f"{dest} is neither a file nor a directory: name another")
    _check_keeps_sources(dest, read_from)
    if not is_export(dest):
        raise InputError(
            f"{dest} is not an export of this format, and --overwrite replaces only such exports: name another file"
        )


def check_exported(dest: Path, read_from: Sequence[Path], *, overwrite: bool) -> None:
    """Raise InputError unless the directory `dest` is free, or is to be overwritten and holds an export alone."""
    if not _in_use(dest, overwrite=overwrite):
        return
    _check_keeps_sources(dest, read_from)
    if not (dest / MARKER).is_file():
        raise InputError(f"{dest} is not an export, and --overwrite replaces only exports: name another directory")
    _check_known(dest, (_EXPORTED.fullmatch(file.relative_to(dest).as_posix()) is not None for file in _files(dest)))


def check_imported(dest: Path, path: Path, *, overwrite: bool) -> None:
    """Raise InputError unless the directory `dest` is free, or is to be overwritten and holds imported runs alone.

    `path`, the origin of the sets, is never replaced.
    """
    if path.is_dir() and resolved(path) in resolved(dest).parents:
        raise InputError(f"{dest} lies inside {path}, which is to be imported: name a directory outside it")
    if not _in_use(dest, overwrite=overwrite):
        return
    _check_keeps_sources(dest, [path])
    runs = [dest] if (dest / RUN).exists() else sorted(child for child in dest.iterdir() if _is_experiment(child))
    if not runs:
        raise InputError(f"{dest} holds other files than imported runs, which --overwrite would delete: name another")
    for run in runs:
        record = RunDirectory(run).recorded() if (run / RUN).is_file() else {}
        if record.get("status") != IMPORTED:
            raise InputError(f"{run} was not imported, and --overwrite replaces only imported runs: name another")
    _check_known(dest, (file.parent in runs and file.name in _RUN_FILES for file in _files(dest)))


def _in_use(dest: Path, *, overwrite: bool) -> bool:
    """Return whether a directory has content that is to be overwritten. Raises InputError unless it can be written."""
    here, place = Path.cwd(), resolved(dest)
    if place in (here, *here.parents):
        raise InputError(
            f"{dest} is the current directory or holds it: name a directory inside it, or change to another directory"
        )
    if dest.exists() and not dest.is_dir():
        raise InputError(f"{dest} is a file: name a directory")
    if not dest.exists() or all(path.name == LOCK for path in dest.iterdir()):
        return False
    if not overwrite:
        raise InputError(f"{dest} is not empty: replace it with --overwrite, or name another directory")
    return True


def _check_keeps_sources(dest: Path, read_from: Sequence[Path]) -> None:
    """Raise InputError if replacing `dest` would delete a source."""
    for path in read_from:
        if resolved(dest) in (resolved(path), *resolved(path).parents):
            raise InputError(
                f"{dest} holds {path}, which is read here and which --overwrite would delete: name another"
            )


def _files(directory: Path) -> list[Path]:
    """Return all files below a directory, links included, but for locks."""
    found = (path for path in directory.rglob("*") if not path.is_dir() or path.is_symlink())
    return sorted(path for path in found if path.name != LOCK)


def _check_known(dest: Path, known: Iterable[bool]) -> None:
    """Raise InputError for the first file in `dest` that this package has not written."""
    for file, is_known in zip(_files(dest), known, strict=True):
        if not is_known:
            raise InputError(f"{dest} holds other files, such as {file}, which --overwrite would delete: name another")


def _is_experiment(child: Path) -> bool:
    return re.fullmatch(r"exp\d+", child.name) is not None and child.is_dir()
