"""Find the runs in a directory."""

import re
from pathlib import Path

from ..synthetic.set import FILE_NAME


def find_runs(path: Path) -> list[Path]:
    """Return `path` itself when it is a file or holds a set; else its sub-directories that do, exp2 before exp10.

    Also returns `path` itself where it holds no run, so that reading it reports what is missing.
    """
    if not path.is_dir() or (path / FILE_NAME).exists():
        return [path]
    return sorted((child.parent for child in path.glob(f"*/{FILE_NAME}")), key=by_number) or [path]


def by_number(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts the numbers in a name by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
