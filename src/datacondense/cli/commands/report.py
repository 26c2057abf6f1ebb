"""The command `report`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ...formats import find_runs
from ...run.directory import REPORT
from ...utils.errors import InputError
from ...utils.locks import writing
from ..console import print_line, print_note
from ..options import check_target
from ..plugin_option import Plugins

_OTHERS = 30.0  # seconds that other commands may need to finish writing


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write one HTML page about runs: accuracies, images, loss, classes, settings, and a comparison of several.

    The page uses only the files in the run directories, and loads nothing from elsewhere.
    """

    run_dirs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run directories of `condense` and `import`; a directory of runs means all runs in it."""
    out: Path | None = None
    """Page to write; by default report.html in the first run directory."""
    figures: Path | None = None
    """Write the figures to this directory too, as SVG and PNG."""
    plugin: Plugins = ()

    def run(self) -> None:
        if not self.run_dirs:
            raise InputError("name a run, before the options: datacondense report RUN")
        runs = [run for path in self.run_dirs for run in find_runs(path)]
        out = self.out or runs[0] / REPORT
        check_target("--out", self.out, ".html")
        if self.figures is not None and self.figures.exists() and not self.figures.is_dir():
            raise InputError(f"--figures {self.figures}: this is not a directory: name one")
        from ...report import write_report  # only here: its library of figures takes longer to import than all else

        with writing_in(out.parent, runs):
            written = write_report(runs, out, figures_in=self.figures)
        for path in written:
            print_line(str(path))


def writing_in(folder: Path, runs: Sequence[Path]) -> AbstractContextManager[None]:
    """Return the lock of a folder that is one of the runs; no lock for another folder, which only receives a file."""
    of_run = any(run.is_dir() and folder.resolve() == run.resolve() for run in runs)
    return writing(folder) if of_run else nullcontext()


def report_on(runs: Sequence[Path], folder: Path) -> None:
    """Write the page about runs into a directory, and print its path."""
    from ...report import write_report  # see above

    with writing(folder, wait=_OTHERS):
        write_report(runs, folder / REPORT)
    print_note(f"report: {folder / REPORT}")
