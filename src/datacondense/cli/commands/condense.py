"""The command `condense`."""

import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import tyro

from ...data.image_set import ImageSet
from ...data.options import OtherReadOptions
from ...data.source import DataSource
from ...evaluation.labelling import LabelOptions, label_run, labelling_seconds
from ...evaluation.soft_labels import option_of, soft_labels
from ...methods import ItGan, Method, method_name
from ...run.directory import LABELLED, RunDirectory
from ...run.driver import condense
from ...run.dry_run import estimate
from ...run.loggers import LIVE, Live
from ...run.signals import Request, stop_signals
from ...synthetic.set import SyntheticSet, load_set
from ...utils.distributed import all_processes
from ...utils.errors import InputError, Stopped
from ...utils.locks import alone
from ...utils.ranges import Images, Seed, Side
from ...utils.text import file_name
from ...utils.timing import duration
from ..configuration import Config, Given
from ..console import print_line, print_note
from ..decisions import data_lines, iterations_for, method_lines
from ..display import RunDisplay
from ..dry_run import estimate_lines
from ..options import ComputingRun, Data, RunControl, seconds
from ..output_options import Quiet
from ..plugin_option import Plugins
from ..reading import read
from .label import print_labels, watched
from .report import report_on

M = TypeVar("M", bound=Method)
_LEAST = 1e-3  # seconds of a time budget that is spent before the method begins


