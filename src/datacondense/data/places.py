"""Where the files of a named data set may lie."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError

VARIABLE = "DATACONDENSE_DATA"
"""The environment variable that names the folder of data sets."""


def find(
    dataset: str, files: Sequence[str], *, folders: Sequence[str], system: Path, obtain: str, data_dir: Path | None
) -> list[Path]:
    """The paths of `files`, each as it is named or with .gz added, from the first place that has them all.

    Places, in this order: `data_dir`, and nothing else when it is given; the folder in $DATACONDENSE_DATA; ./data;
    `system`. In a folder its subfolders `folders` come before itself, and in ./data only those count, because sets
    share file names. Raises InputError that lists every place and says how to `obtain` the set.
    """
    looked = []
    for place in _places(folders, system, data_dir):
        found = {file: path for file in files for path in (place / f"{file}.gz", place / file) if path.is_file()}
        if len(found) == len(files):
            return list(found.values())
        lacking = [file for file in files if file not in found]
        looked.append(f"{place} (which lacks {', '.join(lacking)})" if found else str(place))
    raise InputError(f"{dataset} not found: looked in {', '.join(looked)}; {obtain}")


def _places(folders: Sequence[str], system: Path, data_dir: Path | None) -> Iterator[Path]:
    root = data_dir or (Path(os.environ[VARIABLE]).expanduser() if os.environ.get(VARIABLE) else None)
    if root:
        yield from (root / folder for folder in folders)
        yield root
    if not data_dir:
        yield from (Path("data") / folder for folder in folders)
        yield system
