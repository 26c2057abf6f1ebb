"""The runs in a directory."""

import re
from pathlib import Path

from ..synthetic.set import FILE_NAME


def runs_in(path: Path) -> list[Path]:
    """`path` itself when it is a file or holds a set; else its sub-directories that do, exp2 before exp10.

    `path` itself, too, where there is none, so that reading it says what is missing.
    """
    if not path.is_dir() or (path / FILE_NAME).exists():
        return [path]
    return sorted((child.parent for child in path.glob(f"*/{FILE_NAME}")), key=natural) or [path]


def natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts numbers in a name by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
