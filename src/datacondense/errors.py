"""What users are told when something they gave cannot be used."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something the user gave cannot be used. The message is one line: what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # what a file calls its own parts may have line breaks


class Stopped(InputError):
    """The user has stopped a run before it was done."""


class Diverged(RuntimeError):
    """An optimisation stopped being finite. The message names the setting that is the likely cause."""


class LostProcess(RuntimeError):
    """A process that shared the work has ended before it was done."""


def unknown(kind: str, name: str, known: Iterable[str], *, listed_by: str = "") -> InputError:
    """The error for a name that is in no registry, with the nearest known name.

    listed_by: a command that lists the known names, where they are too many for one line.
    """
    names = list(known)
    close = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    nearest = [n for n in names if n.lower() in close]
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    all_names = f"`{listed_by}` lists them" if listed_by else f"known are {', '.join(names)}"
    return InputError(f"unknown {kind} {name!r}: {hint}{all_names}")


def reason(error: BaseException) -> str:
    """What an exception of another library says, on one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def naming(place: object) -> Iterator[None]:
    """Put `place`, such as a file, in front of the message of an InputError raised inside."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{place}: {error}") from None