@dataclass(frozen=True, kw_only=True)
class Condense(Generic[M]):
    """Condense a dataset into a few synthetic images per class, by one of the methods."""

    data: Data = "digits"
    """Data to condense: a name in `datacondense list data`, folder:PATH, hub:OWNER/NAME or arrays:FILE.npz."""
    ipc: Images = 10
    """Synthetic images of each class."""
    image_size: Side | None = None
    """Resize the short side of each image of folder: or hub: to this many pixels, and crop the middle square."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Run directory; by default runs/METHOD-DATA-ipcN-seedN."""
    time_budget: Annotated[str | None, tyro.conf.arg(metavar="TIME")] = None
    """Stop with a valid set after this time, preparation included, such as 90s, 5m, 1h30m. Without it and without
    --iterations, as many of the published iterations are made as take minutes on a CPU of two cores; a line says so."""
    config: Config = None
    drop_small_classes: bool = False
    """Leave out classes with fewer training images than --ipc. Without this option dc, dsa, dm and it-gan still make
    --ipc images of these classes, and methods that select images take all their images."""
    start: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Run directory of a finished or imported set to start from, in place of --init."""
    seed: Seed = 0
    """The same seed on the same machine gives the same images, bit for bit."""
    labels: Literal["own", "teacher", "soft"] = "own"
    """Labels of the finished set: own, those of the method; teacher, the class probabilities of a network that is
    trained on the real images after the run, as `label` chooses them; soft, those of a longer trained one for many
    mixed views of each image, in place of the image."""
    plugin: Plugins = ()
    quiet: Quiet = False
    given: Given = ()
    """Options that the command line or the configuration file gives."""
    method: M
    session: RunControl = field(default_factory=RunControl)
    computing: ComputingRun = field(default_factory=ComputingRun)
    reading: OtherReadOptions = field(default_factory=OtherReadOptions)

    def run(self) -> None:
        began = time.perf_counter()
        budget, every = self.budget(), self.session.every()
        least = self.ipc if self.drop_small_classes else 1
        source = DataSource(self.data, **vars(self.reading) | {"image_size": self.image_size, "min_per_class": least})
        start = load_set(self.start) if self.start else None
        train, test = read(source)
        name = method_name(self.method)
        if self.labels != "own" and isinstance(self.method, ItGan):
            raise InputError(
                f"--labels {self.labels}: the latents of {name} make images by class, so keep their own labels"
            )
        out = self.out or Path("runs") / file_name(f"{name}-{train.spec.name}-ipc{self.ipc}-seed{self.seed}")
        iterations, line = all_processes().agreed(lambda: self._paying(train, out))
        same = iterations == self.method.iterations
        method = self.method if same else replace(self.method, iterations=iterations)
        for text in (*data_lines(self.data, train, test), *method_lines(self.data, method, train), line):
            if text:
                print_note(text)
        if self.session.dry_run:
            # in one process: others would disturb the timing
            all_processes().agreed(lambda: self._estimate(method, train, out, budget, start))
            return
        with alone(out, all_processes()):
            left = budget and max(budget - (time.perf_counter() - began), _LEAST)
            self._condense(method, train, out, start, source, left, every)

    def budget(self) -> float | None:
        """Return the seconds that the run may take; None without a limit."""
        return seconds("--time-budget", self.time_budget) if self.time_budget else None

    def _paying(self, train: ImageSet, out: Path) -> tuple[int, str]:
        """Return as many iterations as pay, unless the user gives them, and a line on them."""
        if "iterations" in self.given:
            return self.method.iterations, ""
        return iterations_for(
            self.method,
            train,
            self.ipc,
            device=self.computing.device,
            out=out,
            resume=self.session.resume,
            bounded=bool(self.time_budget),
        )

    def _condense(
        self,
        method: M,
        train: ImageSet,
        out: Path,
        start: SyntheticSet | None,
        source: DataSource,
        budget: float | None,
        every: float,
    ) -> None:
        """Condense `train` into `out`, label the set, print a summary, and write the report."""
        all_processes().agreed(lambda: self._check_labels(out))
        live = loggers(self.session.log, out)
        with ExitStack() as stack:
            for one in live:
                stack.enter_context(one)
            display = RunDisplay(f"{method_name(method)} {train.spec.name} ipc {self.ipc}", time_budget=budget)
            stack.enter_context(display)
            stop = stack.enter_context(stop_signals())
            result = condense(
                method,
                train,
                self.ipc,
                seed=self.seed,
                out=out,
                time_budget=budget,
                resume=self.session.resume,
                overwrite=self.session.overwrite,
                checkpoint_every=every,
                snapshots=self.session.snapshots,
                start=start,
                source=source.to_json(),
                observers=[display, *live],
                compute=self.computing.compute(),
            )
            if self.labels != "own" and stop.signal is None:
                made, compute, report = result, self.computing.compute(), watched(display, stop)
                asked = self._asked(train)
                result = all_processes().agreed(lambda: label_run(made, train, out, compute, report, asked))
        if result.provenance.labels and all_processes().leads:
            print_labels(result)
        conclude(result, train, out, method.iterations, stop)

    def _asked(self, train: ImageSet) -> LabelOptions:
        """Return how the teacher labels the set."""
        return soft_labels(train.spec) if self.labels == "soft" else {}

    def _check_labels(self, out: Path) -> None:
        """Raise InputError if the run to be resumed has labels of another kind than is asked for."""
        run = RunDirectory(out)
        recorded = run.recorded() if self.session.resume and run.has_run() else {}
        found = option_of(recorded.get("labels") or {}) or "others"
        if recorded.get("labels") and recorded.get("status") != LABELLED and found != self.labels:
            raise InputError(f"cannot resume {out} with other settings: labels was {found!r} and is {self.labels!r}")

    def _estimate(
        self, method: M, train: ImageSet, out: Path, budget: float | None, start: SyntheticSet | None
    ) -> None:
        estimated = estimate(method, train, self.ipc, seed=self.seed, start=start, compute=self.computing.compute())
        if all_processes().size > 1:
            print_line("the estimate is for one process; several processes share the work")
        for line in estimate_lines(estimated, budget):
            print_line(line)
        if self.labels != "own":
            compute, asked = self.computing.compute(), self._asked(train)
            took = labelling_seconds(method, train, self.ipc, seed=self.seed, compute=compute, asked=asked)
            print_line(f"labels of a teacher: about {duration(took)} more, which --time-budget does not bound")
        occupied = RunDirectory(out).occupied()
        print_line(f"would be written to {out}" + (", which already holds files of a run" if occupied else ""))


def loggers(names: Sequence[str], out: Path) -> list[Live]:
    """Return the loggers of --log. Raises InputError, on all processes, if the writing one cannot log."""
    live = [LIVE[name](out) for name in dict.fromkeys(names)]

    def check() -> None:
        for one in live:
            one.check()

    all_processes().agreed(check)
    return live


def conclude(result: SyntheticSet, train: ImageSet, out: Path, iterations: int, stop: Request) -> None:
    """Print a summary of a run, and write its report. Raises Stopped if a signal has stopped it."""
    made = result.provenance
    done = made.iterations_done or 0
    parts = (made.wall_seconds, made.auto.get("seconds"), made.labels.get("seconds"))
    took = sum(part or 0.0 for part in parts)
    training = made.training_seconds
    part = f", {duration(training)} of it for training networks" if training else ""
    print_note(
        f"{len(result)} images from {len(train)} in {duration(took)}{part}, {done} of {iterations} iterations: {out}"
    )
    resumable = "stopped early with a valid set; run the same command with --resume to continue"
    stopped = done < iterations
    if stopped and stop.signal is None:
        print_note(resumable)
    if all_processes().leads:
        report_on([out], out)
    print_note(f"next: datacondense evaluate {shlex.quote(str(out))} --beside random")
    if stopped and stop.signal is not None:
        raise Stopped(resumable, stop.signal)
