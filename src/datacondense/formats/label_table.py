"""Write and read labels.csv beside a folder of images: file, label, and a column for each class."""

import csv
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from ..utils.errors import InputError, naming
from ..utils.paths import regular

FILE = "labels.csv"
"""Name of the table, in the root of the folder."""
_LEAD = ("file", "label")


def write_label_table(directory: Path, files: Sequence[str], labels: Tensor, class_names: Sequence[str]) -> None:
    """Write the labels (N, K) of N files, with nine digits, from which every reader gets the same float32 back."""
    with (directory / FILE).open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_LEAD, *class_names])
        for name, label, numbers in zip(files, labels.argmax(1).tolist(), labels.tolist(), strict=True):
            writer.writerow([name, label, *(f"{number:.9g}" for number in numbers)])


def read_label_table(directory: Path, files: Sequence[Path], names: Sequence[Sequence[str]]) -> Tensor | None:
    """Return the labels of files, float32 (N, K); None if there is no table.

    The column `label` may be missing; its content is not read, as the numbers of the classes decide.

    Args:
        directory: The folder.
        files: The N files in it, of which each has one row, in any order; empty lines are skipped.
        names: Names of the K columns, in the order of the classes: any of these lists. Others of the same names in
            another order are put in order.

    Raises:
        InputError: The table does not fit the files and classes.
    """
    path = directory / FILE
    if not path.exists():
        return None
    position = {_composed(file.relative_to(directory).as_posix()): index for index, file in enumerate(files)}
    classes = len(names[0])
    values = array("d", bytes(8 * len(files) * classes))
    seen: set[int] = set()
    with naming(path), _rows(path) as rows:
        columns = next(rows, [])
        order = _order(columns, names)
        for number, row in enumerate(rows, 2):
            if not row:  # an empty line, as editors leave at the end
                continue
            index = position.get(_composed(row[0]))
            if len(row) != len(columns):
                raise InputError(f"row {number} has {len(row)} cells, expected {len(columns)}")
            if index is None or index in seen:
                raise InputError(
                    f"row {number} names {row[0]!r}, {'no image of a class' if index is None else 'again'}"
                )
            seen.add(index)
            cells = row[-classes:]
            values[index * classes : (index + 1) * classes] = array("d", (float(cells[place]) for place in order))
        absent = [name for name, index in position.items() if index not in seen]
        if absent:
            raise InputError(f"it has no row for {len(absent)} images, such as {absent[0]}")
    return torch.tensor(values, dtype=torch.float64).view(len(files), classes).float()


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """Yield the rows of a table. Raises InputError for one that is not, and for cells that are no numbers."""
    try:
        with regular(path).open(encoding="utf-8-sig", newline="") as file:
            yield csv.reader(file, strict=True)
    except InputError:  # it is a ValueError, of what does not fit
        raise
    except (csv.Error, ValueError) as error:
        raise InputError(f"it is not a table of numbers ({' '.join(str(error).split())[:200]})") from None


def _order(columns: Sequence[str], names: Sequence[Sequence[str]]) -> list[int]:
    """Return the column of each class among the last K. Raises InputError for other columns."""
    classes = len(names[0])
    found = list(columns[-classes:])
    if tuple(columns[:-classes]) in (_LEAD, _LEAD[:1]):
        for known in names:
            if found == list(known):
                return list(range(classes))
            if len(set(found)) == classes and set(found) == set(known):
                return [found.index(name) for name in known]
    shown = ", ".join(columns[:10])[:200]
    raise InputError(f"its columns are {shown or 'none'}, expected file, label and the {classes} classes: move it away")


def _composed(name: str) -> str:
    """Return a name with composed letters: some file systems return letters apart from their accents."""
    return unicodedata.normalize("NFC", name)
