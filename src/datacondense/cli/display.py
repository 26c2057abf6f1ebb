"""What a run looks like in a terminal: progress with loss, speed and ETA; plain lines where there is no terminal."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import final

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from ..driver import Progress
from ..types import Scores

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)
_PLAIN_EVERY = 10.0  # seconds between plain lines


@final
class RunDisplay:
    """Shows steps of known number. Observes `condense`, and counts the epochs of `evaluate`."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=OUT,
            transient=True,
        )
        self.task = self.bar.add_task(title, total=None, detail="")
        self.printed = time.perf_counter()
        self.started = self.printed

    def __enter__(self) -> "RunDisplay":
        if OUT.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if OUT.is_terminal:
            self.bar.stop()

    def progress(self, progress: Progress) -> None:
        """One iteration of `condense` is done."""
        done_here = progress.iteration - progress.resumed_at
        detail = f"loss {progress.loss:.4g}"
        self.step(progress.iteration, progress.iterations, progress.session_seconds / done_here, detail)

    def message(self, text: str) -> None:
        """A line that stays."""
        say(text)

    def step(self, done: int, total: int, seconds_each: float, detail: str = "") -> None:
        """`done` of `total` steps are done, at `seconds_each` per step."""
        left = duration(seconds_each * (total - done))
        detail = "  ".join(filter(None, [detail, speed(seconds_each), f"ETA {left}"]))
        if OUT.is_terminal:
            self.bar.update(self.task, completed=done, total=total, detail=detail)
            return
        now = time.perf_counter()
        if now - self.printed >= _PLAIN_EVERY or done == total:
            self.printed = now
            self.message(f"{self.title}: {done}/{total}  {detail}")

    def count(self, done: int, total: int) -> None:
        """As `step`, timed from when the display was made."""
        self.step(done, total, (time.perf_counter() - self.started) / done)


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def speed(seconds_each: float) -> str:
    """Time of one step the way that reads best: steps per second, or seconds per step."""
    return f"{1 / seconds_each:.1f} it/s" if seconds_each < 1 else f"{seconds_each:.1f} s/it"


def say(text: str) -> None:
    """Print a line as it is, however wide."""
    OUT.print(text, markup=False, soft_wrap=True)


def summary(cls: type) -> str:
    """The first line of a class's docstring."""
    return (cls.__doc__ or "").partition("\n")[0]


def score_table(scores: Mapping[str, Scores]) -> Table:
    """One row for each set and network: test accuracy in percent, mean and standard deviation over networks."""
    augment = next(iter(scores.values())).protocol["augment"]
    table = Table(caption=f"mean +- standard deviation over networks; augmentation in training: {augment}")
    for column in ("trained on", "images", "network", "test accuracy %", "networks x epochs", "time"):
        table.add_column(column, no_wrap=True)
    for label, score in scores.items():
        protocol = score.protocol
        for arch in score.accuracy:
            table.add_row(
                label,
                str(score.trained_on["images"]),
                arch,
                f"{100 * score.mean(arch):.1f} +- {100 * score.std(arch):.1f}",
                f"{protocol['nets']} x {protocol['epochs']}",
                duration(score.seconds),
            )
    return table


def class_table(scores: Mapping[str, Scores], class_names: Sequence[str]) -> Table:
    """Test accuracy on each class in percent, mean over networks."""
    columns = [(label, arch, score.per_class[arch]) for label, score in scores.items() for arch in score.accuracy]
    table = Table("class", *(f"{label}, {arch}" for label, arch, _ in columns))
    means = [torch.tensor(nets).mean(0).tolist() for _, _, nets in columns]
    for index, name in enumerate(class_names):
        table.add_row(name, *(f"{100 * mean[index]:.1f}" for mean in means))
    return table
