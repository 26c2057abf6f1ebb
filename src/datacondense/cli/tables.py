"""Tables that stay complete in a narrow terminal: columns move to further tables, long names are folded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from rich.cells import cell_len
from rich.table import Column, Table

from ..utils.text import printable
from .console import OUT, print_line

_WIDEST = 10_000  # columns of a table that no terminal shows
_BORDER = 3  # characters around a cell: a space on both sides and a line
_WORD = 24  # characters of a cell that are not folded
_LEAST = 8  # characters of a name that are not folded


def show_table(table: Table) -> None:
    """Print a table, whole, however narrow the terminal is; elsewhere plain, each row one line of aligned columns.

    In a terminal that is too narrow the columns are split among several tables, each with the first column. A name
    that is wider than its column becomes a number, which a line below the table explains.

    Args:
        table: its cells and headings are text.
    """
    if not OUT.is_terminal:
        _show_plain(table)
        return
    wanted = OUT.measure(table, options=OUT.options.update(width=_WIDEST)).maximum
    if wanted <= OUT.width:
        OUT.print(table)
    else:
        _show_parts(table, OUT.width - 1)


def _show_plain(table: Table) -> None:
    """Print a table as lines of columns with two spaces between them, for other programs and files."""
    columns = [[printable(str(cell)) for cell in (one.header, *one.cells)] for one in table.columns]
    widths = [max(map(cell_len, cells)) for cells in columns]
    if table.title:
        print_line(str(table.title))
    for row in zip(*columns, strict=True):
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        print_line("  ".join(cells).rstrip())
    if table.caption:
        print_line(str(table.caption))


@final
@dataclass(frozen=True)
class _Part:
    """A printed column."""

    heading: str
    cells: Sequence[str]
    width: int


@final
class _Legend:
    """Numbers in place of texts that are too long for their column."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def short(self, text: str, width: int) -> str:
        """Return the text if its words fit the width, otherwise its number."""
        if _longest_word(text) <= width:
            return text
        if text not in self.texts:
            self.texts.append(text)
        return f"({self.texts.index(text) + 1})"


def _show_parts(table: Table, room: int) -> None:
    """Print the columns of a table in parts of `room` characters, and texts too long for them as lines below."""
    if table.title:
        print_line(str(table.title))
    headings = [printable(str(column.header)) for column in table.columns]
    columns = [[printable(str(cell)) for cell in column.cells] for column in table.columns]
    most = max(room - 2 * _BORDER - _LEAST, 1)  # of a column next to the first
    rows = list(zip(headings, columns, strict=True))
    least = max((_least(heading, cells, most) for heading, cells in rows[1:]), default=-_BORDER)
    first = max(min(max(map(cell_len, [headings[0], *columns[0]])), room - 2 * _BORDER - least), 1)
    legend, others = _Legend(), []
    for heading, cells in rows[1:]:
        least = _least(heading, cells, most)
        width = max(min(max(map(cell_len, cells), default=0), room - first - 2 * _BORDER), least)
        others.append(_Part(legend.short(heading, width), [legend.short(cell, width) for cell in cells], width))
    names = _Part(legend.short(headings[0], first), [legend.short(cell, first) for cell in columns[0]], first)
    for group in _groups(others, room - first - _BORDER):
        part = Table(*(Column(one.heading, width=one.width, overflow="fold") for one in (names, *group)))
        for row in zip(names.cells, *(one.cells for one in group), strict=True):
            part.add_row(*row)
        OUT.print(part)
    for number, text in enumerate(legend.texts, start=1):
        print_line(f"({number}) {text}")
    if table.caption:
        print_line(str(table.caption))


def _least(heading: str, cells: Sequence[str], most: int) -> int:
    """Return the width at which no number of a column and no word of its heading is folded, if there is room."""
    words = [_longest_word(heading)] if _longest_word(heading) <= _WORD else []
    body = [cell_len(cell) if cell_len(cell) <= _WORD else min(_longest_word(cell), _WORD) for cell in cells]
    return max(min(max([*words, *body], default=1), most), 1)


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _groups(parts: Sequence[_Part], room: int) -> Iterator[list[_Part]]:
    """Yield the columns that fit side by side, in order; at least one in each group."""
    group: list[_Part] = []
    left = room
    for part in parts:
        if group and part.width + _BORDER > left:
            yield group
            group, left = [], room
        group.append(part)
        left -= part.width + _BORDER
    yield group
