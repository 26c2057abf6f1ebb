"""A progress bar on stderr in a terminal, or below the cell in a notebook; nothing where output is piped."""

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, final

from ..utils.text import printable
from ..utils.timing import Pace, duration

_HIDDEN: ContextVar[bool] = ContextVar("_HIDDEN", default=False)
"""True inside a bar, so that a function that another one calls shows no second bar."""


class Surface(Protocol):
    """Where a bar is drawn."""

    every: float
    """Seconds between two states of the bar."""

    def draw(self, title: str, share: float, detail: str) -> None:
        """Show a share in [0, 1] of the work, with text on both sides of the bar."""

    def line(self, text: str) -> None:
        """Show a line that stays."""

    def close(self) -> None:
        """Leave the last state of the bar, and end."""


@final
class Terminal:
    """A bar on stderr."""

    every = 0.1

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        left, right = (TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[detail]"))
        self._bar = Progress(left, BarColumn(), right, TimeElapsedColumn(), console=self._console)
        self._task: Any = None

    def draw(self, title: str, share: float, detail: str) -> None:
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(title, total=1.0, detail=detail)
        self._bar.update(self._task, description=title, completed=share, detail=detail)

    def line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def close(self) -> None:
        self._bar.stop()


@final
class Notebook:
    """A bar below the cell, of HTML: it needs no widgets, and stays in the saved notebook."""

    every = 0.3

    def __init__(self) -> None:
        self._handle: Any = None
        self._lines: list[str] = []
        self._last = ("", 0.0, "")

    def draw(self, title: str, share: float, detail: str) -> None:
        from IPython.display import display  # pyright: ignore[reportMissingImports] (it runs in its kernel only)

        self._last = title, share, detail
        lines = "".join(f"<br>{html.escape(line)}" for line in self._lines)
        bar = f'<progress value="{share:.4f}" max="1"></progress>'
        made = {
            "text/html": f"<div>{html.escape(title)} {bar} {html.escape(detail)}{lines}</div>",
            "text/plain": "\n".join([f"{title}: {detail}", *self._lines]),
        }
        if self._handle is None:
            self._handle = display(made, raw=True, display_id=True)
        else:
            self._handle.update(made, raw=True)

    def line(self, text: str) -> None:
        self._lines.append(text)
        self.draw(*self._last)

    def close(self) -> None:
        """Do nothing: the last state stays."""


def surface() -> Surface | None:
    """Return where a bar can be seen: None where stderr is a pipe or a file, outside of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is not None:
        return Notebook()
    return Terminal() if sys.stderr is not None and sys.stderr.isatty() else None


@final
class Bar:
    """Progress of work of a known amount, with the time that is left. Without a surface it does nothing."""

    def __init__(self, title: str, surface: Surface | None) -> None:
        self.title = title
        self.surface = surface
        self._drawn = float("-inf")
        self._last = (0.0, "")
        self._total = 0.0
        self._pace = Pace()

    @property
    def shown(self) -> bool:
        """Return whether there is somebody to see it."""
        return self.surface is not None

    def step(self, done: float, total: float, detail: str) -> None:
        """Show `done` of `total` units. A new total starts new work."""
        if self.surface is None:
            return
        now = time.perf_counter()
        if total != self._total:
            self._total, self._pace = total, Pace()
        self._pace.step(now, done)
        left = self._pace.left(total)
        ending = "" if left is None or done >= total else f"  ETA {duration(left)}"
        self._last = done / total if total else 1.0, detail + ending
        if now - self._drawn >= self.surface.every or done >= total:
            self._draw(now)

    def read(self, what: str, done: int, total: int) -> None:
        """Show the progress of reading images."""
        self.step(done, total, f"{what} {done}/{total}")

    def part(self, done: float, what: str) -> None:
        """Show a fraction of the work with this name."""
        self.step(done, 1.0, f"{what}  {done:.0%}")

    def line(self, text: str) -> None:
        """Show a line that stays."""
        if self.surface is not None:
            self.surface.line(printable(text))

    def close(self) -> None:
        """Show the last state, which may have come too soon after the one before."""
        if self.surface is not None and self._drawn > float("-inf"):
            self._draw(time.perf_counter())
            self.surface.close()

    def _draw(self, now: float) -> None:
        assert self.surface is not None, "the callers ask"
        self._drawn = now
        share, detail = self._last
        self.surface.draw(printable(self.title), min(max(share, 0.0), 1.0), printable(detail))


@contextmanager
def progress_bar(title: str, wanted: bool = True) -> Iterator[Bar]:
    """Yield a bar, which is shown if it is wanted and can be seen, and is not inside of another one.

    Functions that are called inside the block show none, whether this one is shown or not.
    """
    bar = Bar(title, surface() if wanted and not _HIDDEN.get() else None)
    token = _HIDDEN.set(True)
    try:
        yield bar
    finally:
        _HIDDEN.reset(token)
        bar.close()
