"""Files that are opened only if they are files: a named pipe or a device in place of one would wait for ever."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ..errors import DataNotFound, InputError, naming

_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK"))
"""Without O_NONBLOCK, opening a named pipe waits until somebody writes to it. Not every system has all of them."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def opened(path: str | Path) -> BinaryIO:
    """Open a file to read its bytes. Raises OSError, and InputError, which names the path, for anything but a file."""
    with naming(path):
        require(Path(path).stat())
    number = os.open(path, _FLAGS)
    try:
        with naming(path):
            require(os.fstat(number))  # as it may be another by now
        return open(number, "rb")  # noqa: PTH123 (it is open already)
    except BaseException:
        os.close(number)
        raise


def check(path: str | Path) -> None:
    """Raises InputError, which names the path, for anything but a file, before a library opens it."""
    try:
        with naming(path):
            require(Path(path).stat())
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise DataNotFound(f"{path} is not there: name a file that is") from None
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from None


def require(found: os.stat_result) -> None:
    """Raises InputError, to which a caller adds the path, for what is anything but a file."""
    if not stat.S_ISREG(found.st_mode):
        kind = next((kind for test, kind in _KINDS if test(found.st_mode)), "of another kind")
        raise InputError(f"is {kind}, not a file")
