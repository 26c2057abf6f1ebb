"""The terminal. Everything that a command prints passes through here."""

import json
import sys
from collections.abc import Iterable
from typing import Any, final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ..utils.text import printable


@final
class _CleanConsole(Console):
    """A console that shows control characters in text as escapes such as \\x1b, and ± as +- outside Unicode.

    Lines, tables, bars, notes and errors all pass here. Our own colours are styles of segments, not text, so they stay.
    """

    brief = False
    """Print results only."""

    def render_str(self, text: str, *arguments: Any, **options: Any) -> Text:
        """Clean text before it is measured, so that columns fit."""
        return super().render_str(self._clean(text), *arguments, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Clean text that did not pass `render_str`, such as the title of a bar."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=self._clean(segment.text))

    def _clean(self, text: str) -> str:
        text = printable(text, lines=True)
        return text if self.encoding.startswith("utf") else text.replace("±", "+-")


OUT = _CleanConsole(highlight=False, markup=False, emoji=False)  # names of classes and runs are shown as they are
ERR = _CleanConsole(stderr=True, highlight=False, markup=False, emoji=False)


def set_output(*, leads: bool, brief: bool = False, as_json: bool = False) -> None:
    """Set what is printed to stdout.

    Args:
        leads: the process prints at all; one prints what all would print alike.
        brief: print results only, as `print_note` leaves out the rest.
        as_json: stdout is for `print_json` alone; all else goes to stderr.
    """
    OUT.quiet, OUT.brief, OUT.stderr = not leads, brief, as_json


def print_line(text: str) -> None:
    """Print one line, however wide; an end of a line in it is shown as an escape."""
    OUT.print(printable(text), soft_wrap=True)


def print_note(text: str) -> None:
    """Print one line that --quiet leaves out: progress, a decision, a next step."""
    if not OUT.brief:
        print_line(text)


def print_json(value: Any) -> None:
    """Print a JSON value to stdout."""
    if not OUT.quiet:
        sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def print_error(text: str) -> None:
    """Print one line to stderr, however wide."""
    ERR.print(printable(" ".join(text.splitlines())), soft_wrap=True)
