"""The command `export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ...formats import Format, export, find_runs
from ...formats.accuracies import known_accuracies
from ...synthetic.set import load_set
from ...utils.errors import InputError
from ..console import print_line
from ..plugin_option import Plugins


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write condensed sets in a format of other programs.

    folder: PNG images, a folder for each class. npz: NumPy arrays. hf: a Hugging Face dataset with its card. pt: the
    authors' layout, all runs in one file; in the other formats several runs become exp0, exp1, ... in DEST.
    """

    run_dirs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run directories, or synthetic.safetensors files; a directory of runs means all runs in it."""
    dest: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="DEST")]] = None
    """Path to write: a directory, or a file for pt and for npz of one run."""
    to: Format
    """Format to write."""
    licence: str = "unknown"
    """Licence in the card of hf, as the hub names it, such as cc-by-4.0."""
    overwrite: bool = False
    """Replace an earlier export at DEST."""
    plugin: Plugins = ()

    def run(self) -> None:
        if not self.run_dirs:
            raise InputError(f"name runs and then what to write: datacondense export RUN --to {self.to} DEST")
        *places, dest = (*self.run_dirs, *([] if self.dest is None else [self.dest]))  # DEST may follow --to
        if not places:
            raise InputError(f"name runs and then what to write: datacondense export RUN --to {self.to} DEST")
        runs = [run for place in places for run in find_runs(place)]
        sets = [load_set(run) for run in runs]
        with_scores = self.to in ("hf", "pt")
        scores = [
            known_accuracies(one, run if run.is_dir() else run.parent)
            for one, run in zip(sets, runs, strict=True)
            if with_scores
        ]
        export(
            sets,
            self.to,
            dest,
            scores=scores or None,
            licence=self.licence,
            overwrite=self.overwrite,
            read_from=runs,
        )
        print_line(f"{'1 set' if len(sets) == 1 else f'{len(sets)} sets'}: {dest}")
