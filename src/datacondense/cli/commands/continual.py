"""The command `continual`: class-incremental learning on memories."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from ...data.image_set import ImageSet
from ...data.options import ReadOptions
from ...data.source import DataSource
from ...experiments.continual import learn_continually, load_record
from ...experiments.scenario import Scenario
from ...formats import FileOptions, PixelOptions, find_runs, read_sets
from ...methods import METHODS, Method
from ...report.run_names import check_named_once
from ...synthetic.set import SyntheticSet, load_set
from ...utils.distributed import all_processes
from ...utils.errors import InputError, naming
from ...utils.paths import resolved
from ...utils.text import file_name, mean_std
from ...utils.timing import duration
from ..console import print_line
from ..display import RunDisplay
from ..options import Computing
from ..output_options import Quiet
from ..plugin_option import Plugins
from ..reading import read
from ..settings import with_settings
from ..tables import show_table

FIGURE = "continual.png"
_NAMED = re.compile(r"cl_(?:res_)?(?P<method>[^_]+)_[^_]+_.+?_\d+ipc_(?P<steps>\d+)steps")
"""The authors' file names of continual learning, such as cl_DM_CIFAR100_ConvNet_20ipc_5steps_seed0.pt."""


@dataclass(frozen=True, kw_only=True)
class Continual:
    """Learn classes step by step on a memory of a few images of each, and compare memories.

    At each step the memory gets images of the new classes, made from these classes' own images; fresh networks are
    trained on the whole memory and tested on all classes seen. Finished parts are kept: the same command continues.
    """

    data: str = "digits"
    """Data to learn: a name in `datacondense list data`, folder:PATH, hub:OWNER/NAME or arrays:FILE.npz."""
    memory: tuple[str, ...] = ("random", "dm")
    """Memories to compare: methods of `datacondense list methods`, files of the authors, or directories of these or of
    imported files, one for each order of the classes."""
    set: tuple[str, ...] = ()
    """Settings of these methods, such as iterations=400 (for all methods with this setting) or dm.lr=10 (for one
    method)."""
    plugin: Plugins = ()
    quiet: Quiet = False
    scenario: Scenario = field(default_factory=Scenario)
    beside: tuple[Path, ...] = ()
    """Directories of earlier runs of this command whose memories are added to the table and the figure."""
    out: Path | None = None
    """Directory to write; by default runs/continual-DATA-STEPSx-perN."""
    overwrite: bool = False
    """Discard finished parts and start again."""
    computing: Computing = field(default_factory=Computing)
    reading: ReadOptions = field(default_factory=ReadOptions)

    def run(self) -> None:
        if not self.memory and not self.beside:
            raise InputError("name at least one memory with --memory")
        before = _earlier(self.beside)
        if len({file_name(_label(name)) for name in self.memory}) < len(self.memory):
            raise InputError("--memory names the same memory twice: name each once")
        for name in self.memory:
            if name not in METHODS and not Path(name).exists() and (Path(name).suffix or len(Path(name).parts) > 1):
                raise InputError(f"--memory {name}: there is no such file")
        methods = with_settings([name for name in self.memory if not _is_file(name)], self.set, arch=self.scenario.arch)
        source = DataSource(self.data, **self.reading.non_default())
        train, test = read(source)
        scenario = self.scenario
        scenario.check(train.spec.classes)
        for method in methods.values():
            method.check()
        name = file_name(f"continual-{train.spec.name}-{scenario.steps}x-per{scenario.ipc}")
        out = self.out or Path("runs") / name
        memories = {
            _label(name): methods.get(name) or _finished_memories(Path(name), train, scenario.steps)
            for name in self.memory
        }
        records: dict[str, Mapping[str, Any]] = dict(before)
        for name, memory in memories.items():
            records[name] = learn(
                memory,
                train,
                test,
                scenario,
                out / file_name(name),
                name=name,
                source=source.to_json(),
                overwrite=self.overwrite,
                compute=self.computing.compute(),
            )
        if all_processes().leads:
            out.mkdir(parents=True, exist_ok=True)
            show(records, out / FIGURE)


