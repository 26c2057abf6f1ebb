"""Writing in one step: a file or a directory is there whole or not at all, and what killed processes left goes."""

import errno
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError
from .owner import of_tag, ours
from .paths import resolved

_PARTIAL, _OLD = ".partial", ".old"
_LEFT = re.compile(r"\.(?P<name>.+?)(\.[a-z0-9_]{8})?\.(?P<tag>\d+-\d+-[0-9a-f]{8})\.partial", re.DOTALL)
"""A temporary file or folder: what it was to become, what `mkdtemp` adds, and whose it is."""
LOCK = ".datacondense.lock"
"""The file in a directory by which a process keeps the others from writing to it."""


def write_bytes(path: Path, data: bytes, *, keep: Path | None = None) -> None:
    """Replace `path` by `data` in one step. After a crash or on a full disk the old content is still there.

    keep: where the old content goes; at any moment at least one of the two files is whole.
    What killed processes have left half-written in the directory is deleted first.
    Raises OSError, with nothing left behind, when the file cannot be written.
    """
    path = resolved(path)  # a link stays one
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file that can be replaced: name another")
    with _written(path, data) as partial:
        if keep is not None and path.exists():
            path.replace(keep)
        partial.replace(path)


@contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """A file beside `path` with `data`, on the disk, to be moved to its place inside; it is gone afterwards."""
    sweep(path.parent)
    partial = path.with_name(f".{path.name}.{ours().tag}{_PARTIAL}")  # another process may write the same
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        partial.unlink(missing_ok=True)


def sweep(directory: Path, *, all_of: Collection[str] = ()) -> None:
    """Delete what killed processes of this machine were writing to `directory`: their temporary files and folders.

    all_of: names of files; temporary files of these are deleted whoever wrote them. For whoever alone may write them.
    """
    try:
        with os.scandir(directory) as found:
            left = [(entry.path, match) for entry in found if (match := _LEFT.fullmatch(entry.name))]
    except OSError:  # there is no such directory, or it cannot be read
        return
    for place, match in left:
        owner = of_tag(match["tag"])
        if match["name"] in all_of or (owner and owner.dead):
            _delete(Path(place))


def _delete(place: Path) -> None:
    with suppress(OSError):  # it is another user's, or another process was faster
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


def put_back(path: Path) -> None:
    """Where a process was killed while it replaced `path` by `new_directory`, undo it: nothing is lost."""
    path = resolved(path)
    earlier = path.with_name(f".{path.name}{_OLD}")  # as versions before this one named it
    if earlier.exists() and not path.exists():
        earlier.rename(path)
    for old in path.parent.glob(f".{glob.escape(path.name)}.*{_OLD}"):
        owner = of_tag(old.name.removeprefix(f".{path.name}.").removesuffix(_OLD))
        if owner and owner.dead:
            if path.exists():
                _delete(old)
            else:
                old.rename(path)


@contextmanager
def new_directory(path: Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """A directory to fill, beside `path`, which takes the place of `path` when the block ends well.

    check: raises an error where `path` may not be replaced. It is called first; what is at `path` must be the same when
    it is replaced. What was at `path` is deleted then, and not before. After an error or Ctrl-C in the block it is
    still there, and nothing is left of the new one. Parents of `path` are made.
    Raises InputError where another process has written to `path` in the meantime.
    """
    path = resolved(path)
    with parents(path):
        put_back(path)
        sweep(path.parent)
        check()
        before, taken = _listing(path), path.is_dir() and any(path.iterdir())
        check()  # of what was listed
        tag = ours().tag
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=f".{tag}{_PARTIAL}", dir=path.parent))
        try:
            new = partial / path.name
            new.mkdir()  # inside, as only the one around it is closed to other users
            yield new
            if not taken:
                _place(new, path)
                return
            old = path.with_name(f".{path.name}.{tag}{_OLD}")
            path.rename(old)
            try:
                if _listing(old) != before:
                    raise _changed(path)
                _place(new, path)
            except BaseException:
                if not path.exists():
                    old.rename(path)
                raise
            shutil.rmtree(old)
        finally:
            shutil.rmtree(partial)


def _place(new: Path, path: Path) -> None:
    """Move a directory to a place where there is nothing, or an empty directory."""
    try:
        new.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _changed(path) from None
        raise


@contextmanager
def new_file(path: Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """A file to write, beside `path`, which takes the place of `path` as `new_directory` has it.

    check: raises an error where the file at `path` may not be replaced.
    Raises InputError where another process has written to `path` in the meantime.
    """
    path = resolved(path)
    with parents(path):
        sweep(path.parent)
        check()
        before = _listing(path)
        check()  # of what was listed
        partial = path.with_name(f".{path.name}.{ours().tag}{_PARTIAL}")
        try:
            yield partial
            if before:
                if _listing(path) != before:
                    raise _changed(path)
                partial.replace(path)
            else:
                _link(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _link(partial: Path, path: Path) -> None:
    """Put a file where there is none: other than a rename, a link replaces nothing."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise _changed(path) from None
    except OSError:  # a file system without links
        if path.exists():
            raise _changed(path) from None
        partial.replace(path)


def _changed(path: Path) -> InputError:
    return InputError(f"{path} was written by another process in the meantime, and is left as it is: name another")


def _listing(path: Path) -> list[tuple[str, int, int, int]]:
    """All files of a directory, or the one file, by name, size, time of change and inode; locks do not count."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if not file.is_dir() or file.is_symlink()]
    found = ((file, file.lstat()) for file in files if file.name != LOCK)
    return sorted((file.relative_to(path).as_posix(), s.st_size, s.st_mtime_ns, s.st_ino) for file, s in found)


@contextmanager
def parents(path: Path) -> Iterator[None]:
    """Make the directories above `path`; after an error in the block those that were made are gone again.

    Raises InputError where one of them is a file.
    """
    above = next(parent for parent in path.parents if parent.exists())
    if not above.is_dir():
        raise InputError(f"{path} lies below {above}, which is a file: name another")
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in missing:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise
