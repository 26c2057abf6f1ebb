"""Find the file of a set at a path that a user names."""

import shlex
from pathlib import Path

from ..utils.errors import DataNotFound, InputError
from ..utils.paths import named

FILE_NAME = "synthetic.safetensors"
"""Name of the file in a run directory."""
MARKER = "datacondense.json"
"""Name of the file by which a directory is an export. ImageFolder readers skip files in the root."""


def find_set(path: str | Path) -> Path:
    """Return the file of the set at a path: the file itself, or that in a run directory.

    Raises:
        DataNotFound: There is none.
        InputError: It is an export, or a file of another program, which `import` reads.
    """
    place = named(path)
    file = place / FILE_NAME if place.is_dir() else place
    if file.is_file() and file.suffix == Path(FILE_NAME).suffix:
        return file
    what = "an export" if (place / MARKER).is_file() else "an export, or a file of another program"
    if file.is_file() or (place / MARKER).is_file():
        raise InputError(f"{path} is {what}: read it with `datacondense import {shlex.quote(str(path))} RUN`")
    raise DataNotFound(f"no synthetic set at {file}: give a run directory that `datacondense condense` has written")
