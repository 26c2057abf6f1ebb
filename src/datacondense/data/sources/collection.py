"""Collections of image files: labels, how to read the files, and messages about broken ones."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from ...utils.errors import InputError
from ..named import Named

_IN_ERROR = 5  # broken files named in an error
_OF_THE_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)
"""Errors that are permanent properties of a file, not of the disk or the system."""


@final
@dataclass(frozen=True, kw_only=True)
class Collection:
    """Image files, their labels, and how to read them."""

    name: str
    class_names: tuple[str, ...]
    place: str
    """Their location, at the start of messages."""
    files: Sequence[str]
    """Name of each file, independent of the location."""
    labels: Sequence[int]
    tests: Sequence[bool] | None
    """True for each test image; None to set aside a fixed fifth of each class."""
    read: Callable[[int], bytes]
    """Returns the content of the file at a position; called by several threads. Raises OSError and InputError."""
    stamp: str
    """Digest that changes when any file may have changed, computed without reading the files."""
    restamp: Callable[[], str]
    """Computes `stamp` again."""
    notes: tuple[str, ...] = ()
    known: Named | None = None
    """The published dataset of these files, which prescribes statistics and shape."""

    @property
    def rgb(self) -> bool:
        """Store three channels even if every image is grey."""
        return self.known is not None and self.known.shape[0] == 3

    def unreadable(self, broken: dict[int, str]) -> InputError:
        """Return the error for one broken file, or for several with their number."""
        listed = self.listed(broken, _IN_ERROR)
        count = f"{len(broken)} of {len(self.files)} images cannot be read: " if len(broken) > 1 else ""
        return InputError(f"{count}{listed}; repair or remove broken files, or leave them out with --skip-broken")

    def listed(self, broken: dict[int, str], most: int) -> str:
        some = [f"{self.shown(position)} {broken[position]}" for position in sorted(broken)[:most]]
        return "; ".join([*some, *([f"and {len(broken) - most} more"] if len(broken) > most else [])])

    def shown(self, position: int) -> str:
        """Return a file's name on one line, in printable characters."""
        return " ".join(self.files[position].encode(errors="replace").decode().split())

    def reason(self, position: int, error: InputError | OSError) -> str:
        """Return the reason why a file is broken. Raise OSError, with its name, when the file is not the cause."""
        if isinstance(error, OSError):
            if error.errno not in _OF_THE_FILE:
                place = f"{self.place}/{self.shown(position)}"
                raise OSError(error.errno, error.strerror or str(error), place) from None
            return f"cannot be read ({error.strerror or error})"
        return str(error)