def learn(
    memory: Method | Sequence[SyntheticSet],
    train: ImageSet,
    test: ImageSet,
    scenario: Scenario,
    out: Path,
    *,
    name: str | None = None,
    **options: Any,
) -> Mapping[str, Any]:
    """Run `learn_continually` with a progress display."""
    with RunDisplay(name or "continual") as display:

        def on_epoch(done: float, total: float) -> None:
            display.step(done, total, f"networks {done / total:.0%}")

        return learn_continually(
            memory, train, test, scenario, out, name=name, observers=[display], on_epoch=on_epoch, **options
        )


def show(records: Mapping[str, Mapping[str, Any]], figure: Path) -> None:
    """Print a table of memories and draw their figure."""
    from ...report import figures  # only here: its library takes longer to import than all else

    show_table(_table(records))
    for name, record in records.items():
        spent = {part: duration(seconds) for part, seconds in record["seconds"].items()}
        print_line(f"{name}: the memory took {spent['memory']}, networks {spent['networks']}")
    figures.save_steps(records, figure)
    print_line(str(figure))


def _table(records: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table of test accuracies in percent: a row for each number of classes seen, a column for each memory."""
    counts = {name: f"{len(one['accuracy'])} x {len(one['accuracy'][0][0])}" for name, one in records.items()}
    alike = len(set(counts.values())) == 1
    over = f"n = {next(iter(counts.values()))}" if alike else "n ="
    table = Table(
        title="test accuracy % on the classes seen",
        caption=f"mean ± standard deviation over {over} orders x networks",
    )
    table.add_column("classes")
    for name, count in counts.items():
        table.add_column(name if alike else f"{name}, {count}")
    for number in sorted({number for one in records.values() for number in one["classes_seen"]}):
        row = []
        for one in records.values():
            step = one["classes_seen"].index(number) if number in one["classes_seen"] else None
            row.append("" if step is None else _percent(one["mean"][step], one["std"][step]))
        table.add_row(str(number), *row)
    return table


def _percent(mean: float, std: float | None) -> str:
    return mean_std(100 * mean, None if std is None else 100 * std)


def _records(place: Path) -> Sequence[Path]:
    """Return the records in a directory of this command, or the named record."""
    found = sorted(path.parent for path in place.glob("*/continual.json"))
    return found or [place]


def _earlier(places: Sequence[Path]) -> dict[str, Mapping[str, Any]]:
    """Return the records of earlier runs by the names of their memories. Raises InputError for one that is named twice.

    A name is that of the memory's own directory and that of the run; of equal ones, the whole path.
    """
    paths = [path for place in places for path in _records(place)]
    folders = [path if path.is_dir() else path.parent for path in paths]
    check_named_once(folders)
    short = [f"{one.name} ({one.absolute().parent.name})" for one in folders]
    names = short if len(set(short)) == len(short) else [str(one) for one in folders]
    return {name: load_record(path) for name, path in zip(names, paths, strict=True)}


def _is_file(name: str) -> bool:
    return name not in METHODS and Path(name).exists()


def _label(name: str) -> str:
    return resolved(name).stem if _is_file(name) else name


def _finished_memories(path: Path, train: ImageSet, steps: int) -> list[SyntheticSet]:
    """Return the finished memories in a file of the authors, or in a directory of such or of imported files.

    Files that the authors name by a number of steps are read if that is `steps`.
    """
    files = _files_with_steps(sorted(path.glob("*.pt")), path, steps) if path.is_dir() else [path]
    if path.is_dir() and not files:
        return [load_set(run) for run in find_runs(path)]
    found = []
    for file in files:
        if file.suffix == ".safetensors":
            found.append(load_set(file))
            continue
        sets = read_sets(file, train.spec, FileOptions(PixelOptions(real=train))).sets
        with naming(file):
            if len(sets) != 1:
                raise InputError(f"it holds {len(sets)} sets, not the steps of continual learning")
        found += sets
    return found


def _files_with_steps(files: Sequence[Path], folder: Path, steps: int) -> list[Path]:
    """Return the files of one method in `steps` steps. Raises InputError for several methods or other steps."""
    named = {file: match for file in files if (match := _NAMED.match(file.name))}
    found = [file for file in files if file not in named or int(named[file]["steps"]) == steps]
    if files and not found:
        raise InputError(f"--memory {folder}: its files have other numbers of steps than --steps {steps}")
    methods = {named[file]["method"] for file in found if file in named}
    if len(methods) > 1:
        raise InputError(
            f"--memory {folder}: it holds memories of {' and '.join(sorted(methods))}: put each into its own directory"
        )
    return found
