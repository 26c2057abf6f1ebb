"""The command `label`."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from ...augment.mix import MixKind
from ...data.options import ReadOptions
from ...evaluation.labelling import LabelOptions, label
from ...evaluation.teachers import REAL, Report
from ...run.signals import Request, stop_signals, stoppable
from ...synthetic.set import SyntheticSet, load_set
from ...training.trajectories import Steps
from ...utils.errors import InputError
from ...utils.paths import resolved
from ...utils.ranges import Epochs, HeldOut, Images, Rate, Scale, Seed, Temperature, Views
from ...utils.timing import duration
from ..console import print_line, print_note
from ..display import RunDisplay
from ..options import Computing
from ..output_options import Quiet
from ..plugin_option import Plugins
from ..reading import real_images
from ..tables import show_table


@dataclass(frozen=True, kw_only=True)
class Label:
    """Give a set the labels of a teacher: the class probabilities of a trained network.

    Writes a run directory with the same images. Moment and temperature of the teacher are chosen on held-out training
    images unless both are given, and the set's own labels are compared with them.
    """

    run_dir: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    """Run directory of `condense` or `import`, or a synthetic.safetensors file."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Run directory to write."""
    teacher: Annotated[str, tyro.conf.arg(metavar="{real,FILE,RUN}")] = REAL
    """real trains a network on the real images, or takes that of --networks trained from the cache. FILE holds weights
    of --arch, a state dict of torch.save or .safetensors. RUN trains a network on the set of another run."""
    arch: str | None = None
    """Network of the teacher; by default that of the set, or of the set that the teacher learns."""
    moment: Scale | None = None
    """Fraction of the training on real images after which the network labels, such as 0.25; by default chosen."""
    temperature: Temperature | None = None
    """Number that divides the logits before the softmax; by default chosen."""
    top_k: Images | None = None
    """Largest probabilities of each label that are stored, with their classes; the others share the rest evenly. By
    default all are stored."""
    views: Views | None = None
    """Augmented views of each training image, in its place, with a label each. What is stored are the images and the
    draw of each view."""
    mix: MixKind = "none"
    """Mixing of each of these views with another one, before it is labelled: mixup or cutmix. Networks then learn the
    views as they are stored, at a higher learning rate."""
    training_steps: Steps | None = None
    """Steps of the training on real images, of 128 images each; by default those of a set made under trained networks,
    otherwise 500."""
    training_lr: Rate | None = None
    """First learning rate of that training, which falls to 0; by default 0.02."""
    trial_epochs: Epochs | None = None
    """Epochs of each network by which moment and temperature are chosen; by default a tenth of the recipe, at least
    30."""
    trial_hold_out: HeldOut = 0.1
    """Share of the training images of each class on which they are chosen."""
    seed: Seed | None = None
    """Seed of the teacher and of the networks that choose; by default that of the set."""
    data: str | None = None
    """Source of the training images; by default the data that the set was made from."""
    overwrite: bool = False
    """Replace the run in DIR."""
    plugin: Plugins = ()
    quiet: Quiet = False
    computing: Computing = field(default_factory=Computing)
    reading: ReadOptions = field(default_factory=ReadOptions)

    def run(self) -> None:
        if resolved(self.out) == resolved(self.run_dir):
            raise InputError(f"--out {self.out}: this is the run that is read: name another directory")
        synthetic = load_set(self.run_dir)
        train, _ = real_images([self.run_dir], [synthetic], data=self.data, reading=self.reading, which="training")
        with RunDisplay(f"label {train.spec.name}") as display, stop_signals() as stop:
            options: LabelOptions = {
                "arch": self.arch,
                "moment": self.moment,
                "temperature": self.temperature,
                "top_k": self.top_k,
                "views": self.views,
                "mix": self.mix,
                "training_steps": self.training_steps,
                "training_lr": self.training_lr,
                "trial_epochs": self.trial_epochs,
                "trial_hold_out": self.trial_hold_out,
                "seed": self.seed,
                "out": self.out,
                "overwrite": self.overwrite,
                "report": watched(display, stop),
            }
            made = label(synthetic, train, teacher=self.teacher, compute=self.computing.compute(), **options)
        print_labels(made)
        print_note(f"next: datacondense evaluate {shlex.quote(str(self.out))} --beside random")


def watched(display: RunDisplay, stop: Request) -> Report:
    """Return a report of labelling that is displayed, and that ends the work on a signal: finished steps are kept."""
    unfinished = "stopped before the set had labels of the teacher; the same command continues"
    return stoppable(display.preparing, stop, unfinished)


def print_labels(made: SyntheticSet) -> None:
    """Print what was compared, and the labels that were taken."""
    record = made.provenance.labels
    if "trials" in record:
        show_table(trial_table(made))
        own, best = record["trials"][0]["accuracy"], max(one["accuracy"] for one in record["trials"][1:])
        if own >= best:
            found = "better" if own > best else "as good"
            print_line(
                f"the set's own labels are {found} on held-out images, {own:.1%} against {best:.1%}: prefer them"
            )
    moment = f", moment {record['moment']:g}" if "moment" in record else ""
    source = f"{record['teacher']}, {record['arch']}{moment}, temperature {record['temperature']:g}"
    print_line(f"{len(made)} images with labels of a teacher ({source}) in {duration(record['seconds'])}")


def trial_table(made: SyntheticSet) -> Table:
    """Return a table of the accuracy on held-out training images for each labelling that was tried."""
    record = made.provenance.labels
    table = Table(caption=f"a network each, tested on {record['held_out']} held-out training images")
    for column in ("labels", "moment", "temperature", "accuracy %", ""):
        table.add_column(column, no_wrap=True)
    for one in record["trials"]:
        pair = one.get("moment"), one.get("temperature")
        table.add_row(
            "own" if pair[1] is None else "teacher",
            *("-" if value is None else f"{value:g}" for value in pair),
            f"{100 * one['accuracy']:.1f}",
            "taken" if pair == (record.get("moment"), record["temperature"]) else "",
        )
    return table
