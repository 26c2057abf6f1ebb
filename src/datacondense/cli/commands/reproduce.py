"""The command `reproduce`: published experiments by name, our numbers next to the published ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import tyro
from rich.table import Column, Table

from ...data.image_set import ImageSet
from ...data.options import ReadOptions
from ...data.source import DataSource
from ...engine.execution import check_shared
from ...experiments.continual import load_record
from ...experiments.continual_presets import CONTINUAL_PRESETS, ContinualPreset
from ...experiments.experiment_plan import ExperimentPlan, plan_experiment, variant_name
from ...experiments.reproduction import recorded_options, reproduce
from ...experiments.results_page import compare_with_published
from ...experiments.scenario import Scenario
from ...experiments.sweep import cache_last, match_presets, run_sweep
from ...methods import Method, method_name
from ...utils.distributed import ALONE, Processes, all_processes
from ...utils.errors import InputError, unknown
from ...utils.files import write_json
from ...utils.locks import writing
from ...utils.ranges import Images, Iterations, Networks, Repeats, Scale
from ...utils.timing import duration
from ..console import print_line, print_note
from ..display import RunDisplay
from ..options import Computing
from ..output_options import Quiet
from ..plugin_option import Plugins
from ..reading import read
from ..tables import show_table
from .continual import FIGURE, learn, show
from .report import report_on

_Images: TypeAlias = tuple[ImageSet, ImageSet, dict[str, Any]]  # training, test, and what they were loaded from


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Run a published experiment by name and print our accuracy beside the published one.

    Finished parts are kept: the same command continues where it was stopped.
    """

    presets: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME")]] = ()
    """A name in `datacondense list presets`, such as dc/fashion-mnist/1; with --all any number of names and patterns,
    such as 'dm/fashion-mnist/*'."""
    all: bool = False
    """Run all published experiments except those of continual learning, or all named ones, one after the other; the
    processes of torchrun share them."""
    seeds: Repeats | None = None
    """Sets to condense, under seeds 0, 1, ...; by default as published."""
    nets: Networks | None = None
    """Networks of each kind to train on each set; by default as published."""
    scale: Scale = 1.0
    """Quick look: scale iterations and epochs by this fraction, and sets and networks unless they are set."""
    iterations: Iterations | None = None
    """Iterations; everything else as published."""
    data: str | None = None
    """Run the experiment on other data: a name in `datacondense list data`, folder:PATH, hub:OWNER/NAME or
    arrays:FILE.npz."""
    ipc: Images | None = None
    """Images per class; by default as published."""
    runs: Path = Path("runs/reproduce")
    """Folder of the run directories."""
    results: Path = Path("results")
    """Directory of the records, to which the result is appended."""
    overwrite: bool = False
    """Condense all sets, and train all networks on them, again."""
    plugin: Plugins = ()
    quiet: Quiet = False
    computing: Computing = field(default_factory=Computing)
    reading: ReadOptions = field(default_factory=ReadOptions)

    def run(self) -> None:
        if self.all:
            self._run_all()
            return
        if len(self.presets) != 1:
            raise InputError("name one experiment of `datacondense list presets`, or several with --all")
        if self.presets[0].startswith("continual/"):
            self._run_continual(self.presets[0])
            return
        planned = self._plan(self.presets[0])
        print_note(f"{planned.preset.title}: {planned.preset.sets} sets x {planned.preset.nets} networks")
        processes = all_processes()
        record = self._reproduce(planned, self._read(planned.data, processes), processes)
        table = Table("tested on", "ours", "published", "difference", "n = sets x networks")
        for arch in record["scores"]:
            table.add_row(arch, *compare_with_published(record, arch), _count(record))
        show_table(table)
        spent = {part: duration(sum(seconds)) for part, seconds in record["seconds"].items()}
        print_note(f"condensing took {spent['condense']}, evaluation {spent['evaluate']}; recorded in {self.results}")
        if record["source"]:
            print_note(f"published in {record['source']}")
        if planned.changed:
            print_line(f"a quick look, not the published experiment: {planned.variant}")
        if processes.leads:
            place = self.runs / planned.variant
            report_on([place / f"seed{seed}" for seed in range(planned.preset.sets)], place)

    def _run_continual(self, name: str) -> None:
        if name not in CONTINUAL_PRESETS:
            raise unknown("preset", name, CONTINUAL_PRESETS, listed_by="datacondense list presets")
        preset = CONTINUAL_PRESETS[name]
        train, test, source = self._read(self.data or preset.data, all_processes())
        method, scenario = self._scenario(preset, train.spec.classes)
        done = variant_name(
            name,
            data=self.data if self.data != preset.data else None,
            ipc=self.ipc if self.ipc != preset.ipc else None,
            iterations=self.iterations,
            scale=self.scale,
            hold_out=self.reading.hold_out,
        )
        print_note(f"{preset.title}: {scenario.orders} orders x {scenario.nets} networks")
        record = learn(
            method,
            train,
            test,
            scenario,
            self.runs / done,
            source=source,
            overwrite=self.overwrite,
            as_published=self.scale == 1,
            compute=self.computing.compute(),
        )
        if all_processes().leads:
            folder = self.results / "continual"
            folder.mkdir(parents=True, exist_ok=True)
            show({record["memory"]: record}, self.runs / done / FIGURE)
            with writing(folder):
                outcome = _keep(record, folder / f"{done.removeprefix('continual/').replace('/', '-')}.json")
            print_line(outcome)
            if done != name:
                print_line(f"a quick look, not the published experiment: {done}")

    def _scenario(self, preset: ContinualPreset, classes: int) -> tuple[Method, Scenario]:
        """Return a published experiment with the requested changes; data of few classes come two classes at a step."""

        def scaled(count: int) -> int:
            return max(1, round(count * self.scale))

        method = preset.memory
        if self.iterations is not None and not method.iterations:
            raise InputError(f"--iterations {self.iterations}: does not apply to {method_name(method)}: leave it out")
        if method.iterations:
            count = scaled(method.iterations) if self.iterations is None else self.iterations
            method = replace(method, iterations=count)
        scenario = Scenario(
            steps=min(preset.steps, classes // 2),
            ipc=preset.ipc if self.ipc is None else self.ipc,
            orders=scaled(preset.orders) if self.seeds is None else self.seeds,
            nets=scaled(preset.nets) if self.nets is None else self.nets,
            epochs=scaled(preset.epochs),
        )
        return method, scenario

    def _run_all(self) -> None:
        processes = all_processes()
        check_shared(self.computing.device, processes)
        plans = [self._plan(name) for name in match_presets(self.presets)]
        data = cache_last(lambda source: self._read(source, ALONE))
        outcomes = run_sweep(
            plans,
            lambda planned: self._reproduce(planned, data(planned.data), ALONE),
            lambda planned: data(planned.data)[0].fingerprint(),
            processes,
            results=self.results,
            options=recorded_options(self.reading.non_default(), self.computing.precision),
            overwrite=self.overwrite,
        )
        name = Column("experiment", overflow="fold")
        table = Table(name, "tested on", "ours", "published", "difference", "n = sets x networks")
        for record in (outcome.record for outcome in outcomes if outcome.record):
            for arch in record["scores"]:
                table.add_row(record["variant"], arch, *compare_with_published(record, arch), _count(record))
        if table.row_count:
            show_table(table)
        failed = [outcome for outcome in outcomes if outcome.record is None]
        for outcome in failed:
            print_line(f"{outcome.variant}: {outcome.reason}")
        if failed:
            raise InputError(f"{len(failed)} of {len(plans)} experiments could not be run, for the reasons above")

    def _plan(self, name: str) -> ExperimentPlan:
        return plan_experiment(
            name,
            sets=self.seeds,
            nets=self.nets,
            scale=self.scale,
            iterations=self.iterations,
            data=self.data,
            ipc=self.ipc,
            hold_out=self.reading.hold_out,
        )

    def _read(self, data: str, processes: Processes) -> _Images:
        source = DataSource(data, **self.reading.non_default())
        return *read(source, processes), source.to_json()

    def _reproduce(self, planned: ExperimentPlan, images: _Images, processes: Processes) -> Mapping[str, Any]:
        train, test, source = images
        with RunDisplay(planned.variant) as display:
            return reproduce(
                planned,
                train,
                test,
                source=source,
                overwrite=self.overwrite,
                runs=self.runs,
                results=self.results,
                observers=[display],
                on_epoch=lambda done, total: display.step(done, total, f"networks {done / total:.0%}"),
                processes=processes,
                compute=self.computing.compute(),
            )


def _keep(record: Mapping[str, Any], path: Path) -> str:
    """Write a record, unless one of the same images over more networks exists. Returns a message that says which."""
    before = load_record(path) if path.exists() else None
    if before and before["data_sha256"] == record["data_sha256"] and _networks(before) > _networks(record):
        return f"not recorded: the record in {path} has more networks"
    write_json(path, record)
    return f"recorded in {path}"


def _networks(record: Mapping[str, Any]) -> int:
    return record["scenario"]["orders"] * record["scenario"]["nets"]


def _count(record: Mapping[str, Any]) -> str:
    return f"{len(record['seeds'])} x {record['nets']}"
