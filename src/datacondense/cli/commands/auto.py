"""The command `condense auto`."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ...data.image_set import ImageSet
from ...data.options import OtherReadOptions
from ...data.source import DataSource
from ...experiments.auto_checks import without_effect
from ...experiments.automatic import auto, preview
from ...experiments.options import RaceShare
from ...methods import Random
from ...run.signals import stop_signals
from ...utils.distributed import all_processes
from ...utils.errors import InputError
from ...utils.locks import alone
from ...utils.ranges import Images, Repeats, Seed, Side
from ...utils.text import file_name
from ..configuration import Config, Given
from ..console import print_line, print_note
from ..decisions import data_lines, method_lines
from ..display import RunDisplay
from ..options import AutoControl, ComputingRun, Data, seconds, size
from ..output_options import Quiet
from ..plugin_option import Plugins
from ..reading import read
from .condense import conclude, loggers
from .label import print_labels

_LEAST = 1e-3  # seconds of a time budget that is spent before the choice begins


@dataclass(frozen=True, kw_only=True)
class CondenseAuto:
    """Choose settings and iterations for the data and the time at hand, and condense.

    A table gives candidates for this kind of problem. Where the time allows, they race on a part of the training
    images, scored on the held-out rest; the best one condenses all training images in the time that is left. Test
    images are never used.
    """

    data: Data = "digits"
    """Data to condense: a name in `datacondense list data`, folder:PATH, hub:OWNER/NAME or arrays:FILE.npz."""
    ipc: Images | None = None
    """Stored images of each class; 10 without --bytes."""
    image_size: Side | None = None
    """Resize the short side of each image of folder: or hub: to this many pixels, and crop the middle square."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Run directory; by default runs/auto-DATA-ipcN-seedN."""
    time_budget: Annotated[str, tyro.conf.arg(metavar="TIME")] = "5m"
    """Time of the whole command, with reading and the race, such as 90s, 5m, 1h30m."""
    config: Config = None
    drop_small_classes: bool = False
    """Leave out classes with fewer training images than --ipc. Otherwise --ipc images are made of them too."""
    bytes: Annotated[str | None, tyro.conf.arg(metavar="SIZE")] = None
    """Bytes that the set may take, such as 8000, 8k or 1.5M, in place of --ipc; all numbers are stored in 8 bits. The
    command `storage` counts in the same way."""
    labels: Literal["own", "soft"] = "own"
    """own: images are condensed under their classes. soft: as many random real images, in 8 bits, are seen in mixed
    views, and a teacher of the real images labels each view; networks learn more from these bytes, from soft labels."""
    candidates: Repeats = 3
    """Candidates of the table that are tried; 1 takes the first one without a race."""
    race_hold_out: RaceShare = 0.15
    """Share of the training images of each class that scores the candidates. The final run condenses all of them."""
    arch: str | None = None
    """Network that the set is made for, and by default evaluated with; by default a ConvNet whose depth suits the size
    of the images: 3 up to 40 pixels, 4 up to 80, 5 up to 160, 6 above."""
    seed: Seed = 0
    """The same seed gives the same images, bit for bit, on the same machine by the same choice."""
    plugin: Plugins = ()
    quiet: Quiet = False
    given: Given = ()
    """Options that the command line or the configuration file gives."""
    session: AutoControl = field(default_factory=AutoControl)
    computing: ComputingRun = field(default_factory=ComputingRun)
    reading: OtherReadOptions = field(default_factory=OtherReadOptions)

    def run(self) -> None:
        began = time.perf_counter()
        limit = None if self.bytes is None else size("--bytes", self.bytes)
        if limit is not None and self.ipc is not None:
            raise InputError("--ipc and --bytes exclude each other: use one")
        if self.labels == "soft" and self.session.log:
            raise without_effect(f"--log {' '.join(self.session.log)}")
        if limit is not None and self.drop_small_classes:
            raise InputError("--drop-small-classes needs --ipc: leave out --bytes")
        ipc = 10 if self.ipc is None and limit is None else self.ipc
        budget, every = seconds("--time-budget", self.time_budget), self.session.every()
        least = ipc or 1 if self.drop_small_classes else 1
        source = DataSource(self.data, **vars(self.reading) | {"image_size": self.image_size, "min_per_class": least})
        train, test = read(source)
        name = f"auto-{train.spec.name}-{f'{limit}bytes' if ipc is None else f'ipc{ipc}'}-seed{self.seed}"
        out = self.out or Path("runs") / file_name(name)
        options: Any = {
            "bytes": limit,
            "labels": self.labels,
            "candidates": self.candidates,
            "race_hold_out": self.race_hold_out,
            "arch": self.arch,
            "seed": self.seed,
            "snapshots": self.session.snapshots,
            "compute": self.computing.compute(),
            "time_budget": max(budget - (time.perf_counter() - began), _LEAST),
        }
        network = Random() if self.arch is None else Random(arch=self.arch)  # candidates augment in the same way
        for line in (*data_lines(self.data, train, test), *method_lines(self.data, network, train)):
            print_note(line)
        if self.session.dry_run:
            for line in preview(train, ipc, **options):
                print_line(line)
            print_line(f"would be written to {out}")
            return
        with alone(out, all_processes()):
            self._condense(train, ipc, out, options | {"source": source.to_json(), "checkpoint_every": every})

    def _condense(self, train: ImageSet, ipc: int | None, out: Path, options: Any) -> None:
        """Choose, condense `train` into `out`, print a summary, and write the report."""
        live = loggers(self.session.log, out)
        with ExitStack() as stack:
            for one in live:
                stack.enter_context(one)
            display = RunDisplay(f"auto {train.spec.name}", time_budget=options["time_budget"])
            stack.enter_context(display)
            stop = stack.enter_context(stop_signals())
            result = auto(
                train,
                ipc,
                out=out,
                resume=self.session.resume,
                overwrite=self.session.overwrite,
                observers=[display, *live],
                **options,
            )
        if result.provenance.labels and all_processes().leads:
            print_labels(result)
        conclude(result, train, out, int(result.provenance.settings.get("iterations", 0)), stop)
