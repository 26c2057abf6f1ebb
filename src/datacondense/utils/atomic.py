"""Write files and directories in one step, and delete temporary files of killed processes."""

import errno
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError
from .file_owner import current_owner, parse_tag
from .paths import resolved

_PARTIAL, _OLD = ".partial", ".old"
_LEFT = re.compile(r"\.(?P<name>.+?)(\.[a-z0-9_]{8})?\.(?P<tag>\d+-\d+-[0-9a-f]{8})\.partial", re.DOTALL)
"""Name of a temporary file or folder: its target, the random part of `mkdtemp`, and the tag of its owner."""
LOCK = ".datacondense.lock"
"""Lock file in a directory."""


def write_bytes(path: Path, data: bytes, *, keep: Path | None = None) -> None:
    """Replace the content of `path` with `data` in one step. A crash or a full disk leaves the old content.

    keep: path to which the old file moves; at any moment at least one of the two files is whole.
    Temporary files of killed processes in the directory are deleted first.
    Raise OSError, with nothing left behind, when the file cannot be written.
    """
    path = resolved(path)  # keeps links
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file that can be replaced: name another")
    with _written(path, data) as partial:
        if keep is not None and path.exists():
            path.replace(keep)
        partial.replace(path)


@contextmanager
def _written(path: Path, data: bytes) -> Generator[Path]:
    """Yield a file beside `path` that holds `data` on disk, to be moved inside the block; delete it afterwards."""
    sweep(path.parent)
    partial = path.with_name(f".{path.name}.{current_owner().tag}{_PARTIAL}")
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
    """Delete the temporary files and folders that killed processes of this machine left in `directory`.

    all_of: names of files whose temporary files are deleted whoever wrote them; for the holder of the lock.
    """
    try:
        with os.scandir(directory) as found:
            left = [(entry.path, match) for entry in found if (match := _LEFT.fullmatch(entry.name))]
    except OSError:  # missing or unreadable directory
        return
    for place, match in left:
        owner = parse_tag(match["tag"])
        if match["name"] in all_of or (owner and owner.dead):
            _delete(Path(place))


def _delete(place: Path) -> None:
    with suppress(OSError):  # owned by another user, or deleted by another process
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


def restore_replaced(path: Path) -> None:
    """Restore `path` when a process was killed while `new_directory` replaced it."""
    path = resolved(path)
    earlier = path.with_name(f".{path.name}{_OLD}")  # name used by earlier versions
    if earlier.exists() and not path.exists():
        earlier.rename(path)
    for old in path.parent.glob(f".{glob.escape(path.name)}.*{_OLD}"):
        owner = parse_tag(old.name.removeprefix(f".{path.name}.").removesuffix(_OLD))
        if owner and owner.dead:
            if path.exists():
                _delete(old)
            else:
                old.rename(path)


@contextmanager
def new_directory(path: Path, check: Callable[[], None] = lambda: None) -> Generator[Path]:
    """Yield a directory to fill, which replaces `path` when the block ends without an error.

    check: raises an error when `path` may not be replaced. It is called first; the content of `path` must be the same
    when it is replaced, and is deleted only then. After an error or Ctrl-C in the block it is still there, and the new
    directory is deleted. Parents of `path` are created.
    Raise InputError when another process has written to `path` in the meantime.
    """
    path = resolved(path)
    with parents(path):
        restore_replaced(path)
        sweep(path.parent)
        check()
        before, taken = _listing(path), path.is_dir() and any(path.iterdir())
        check()  # of the content just listed
        tag = current_owner().tag
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=f".{tag}{_PARTIAL}", dir=path.parent))
        try:
            new = partial / path.name
            new.mkdir()  # inside, since only the outer folder is closed to other users
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
    """Move a directory to a path where nothing or an empty directory is."""
    try:
        new.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _changed(path) from None
        raise


@contextmanager
def new_file(path: Path, check: Callable[[], None] = lambda: None) -> Generator[Path]:
    """Yield a path to write a file to, which replaces `path` as `new_directory` does.

    check: raises an error when the file at `path` may not be replaced.
    Raise InputError when another process has written to `path` in the meantime.
    """
    path = resolved(path)
    with parents(path):
        sweep(path.parent)
        check()
        before = _listing(path)
        check()  # of the content just listed
        partial = path.with_name(f".{path.name}.{current_owner().tag}{_PARTIAL}")
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
    """Move a file to a path where no file is: unlike a rename, a link never replaces one."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise _changed(path) from None
    except OSError:  # a file system without links
        if path.exists():
            raise _changed(path) from None
        partial.replace(path)


def _changed(path: Path) -> InputError:
    return InputError(f"{path} was written by another process in the meantime and stays unchanged: name another")


def _listing(path: Path) -> list[tuple[str, int, int, int]]:
    """Return name, size, modification time and inode of the file, or of all files of a directory but locks."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if not file.is_dir() or file.is_symlink()]
    found = ((file, file.lstat()) for file in files if file.name != LOCK)
    return sorted((file.relative_to(path).as_posix(), s.st_size, s.st_mtime_ns, s.st_ino) for file, s in found)


@contextmanager
def parents(path: Path) -> Generator[None]:
    """Create the directories above `path`; delete those created after an error in the block.

    Raise InputError when one of them is a file.
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
