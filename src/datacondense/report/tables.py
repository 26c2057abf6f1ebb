"""Tables of a page: the cells that are shown, and the numbers behind them as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import NamedTuple, final
from urllib.parse import quote

from ..utils.text import file_name
from .number_text import accuracy


class Column(NamedTuple):
    """A column of a table."""

    name: str
    number: bool = False
    """True for numbers, which stand right."""
    strong: bool = False
    """True for numbers in bold."""
    unit: str = ""
    """Unit of the numbers in the file, where it is not that of the text."""


class Cell(NamedTuple):
    """A cell that shows a number."""

    text: str
    value: float | None = None
    """By which rows are sorted, and which the file has."""
    std: float | None = None
    """Standard deviation, in the file a column of its own."""


@final
@dataclass(frozen=True)
class Table:
    """A table of a page. The first cell of each row is its heading."""

    name: str
    """Unique in a page."""
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    by_class: bool = False
    """True if each row is a class, named by its heading."""

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{file_name(self.name)}.csv"

    @property
    def csv(self) -> str:
        """The table as CSV: numbers without units, mean and standard deviation in two columns."""
        spread = [any(row[index].std is not None for row in self.rows) for index in range(len(self.columns))]
        head = [
            name
            for column, two in zip(self.columns, spread, strict=True)
            for name in ([_headed(column), f"{_headed(column)} std"] if two else [_headed(column)])
        ]
        lines = [
            [
                text
                for cell, two in zip(row, spread, strict=True)
                for text in ([_plain(cell), "" if cell.std is None else f"{cell.std:.6g}"] if two else [_plain(cell)])
            ]
            for row in self.rows
        ]
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows([head, *lines])
        return buffer.getvalue()

    @property
    def address(self) -> str:
        """The file as a data URI."""
        return f"data:text/csv;charset=utf-8,{quote(self.csv.encode(errors='replace'))}"


def table(name: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]], *, note: str = "") -> Table:
    """Return a table without the columns that are empty in every row; the first column stays."""
    cells = [[Cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    kept = [index for index in range(len(columns)) if index == 0 or any(row[index].text for row in cells)]
    return Table(name, [columns[index] for index in kept], [[row[index] for index in kept] for row in cells], note)


def by_class(made: Table) -> Table:
    """Return the table as one whose rows are classes."""
    return replace(made, by_class=True)


def accuracy_cell(values: Sequence[float | None]) -> Cell:
    """Return mean and sample standard deviation of accuracies in percent; an empty cell if there is none."""
    percent = [100 * value for value in values if value is not None]
    if not percent:
        return Cell("")
    return Cell(accuracy(values), fmean(percent), stdev(percent) if len(percent) > 1 else None)


def count_cell(count: int) -> Cell:
    """Return a whole number."""
    return Cell(f"{count:,}", count)


def _headed(column: Column) -> str:
    return f"{column.name} ({column.unit})" if column.unit else column.name


def _plain(cell: Cell) -> str:
    return cell.text if cell.value is None else f"{cell.value:.10g}"
