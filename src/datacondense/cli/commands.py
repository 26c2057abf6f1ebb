"""What each command does: condense, evaluate, show, list. A command is a dataclass of its options."""

import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import tyro
from rich.table import Table

from .. import picture
from ..artifact import SyntheticSet, load_set
from ..data import DATASETS, SOURCES, load
from ..driver import condense
from ..engine import Compile, Precision
from ..errors import InputError
from ..evaluate import evaluate, protocol_for
from ..files import write_json
from ..methods import METHODS, Method, Random, method_name
from ..networks import NETWORKS
from ..rundir import SCORES
from ..types import ImageSet, Scores
from .display import OUT, RunDisplay, class_table, duration, say, score_table, summary

M = TypeVar("M", bound=Method)


@dataclass(frozen=True, kw_only=True)
class Condense(Generic[M]):
    """Condense a dataset into a few synthetic images per class."""

    data: str = "digits"
    """What to condense: a name of `datacondense list data`, arrays:FILE.npz or folder:PATH."""
    data_dir: Path | None = None
    """Where the files of a named dataset are."""
    ipc: int = 10
    """Synthetic images of each class."""
    out: Path | None = None
    """Run directory; by default runs/METHOD-DATA-ipcN-seedN."""
    method: M
    seed: int = 0
    """The same seed on the same machine gives the same images, bit for bit."""
    time_budget: str | None = None
    """Stop after this time with a valid set, such as 90s, 5m, 1h30m."""
    resume: bool = False
    """Go on with the run in the run directory, if there is one."""
    overwrite: bool = False
    """Replace the run in the run directory."""
    checkpoint_every: str = "1m"
    """Time between checkpoints."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "fp32"
    """Arithmetic of the networks; tf32 needs an NVIDIA GPU."""
    compile: Compile = "auto"
    """torch.compile: auto compiles where the run is long enough to pay for it."""
    classes_at_once: int | None = None
    """Classes whose images are compared together: fewer need less memory. By default as many as fit 1 GiB (16 GiB on a
    GPU). Methods that need all classes in one forward (dm with BatchNorm) take all."""

    def run(self) -> None:
        train, _ = load(self.data, data_dir=self.data_dir)
        name = method_name(self.method)
        out = self.out or Path("runs") / f"{name}-{train.spec.name}-ipc{self.ipc}-seed{self.seed}"
        budget = parse_duration("--time-budget", self.time_budget) if self.time_budget else None
        every = parse_duration("--checkpoint-every", self.checkpoint_every)
        with RunDisplay(f"{name} {train.spec.name} ipc {self.ipc}") as display:
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
                source={"source": _absolute(self.data), "data_dir": self.data_dir and str(self.data_dir.absolute())},
                observers=[display],
            )
        made = result.provenance
        say(
            f"{len(result)} images from {len(train)} in {duration(made['wall_seconds'])}, "
            f"{made['iterations_done']} of {self.method.iterations} iterations: {out}"
        )
        if made["iterations_done"] < self.method.iterations:
            say("stopped early with a valid set; the same command with --resume goes on")
        say(f"next: datacondense evaluate {out}")


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Train fresh networks on a condensed set and test them on real images."""

    run_dir: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    """Run directory of `datacondense condense`, or a synthetic.safetensors."""
    archs: tuple[str, ...] = ()
    """Networks to train; by default the one the set was made with."""
    nets: int = 5
    """Networks of each kind, each from fresh weights."""
    epochs: int | None = None
    """Training epochs; by default 1000 with augmentation and 300 without, as published."""
    augment: str = "auto"
    """Augmentation in training: auto takes the one the set was made under; none; or strategies joined by "_"."""
    beside: tuple[Literal["random", "whole"], ...] = ()
    """Also train on: random real images of the same number; the whole real training set."""
    whole_epochs: int = 30
    """Training epochs on the whole set."""
    seed: int = 0
    """Seed of the networks."""
    per_class: bool = False
    """Print the accuracy on each class too."""
    data: str | None = None
    """Where the test images come from; by default what the set was made from."""
    data_dir: Path | None = None
    """Where the files of a named dataset are."""
    out: Path | None = None
    """Write the scores to this JSON file too. They are added to scores.jsonl in the run directory in any case."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "fp32"
    """Arithmetic of the networks; tf32 needs an NVIDIA GPU."""
    compile: Compile = "auto"
    """torch.compile: auto compiles where the training is long enough to pay for it."""

    def run(self) -> None:
        condensed = load_set(self.run_dir)
        made = condensed.provenance
        source = {**(made.get("source") or {}), **({"source": self.data} if self.data else {})}
        if not source:
            raise InputError(f"{self.run_dir} does not say what it was made from: name the test images by --data")
        train, test = load(**{**source, **({"data_dir": self.data_dir} if self.data_dir else {})})
        if made.get("data_sha256") != train.fingerprint():
            warnings.warn(f"{source['source']} does not hold the images that the set was made from", stacklevel=1)
        if self.whole_epochs < 1:
            raise InputError(f"--whole-epochs {self.whole_epochs}: must be at least 1")
        if self.out is not None and not self.out.parent.is_dir():
            raise InputError(f"--out {self.out}: there is no directory {self.out.parent}")
        first = protocol_for(
            condensed, archs=self.archs, nets=self.nets, epochs=self.epochs, augment=self.augment, seed=self.seed
        )
        rows: list[tuple[str, SyntheticSet | ImageSet, int]] = [(made["method"], condensed, first.epochs)]
        if "random" in self.beside:
            baseline = condense(Random(arch=first.archs[0]), train, made["ipc"], seed=made["seed"], device=self.device)
            rows.insert(0, ("random real", baseline, first.epochs))
        if "whole" in self.beside:
            rows.append(("whole set", train, self.whole_epochs))
        total = sum(epochs * len(examples) for _, examples, epochs in rows) * self.nets * len(first.archs)
        scores: dict[str, Scores] = {}
        with RunDisplay("training networks") as display:
            done = 0

            for label, examples, epochs in rows:

                def on_epoch(label: str = label, images: int = len(examples)) -> None:
                    nonlocal done
                    done += images
                    display.step(done, total, f"{label}  {done / total:.0%}", "images/s")

                scores[label] = evaluate(
                    examples,
                    test,
                    archs=first.archs,
                    nets=self.nets,
                    epochs=epochs,
                    augment=first.augment,
                    seed=self.seed,
                    device=self.device,
                    precision=self.precision,
                    compile=self.compile,
                    on_epoch=on_epoch,
                )
        OUT.print(score_table(scores))
        if self.per_class:
            OUT.print(class_table(scores, test.spec.class_names))
        _keep(scores, self.run_dir, self.out)


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draw a condensed set as a picture, one labelled row for each class."""

    run_dir: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    """Run directory of `datacondense condense`, or a synthetic.safetensors."""
    per_class: int = 10
    """How many images of each class to draw."""
    out: Path | None = None
    """Picture to write; by default images.png beside the set."""

    def run(self) -> None:
        synthetic = load_set(self.run_dir)
        if self.per_class < 1:
            raise InputError(f"--per-class {self.per_class}: at least 1 image per class is needed")
        folder = self.run_dir if self.run_dir.is_dir() else self.run_dir.parent
        path = self.out or folder / picture.FILE_NAME
        picture.save_grid(synthetic, path, per_class=self.per_class)
        say(str(path))


