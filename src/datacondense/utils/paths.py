"""Check and open paths that users name."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from .errors import InputError, naming

_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK"))
"""Without O_NONBLOCK, opening a named pipe waits for a writer. Some systems lack some of these flags."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def named(path: str | Path) -> Path:
    """Return `path` as a Path. Raise InputError for text that cannot be a file name: empty, or not Unicode."""
    text = str(path)
    if not text:
        raise InputError("a path is empty: name a file or directory")
    if "\0" in text:
        raise InputError(f"{text!r} cannot be a file name: name another")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{text!r} is not UTF-8: rename the file or directory") from None
    return Path(path)


def resolved(path: str | Path) -> Path:
    """Return the absolute path without links. Raise InputError for a link that leads to itself."""
    try:
        return named(path).resolve()
    except (RuntimeError, OSError) as error:  # the former up to Python 3.12
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise
        raise InputError(f"{path} is a link that leads to itself: name another") from None


def expanded(path: str | Path) -> Path:
    """Return `path` with ~ or ~user replaced by the home folder. Raise InputError for an unknown user."""
    try:
        return named(path).expanduser()
    except RuntimeError:
        raise InputError(f"{path} starts with the home folder of an unknown user: write the path in full") from None


def regular(path: str | Path) -> Path:
    """Return `path` after checking that it is a regular file.

    Call it before a library opens a file by its name: a named pipe would wait forever for a writer, and a device may
    never end.

    Raises:
        InputError: For a folder, a named pipe, a socket or a device; a link that leads to itself; or text that cannot
            be a file name.
        OSError: When the file is missing or not accessible.
    """
    path = named(path)
    try:
        found = path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(f"{path} is a link that leads to itself: name a file") from None
        raise
    with naming(path):
        require_file(found)
    return path


def open_file(path: str | Path) -> BinaryIO:
    """Open a file to read its bytes. Raise OSError, or an InputError that names the path for anything but a file."""
    with naming(path):
        require_file(Path(path).stat())
    number = os.open(path, _FLAGS)
    try:
        with naming(path):
            require_file(os.fstat(number))  # it may have been replaced
        return open(number, "rb")  # noqa: PTH123 (already open)
    except BaseException:
        os.close(number)
        raise


def require_file(found: os.stat_result) -> None:
    """Raise InputError, to which a caller adds the path, for anything but a regular file."""
    if not stat.S_ISREG(found.st_mode):
        kind = next((kind for test, kind in _KINDS if test(found.st_mode)), "of another kind")
        raise InputError(f"is {kind}, not a file")
