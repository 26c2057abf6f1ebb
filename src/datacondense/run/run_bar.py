"""The progress bar of `condense`, as an observer."""

from typing import final

from ..drawing.progress_bar import Bar
from .observers import Observer, RunProgress


@final
class RunBar(Observer):
    """Show a run of a method as a bar with iterations, loss and the time that is left."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._loss = ""

    def preparing(self, done: float, what: str) -> None:
        """Show work before the first iteration."""
        self._bar.part(done, what)

    def update(self, done: float, iterations: int) -> None:
        """Show an update inside an iteration."""
        self._bar.step(done, iterations, f"{done:.1f}/{iterations}{self._loss}")

    def progress(self, progress: RunProgress) -> None:
        """Show an iteration."""
        self._loss = f"  loss {progress.loss:.4g}"
        self._bar.step(
            progress.iteration, progress.iterations, f"{progress.iteration}/{progress.iterations}{self._loss}"
        )

    def message(self, text: str) -> None:
        """Show a line that stays."""
        self._bar.line(text)