@dataclass(frozen=True, kw_only=True)
class List:
    """List the methods, datasets or networks there are."""

    what: tyro.conf.Positional[Literal["methods", "data", "archs"]]
    """What to list."""

    def run(self) -> None:
        if self.what == "methods":
            table = Table("method", "what it does")
            for name, cls in METHODS.items():
                table.add_row(name, summary(cls))
            OUT.print(table)
            return
        names = {"data": [*DATASETS, *(f"{prefix}:PATH" for prefix in SOURCES)], "archs": list(NETWORKS)}
        for name in names[self.what]:
            say(name)


def parse_duration(flag: str, text: str) -> float:
    """Seconds of a text such as 90, 90s, 5m or 1h30m. Raises InputError, naming the flag, for anything else."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    if not match or not any(match.groups()):
        raise InputError(f"{flag} {text}: give a time such as 90s, 5m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _keep(scores: dict[str, Scores], run_dir: Path, out: Path | None) -> None:
    """Add the scores to the run directory's scores.jsonl, and write them to `out`."""
    values: dict[str, Any] = {label: score.to_json() for label, score in scores.items()}
    if run_dir.is_dir():
        with (run_dir / SCORES).open("a") as file:  # one write of one line: two evaluations at once both stay
            file.write(json.dumps(values, allow_nan=False) + "\n")
    if out is not None:
        write_json(out, values)


def _absolute(source: str) -> str:
    """A data source whose path, if it has one, does not depend on the working directory."""
    prefix, colon, path = source.partition(":")
    return f"{prefix}:{Path(path).expanduser().absolute()}" if colon else source
