"""The terminal. Everything that a command prints passes through here."""

from collections.abc import Iterable
from typing import Any, final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ..utils.text import printable


@final
class _CleanConsole(Console):
    """A console that shows control characters in text as escapes such as \\x1b.

    Lines, tables, bars, notes and errors all pass here. Our own colours are styles of segments, not text, so they stay.
    """

    def render_str(self, text: str, *arguments: Any, **options: Any) -> Text:
        """Clean text before it is measured, so that columns fit."""
        return super().render_str(printable(text, lines=True), *arguments, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Clean text that did not pass `render_str`, such as the title of a bar."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text, lines=True))


OUT = _CleanConsole(highlight=False, markup=False, emoji=False)  # names of classes and runs are shown as they are
ERR = _CleanConsole(stderr=True, highlight=False, markup=False, emoji=False)


def print_line(text: str) -> None:
    """Print one line, however wide; an end of a line in it is shown as an escape."""
    OUT.print(printable(text), soft_wrap=True)


def print_error(text: str) -> None:
    """Print one line to stderr, however wide."""
    ERR.print(printable(" ".join(text.splitlines())), soft_wrap=True)
