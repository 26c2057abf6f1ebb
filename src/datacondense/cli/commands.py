"""The commands `condense` and `list`. A command is a dataclass of its options."""

import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

import tyro
from rich.table import Table

from ..artifact import load_set
from ..data import DATASETS, SOURCES, absolute
from ..distributed import all_processes
from ..driver import condense
from ..errors import InputError
from ..estimate import estimate
from ..execution import Compile, Precision
from ..live import LIVE, Live
from ..methods import METHODS, Method, method_name
from ..networks import NETWORKS, POOLS
from ..pace import duration
from ..presets import CONTINUAL, PRESETS
from ..rundir import RunDirectory
from ..types import ImageSet
from .display import OUT, RunDisplay, say, summary
from .foretelling import foretelling
from .reading import Reading, read
from .reporting import report_on

M = TypeVar("M", bound=Method)


@dataclass(frozen=True, kw_only=True)
class Condense(Generic[M]):
    """Condense a dataset into a few synthetic images per class."""

    data: str = "digits"
    """What to condense: a name of `datacondense list data`, folder:PATH, hub:OWNER/NAME or arrays:FILE.npz."""
    reading: Reading = field(default_factory=Reading)
    drop_small_classes: bool = False
    """Leave out classes with fewer training images than --ipc."""
    ipc: int = 10
    """Synthetic images of each class."""
    out: Path | None = None
    """Run directory; by default runs/METHOD-DATA-ipcN-seedN."""
    method: M
    start: Path | None = None
    """Run directory of a finished or imported set to start from, in place of --init."""
    seed: int = 0
    """The same seed on the same machine gives the same images, bit for bit."""
    time_budget: str | None = None
    """Stop after this time with a valid set, such as 90s, 5m, 1h30m."""
    resume: bool = False
    """Go on with the run in the run directory, if there is one."""
    overwrite: bool = False
    """Replace the run in the run directory."""
    dry_run: bool = False
    """Say what the whole run would take, time and memory, and write nothing."""
    checkpoint_every: str = "1m"
    """Time between checkpoints."""
    snapshots: int = 0
    """Keep the images at the start and at this many iterations, spread evenly up to the last, for `show --process`."""
    log: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Write loss, speed and images as they come, for TensorBoard in the run directory, or for Weights & Biases."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "auto"
    """Arithmetic of the networks: auto takes tf32 on an NVIDIA GPU, which alone has it, and fp32 elsewhere."""
    compile: Compile = "auto"
    """torch.compile: auto compiles where the run is long enough to pay for it."""
    classes_at_once: int | None = None
    """Classes whose images are compared together: fewer need less memory. By default as many as fit 1 GiB (an eighth
    of the memory of a GPU). Methods that need all classes in one forward (dm with BatchNorm) take all."""

    def run(self) -> None:
        least = {"min_per_class": self.ipc} if self.drop_small_classes else {}
        source = {"source": self.data, **self.reading.given(), **least}
        train, _ = read(source)
        name = method_name(self.method)
        out = self.out or Path("runs") / f"{name}-{train.spec.name}-ipc{self.ipc}-seed{self.seed}"
        budget = parse_duration("--time-budget", self.time_budget) if self.time_budget else None
        every = parse_duration("--checkpoint-every", self.checkpoint_every)
        if self.dry_run:
            all_processes().agreed(lambda: self._foretell(train, out, budget))  # alone, as others would disturb it
            return
        live = self._live(out)
        with ExitStack() as stack:
            for one in live:
                stack.enter_context(one)
            display = RunDisplay(f"{name} {train.spec.name} ipc {self.ipc}", time_budget=budget)
            stack.enter_context(display)
            result = condense(
                self.method,
                train,
                self.ipc,
                seed=self.seed,
                out=out,
                device=self.device,
                precision=self.precision,
                compile=self.compile,
                classes_at_once=self.classes_at_once,
                time_budget=budget,
                resume=self.resume,
                overwrite=self.overwrite,
                checkpoint_every=every,
                snapshots=self.snapshots,
                start=load_set(self.start) if self.start else None,
                source=absolute(**source),
                observers=[display, *live],
            )
        made = result.provenance
        say(
            f"{len(result)} images from {len(train)} in {duration(made['wall_seconds'])}, "
            f"{made['iterations_done']} of {self.method.iterations} iterations: {out}"
        )
        if made["iterations_done"] < self.method.iterations:
            say("stopped early with a valid set; the same command with --resume goes on")
        if all_processes().leads:
            report_on(out)
        say(f"next: datacondense evaluate {out}")

    def _live(self, out: Path) -> list[Live]:
        """What --log asks for. Raises InputError, on all processes, where the one that writes cannot."""
        live = [LIVE[name](out) for name in dict.fromkeys(self.log)]

        def check() -> None:
            for one in live:
                one.check()

        all_processes().agreed(check)
        return live

    def _foretell(self, train: ImageSet, out: Path, budget: float | None) -> None:
        foretold = estimate(
            self.method,
            train,
            self.ipc,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            compile=self.compile,
            classes_at_once=self.classes_at_once,
        )
        if all_processes().size > 1:
            say("for one process; several share the work")
        for line in foretelling(foretold, budget):
            say(line)
        taken = RunDirectory(out).occupied()
        say(f"would be written to {out}" + (", which holds files of a run already" if taken else ""))


@dataclass(frozen=True, kw_only=True)
class List:
    """List the methods, datasets, networks, pools of networks or published experiments there are."""

    what: tyro.conf.Positional[Literal["methods", "data", "archs", "pools", "presets"]]
    """What to list."""

    def run(self) -> None:
        if self.what == "methods":
            table = Table("method", "what it does")
            for name, cls in METHODS.items():
                table.add_row(name, summary(cls))
            OUT.print(table)
            return
        if self.what == "pools":
            for letter, archs in POOLS.items():
                say(f"{letter}: {' '.join(archs)}")
            return
        if self.what == "presets":
            for name, preset in PRESETS.items():
                numbers = ", ".join(f"{arch} {mean}" for arch, (mean, _) in preset.published.items())
                say(f"{name}: {preset.title}" + (f"; published {numbers}" if numbers else ""))
            for name, experiment in CONTINUAL.items():
                say(f"{name}: {experiment.title}")
            return
        names = {
            "data": [*DATASETS, *(f"{prefix}:{place}" for prefix, (place, _) in SOURCES.items())],
            "archs": list(NETWORKS),
        }
        for name in names[self.what]:
            say(name)


def parse_duration(flag: str, text: str) -> float:
    """Seconds of a text such as 90, 90s, 5m or 1h30m. Raises InputError, naming the flag, for anything else."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    if not match or not any(match.groups()):
        raise InputError(f"{flag} {text}: give a time such as 90s, 5m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds
