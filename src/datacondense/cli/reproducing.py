"""The commands `reproduce` and `results`: published experiments by name, ours beside the published numbers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from ..data import absolute
from ..errors import InputError
from ..execution import Compile, Precision
from ..files import write_bytes
from ..reproduce import plan, reproduce
from ..results import page, row
from .display import OUT, RunDisplay, duration, say
from .reading import Reading, read


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Run a published experiment by name and print ours beside the published number.

    Every part that is done stays done: the same command goes on where it was stopped.
    """

    preset: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME")]]
    """A name of `datacondense list presets`, such as dc/fashion-mnist/1."""
    seeds: int | None = None
    """Sets that are condensed, under seeds 0, 1, ...; by default as published."""
    nets: int | None = None
    """Networks of each kind that are trained on each set; by default as published."""
    scale: float = 1.0
    """Quick look: this fraction of the iterations, epochs, and of sets and networks where these are not given."""
    iterations: int | None = None
    """Run it with this many iterations and all else as published."""
    data: str | None = None
    """Run the experiment on other data: a name of `datacondense list data`, folder:PATH, hub:OWNER/NAME or
    arrays:FILE.npz."""
    reading: Reading = field(default_factory=Reading)
    ipc: int | None = None
    """Run it with another number of images per class."""
    runs: Path = Path("runs/reproduce")
    """Where the run directories are."""
    results: Path = Path("results")
    """Where the record of the result is appended."""
    overwrite: bool = False
    """Condense all sets anew."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "fp32"
    """Arithmetic of the networks; tf32 needs an NVIDIA GPU."""
    compile: Compile = "auto"
    """torch.compile: auto compiles where the work is long enough to pay for it."""

    def run(self) -> None:
        planned = plan(
            self.preset,
            sets=self.seeds,
            nets=self.nets,
            scale=self.scale,
            iterations=self.iterations,
            data=self.data,
            ipc=self.ipc,
        )
        say(f"{planned.preset.title}: {planned.preset.sets} sets x {planned.preset.nets} networks")
        source = {"source": planned.data, **self.reading.given()}
        train, test = read(source)
        with RunDisplay(planned.variant) as display:
            record = reproduce(
                planned,
                train,
                test,
                source=absolute(**source),
                overwrite=self.overwrite,
                runs=self.runs,
                results=self.results,
                device=self.device,
                precision=self.precision,
                compile=self.compile,
                observers=[display],
                on_epoch=lambda done, total: display.step(done, total, f"networks {done / total:.0%}"),
            )
        table = Table("tested on", "ours", "published", "difference", "n = sets x networks")
        for arch in record["scores"]:
            table.add_row(arch, *row(record, arch), f"{len(record['seeds'])} x {record['nets']}")
        OUT.print(table)
        spent = {part: duration(sum(seconds)) for part, seconds in record["seconds"].items()}
        say(f"condensing took {spent['condense']}, evaluation {spent['evaluate']}; recorded in {self.results}")
        if record["source"]:
            say(f"published in {record['source']}")
        if planned.changed:
            say(f"a quick look, not the published experiment: {planned.variant}")


@dataclass(frozen=True, kw_only=True)
class Results:
    """Write the page of results: ours beside the published numbers, from the records of `reproduce`."""

    results: Path = Path("results")
    """Where the records are."""
    out: Path = Path("docs/results.md")
    """The page to write, in Markdown."""

    def run(self) -> None:
        if not self.results.is_dir():
            raise InputError(f"--results {self.results}: there is no such directory; `datacondense reproduce` makes it")
        if not self.out.parent.is_dir():
            raise InputError(f"--out {self.out}: there is no directory {self.out.parent}")
        write_bytes(self.out, page(self.results).encode())
        say(str(self.out))
