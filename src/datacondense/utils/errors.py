"""The errors that a caller can catch, from `DatacondenseError` down, and how their messages are made."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class DatacondenseError(Exception):
    """Base of every error that this package raises on purpose. The message is one line: what is wrong, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # what a file calls its own parts may have line breaks


class InputError(DatacondenseError, ValueError):
    """Something the user gave cannot be used."""


class DataNotFound(InputError):
    """Data, a run or a set is in none of the places that were looked in."""


class DamagedFile(InputError):
    """A file does not hold what its format promises: it is cut short, changed, or was never of this format."""


class Locked(DatacondenseError):
    """Another process is writing to the same run, export or cache entry."""


class Stopped(DatacondenseError):
    """The user, or a time budget, stopped the work before it was done. What was finished is kept."""

    def __init__(self, message: str, signal: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal
        """The number of the signal, such as that of Ctrl-C; None where time was up."""


class Diverged(DatacondenseError, RuntimeError):
    """An optimisation stopped being finite. The message names the setting that is the likely cause."""


class LostProcess(DatacondenseError, RuntimeError):
    """A process that shared the work ended before it was done."""


def unknown(kind: str, name: str, known: Iterable[str], *, listed_by: str = "") -> InputError:
    """The error for a name that is in no registry, with the nearest known name.

    listed_by: a command that lists the known names, where they are too many for one line.
    """
    names = list(known)
    close = difflib.get_close_matches(str(name).lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    nearest = [n for n in names if n.lower() in close]
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    all_names = f"`{listed_by}` lists them" if listed_by else f"known are {', '.join(names)}"
    return InputError(f"unknown {kind} {name!r}: {hint}{all_names}")


def reason(error: BaseException) -> str:
    """What an exception of another library says, on one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def naming(place: object) -> Iterator[None]:
    """Put `place`, such as a file, in front of the message of an InputError raised inside; its type stays."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{place}: {error}") from None
