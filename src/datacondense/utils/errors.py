"""The errors that a caller can catch, from `DatacondenseError` down, and helpers that word their messages."""

import difflib
from collections.abc import Generator, Iterable
from contextlib import contextmanager


class DatacondenseError(Exception):
    """Base of every error that this package raises on purpose. The message is one line: the fault and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # names inside files may hold line breaks


class InputError(DatacondenseError, ValueError):
    """An argument, an option or a file of the user cannot be used."""


class DataNotFound(InputError):
    """Data, a run or a set is in none of the places that were searched."""


class DamagedFile(InputError):
    """A file does not match its format: it is truncated, changed, or has another format."""


class Locked(DatacondenseError):
    """Another process is writing to the same run, export or cache entry."""


class Stopped(DatacondenseError):
    """The user, or a time budget, stopped the work before it was done. Finished results are kept."""

    def __init__(self, message: str, signal: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal
        """Number of the signal, such as SIGINT of Ctrl-C; None when the time budget was used up."""


class Diverged(DatacondenseError, RuntimeError):
    """A loss or a parameter is no longer finite. The message names the setting that is the likely cause."""


class LostProcess(DatacondenseError, RuntimeError):
    """Another process that shared the work ended before it was done."""


def unknown(kind: str, name: str, known: Iterable[str], *, listed_by: str = "", plugins: bool = False) -> InputError:
    """Return the error for a name that is in no registry; its message suggests the nearest known name.

    listed_by: a command that lists the known names, when they are too many for one line. plugins: a plug-in may define
    the name.
    """
    names = list(known)
    close = difflib.get_close_matches(str(name).lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    nearest = [n for n in names if n.lower() in close]
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    all_names = f"`{listed_by}` lists them" if listed_by else f"choose from {', '.join(names)}"
    loaded = "; --plugin FILE.py loads your own" if plugins else ""
    return InputError(f"unknown {kind} {name!r}: {hint}{all_names}{loaded}")


def reason(error: BaseException) -> str:
    """Return the message of an exception of another library on one line; its type when the message is empty."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def naming(place: object) -> Generator[None]:
    """Prefix the message of an InputError raised inside with `place`, such as a file; keep its type."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{place}: {error}") from None
