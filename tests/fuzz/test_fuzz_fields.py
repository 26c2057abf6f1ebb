"""Files with wrong fields under a right checksum, through every reader: one line of what is wrong, or an answer."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from markupsafe import Markup
from mutations import JUNK, Judge, mutated

import datacondense as dc
from datacondense import ImageSet, formats, pictures
from datacondense.cli import app
from datacondense.cli.commands import continual
from datacondense.cli.commands import evaluate as evaluate_command
from datacondense.data.sources import store
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.evaluation import cached
from datacondense.evaluation.evaluator import evaluate_by
from datacondense.evaluation.protocol import Protocol, protocol_for
from datacondense.evaluation.score_log import keep_scores, saved_scores
from datacondense.evaluation.scoring import evaluate
from datacondense.experiments import experiment_plan, rehearsal, reproduction, results_page, sweep
from datacondense.experiments.continual import learn_continually, load_record
from datacondense.experiments.scenario import Scenario
from datacondense.formats import destination
from datacondense.formats.accuracies import known_accuracies
from datacondense.methods import DistributionMatching, Problem, Random
from datacondense.report import (
    command,
    comparison,
    facts,
    footprint,
    reading,
    run_names,
    section,
    summary,
    write_report,
)
from datacondense.report.process import process_frames
from datacondense.run import loggers
from datacondense.run.directory import RunDirectory, recorded_run
from datacondense.run.driver import condense
from datacondense.run.job import plan_run
from datacondense.run.log import trim_log
from datacondense.run.loop import Loop
from datacondense.run.observers import Observers, RunProgress
from datacondense.run.snapshots import load as load_snapshot
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import FILE_NAME
from datacondense.utils import cache
from datacondense.utils.distributed import ALONE
from datacondense.utils.files import checksum, header_text, read_tensors, write_json, write_tensors

pytestmark = pytest.mark.slow
CASES = int(os.environ.get("DATACONDENSE_FUZZ", "2000"))
"""Of each file; fewer for a quick look."""
SAMPLE, SMALL_SAMPLE = 20, 200  # of so many cases one goes through the readers that take long, and very long
METHOD = DistributionMatching(arch="MLP", iterations=3, batch_real=4)

Write = Callable[[Any], object]
Readers = Sequence[Callable[[], object]]


def toy() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (18, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return dc.image_set(images, torch.arange(3).repeat(6), name="toy", mean=[0.5], std=[0.25], flip=False)


def protocol(synthetic: dc.SyntheticSet) -> Protocol:
    return protocol_for(synthetic, archs=["MLP", "LeNet"][:1], nets=2, epochs=1)


HOW: dict[str, Any] = {"device": "cpu", "precision": "auto", "compile": "off"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A complete run with every file that there can be, one that was stopped, exports, and records."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("fields")
        patch.setenv("DATACONDENSE_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        real = toy()
        made = condense(METHOD, real, 2, out="run", snapshots=2, source={"source": "digits"})
        condense(METHOD, real, 2, out="stopped", time_budget=1e-9)
        whole = evaluate(real, real, archs=["MLP"], nets=2, epochs=1)
        other = condense(Random(arch="MLP"), real, 2)
        scores = evaluate_by(protocol(made), made, real, compute=Compute(**HOW), on_epoch=lambda: None)
        keep_scores("run", {"dm": scores, "whole": whole, "random": evaluate(other, real, nets=2, epochs=1)})
        entries = [{"iteration": iteration, "scores": scores.to_json()} for iteration in (0, 1, 3)]
        write_json(Path("run/process.json"), entries)
        cached.evaluate_once(protocol(made), made, real, Path("run"), lambda *_: None, Compute(**HOW), ALONE)
        for to in ("folder", "hf"):
            formats.export(made, to, to)
        formats.export([made, other], "npz", "several")
        formats.import_sets("folder", None, "imported")
        scenario = Scenario(steps=3, ipc=1, orders=1, nets=2, epochs=1, arch="MLP")
        learn_continually(Random(arch="MLP"), real, real, scenario, "continual")
        planned = experiment_plan.plan_experiment("dm/fashion-mnist/1", sets=1, nets=1, scale=1e-5, data="toy")
        record = reproduction._record(planned, [made], [scores])
        write_json(Path("record.json"), {**record, "asked": {}})
        yield folder


@pytest.fixture
def work(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies to be damaged, in the current directory."""
    shutil.copytree(place, tmp_path / "work")
    monkeypatch.setenv("DATACONDENSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def cases(
    value: Any, write: Write, judge: Judge, *readers: Callable[[], object], seldom: Readers = (), least: Readers = ()
) -> None:
    """Mutate a JSON value so many times, write it, and run its readers: `seldom` every 20th time, `least` 200th."""
    for case in range(CASES):
        rng = random.Random(case)
        try:
            write(mutated(value, rng))
        except (UnicodeEncodeError, ValueError, OverflowError):
            judge.ends["cannot be written"] += 1
            continue
        judge(case, *readers, *(seldom if case % SAMPLE == 0 else ()), *(least if case % SMALL_SAMPLE == 0 else ()))
    judge.verdict()


def writes(path: Path) -> Write:
    """Write JSON as anyone may, also what `write_json` refuses."""
    return lambda value: path.write_text(json.dumps(value))


def about(made: dc.SyntheticSet, draw: bool = False) -> None:
    """All that a report says of a run, but its pictures. draw: draw its figures too, and write none."""

    def chart(name: str, figure: Callable[[], object]) -> Markup:
        if draw:
            figure()
        return Markup(name)

    run = reading.Run(Path("run"), "run", made)
    summary.result([run])
    summary.summary_table([run])
    summary.alike([run])
    section._score_rows(run)
    section._classes(run, "run1", chart)
    section._loss(run, "run1", chart)
    section._learned(run, "run1", chart)
    comparison.compare([run, run], chart)


def reported(path: str = "run") -> None:
    write_report([path], "report.html", figures_in="figures")


def resumed(path: str, ipc: int = 2) -> None:
    shutil.rmtree("again", ignore_errors=True)
    shutil.copytree(path, "again")
    condense(METHOD, toy(), ipc, out="again", resume=True)


def run(*arguments: str) -> int:
    return app.main(list(arguments))


def test_run_json(work: Path) -> None:
    path = work / "stopped/run.json"
    recorded = json.loads(path.read_text())
    names = ("method", "settings", "data", "data_sha256", "ipc", "seed", "device", "precision", "compile")
    identity = {name: recorded[name] for name in (*names, "classes_at_once", "start")}
    directory = RunDirectory(work / "stopped")

    def imported() -> None:
        shutil.copy(path, "imported/run.json")
        destination.check_imported(Path("imported"), Path("folder"), overwrite=True)

    cases(
        recorded,
        writes(path),
        Judge(),
        lambda: recorded_run(directory, identity, resume=True, overwrite=False),
        lambda: reading.Run.at(work / "stopped", "a").status,
        lambda: rehearsal._complete(work / "stopped"),
        imported,
        seldom=[lambda: resumed("stopped")],
        least=[lambda: run("report", "stopped")],
    )


def test_provenance(work: Path) -> None:
    path = work / "run" / FILE_NAME
    tensors, header = read_tensors(path)
    real = toy()

    def listed() -> None:
        made = dc.load_set(path)
        run_names.labels([made.provenance, Provenance(method="dm", settings={"arch": "MLP"})])
        command.command(made.provenance)
        protocol_for(made)
        known_accuracies(made, work / "run")
        footprint.measure(made)
        facts.facts(reading.Run(work / "run", "a", made))
        section._settings(reading.Run(work / "run", "a", made), "run1")
        process_frames(made, work / "run", [0], 1)

    def exported() -> None:
        for to in formats.FORMATS:
            formats.export(dc.load_set(path), to, f"out-{to}", overwrite=True)

    cases(
        header,
        lambda value: write_tensors(path, tensors, value),
        Judge(),
        listed,
        lambda: rehearsal.recorded_steps(dc.load_set(path), real, 2),
        seldom=[exported, lambda: about(dc.load_set(path), draw=True), lambda: run("storage", "run")],
        least=[lambda: resumed("run"), lambda: run("show", "run"), lambda: run("report", "run")],
    )


def test_steps_of_a_memory(work: Path) -> None:
    path = work / "continual/order0" / FILE_NAME
    tensors, header = read_tensors(path)
    scenario = Scenario(steps=3, ipc=1, orders=1, nets=1, epochs=1, arch="MLP")

    def learned() -> None:
        shutil.rmtree("given", ignore_errors=True)
        learn_continually([dc.load_set(path)], toy(), toy(), scenario, "given")

    def write(steps: Any) -> None:
        write_tensors(path, tensors, {**header, "provenance": {**header["provenance"], "steps": steps}})

    def parted() -> None:
        one = dc.load_set(path)
        list(rehearsal.split_memory(one, rehearsal.recorded_steps(one, toy(), 3), work / "parts", overwrite=False))

    judge = Judge()
    judge("as it was", parted, learned)
    cases(header["provenance"]["steps"], write, judge, parted, seldom=[learned])


def test_scores(work: Path) -> None:
    path = work / "run/scores.jsonl"
    made = dc.load_set("run")

    def exported() -> None:
        formats.export(made, "hf", "out-hf", scores=known_accuracies(made, work / "run"), overwrite=True)

    cases(
        json.loads(path.read_text()),
        writes(path),
        Judge(),
        lambda: saved_scores(work / "run"),
        lambda: about(made),
        seldom=[exported],
        least=[lambda: about(made, draw=True), reported, lambda: run("report", "run", "stopped")],
    )
    assert not [one for one in work.parent.iterdir() if one.name not in ("work", "cache")]


def test_process(work: Path) -> None:
    path, made = work / "run/process.json", dc.load_set("run")
    (work / "run/scores.jsonl").unlink()
    readers = [lambda: about(made)]
    cases(json.loads(path.read_text()), writes(path), Judge(), *readers, seldom=[lambda: about(made, draw=True)])


def test_evaluation(work: Path) -> None:
    path = work / "run/evaluation.json"
    kept = json.loads(path.read_text())
    made, planned = (
        dc.load_set("run"),
        experiment_plan.plan_experiment("dm/fashion-mnist/1", sets=1, nets=1, data="toy"),
    )

    def recorded() -> None:
        content = path.read_bytes()
        scores = cached._cached(path, kept["asked"])
        path.write_bytes(content)
        if scores is not None:
            reproduction._record(planned, [made], [scores])

    (work / "run/scores.jsonl").unlink()
    draw = lambda: about(made, draw=True)  # noqa: E731
    cases(kept, writes(path), Judge(), recorded, lambda: about(made), seldom=[draw], least=[reported])


class Shown(loggers.Live):
    """Shows nothing."""

    def check(self) -> None: ...

    def _open(self, done: int, made: Any) -> int:
        return 0

    def _write(self, iteration: int, scalars: Any, picture: Any) -> None:
        assert all(isinstance(float(value), float) for value in scalars.values())

    def _close(self, *, failed: bool) -> None: ...


def test_log(work: Path) -> None:
    path = work / "run/log.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]

    def write(value: Any) -> None:
        path.write_text("".join(f"{json.dumps(one)}\n" for one in (value if isinstance(value, list) else [value])))

    def trimmed() -> None:
        content = path.read_bytes()
        trim_log(work / "run", 2)
        path.write_bytes(content)

    def caught_up() -> None:
        one = Shown("run")
        one._catch_up(3)
        one.progress(RunProgress(4, 4, 0.5, 9.0))

    made = dc.load_set("run")
    (work / "run/scores.jsonl").unlink()
    draw = lambda: about(made, draw=True)  # noqa: E731
    cases(lines, write, Judge(), trimmed, caught_up, lambda: about(made), seldom=[draw], least=[reported])


def tensor_mutated(tensors: dict[str, torch.Tensor], rng: random.Random) -> dict[str, torch.Tensor]:
    """Tensors of which one is missing, has another name, dtype or shape, or is not finite."""
    tensors = dict(tensors)
    name = rng.choice(list(tensors))
    tensor = tensors.pop(name)
    kind = rng.randrange(8)
    if kind == 1:
        tensors[rng.choice([one for one in JUNK if isinstance(one, str) and one.isascii() and len(one) < 99])] = tensor
    elif kind == 2:
        tensors[name] = tensor.to(rng.choice((torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool)))
    elif kind == 3:
        tensors[name] = rng.choice((tensor[None], tensor.flatten(), tensor.reshape(-1)[:1], tensor.new_zeros(0)))
    elif kind == 4 and tensor.is_floating_point():
        tensors[name] = tensor * float("nan")
    elif kind == 5:
        tensors[rng.choice(list(tensors))] = tensor
    elif kind == 6:
        prefix, _, rest = name.partition(".")
        tensors[rng.choice((f"{prefix}.9.{rest}", f"{prefix}.-1.x", f"{prefix}.x", f"{prefix}..", "optimiser.0.y"))] = (
            tensor
        )
    elif kind == 7:
        tensors[name] = -tensor.float() * 1e9 if tensor.dtype != torch.bool else tensor
    return tensors


def tensor_cases(path: Path, judge: Judge, *readers: Callable[[], object], seldom: Any = ()) -> None:
    """As `cases`, half of them of the header and half of the tensors."""
    tensors, header = read_tensors(path)
    for case in range(CASES):
        rng = random.Random(case)
        changed = tensors if case % 2 else tensor_mutated(tensors, rng)
        try:
            write_tensors(path, changed, mutated(header, rng) if case % 2 else header)
        except (UnicodeEncodeError, ValueError, OverflowError):
            judge.ends["cannot be written"] += 1
            continue
        judge(case, *readers, *(seldom if case % SAMPLE < 2 else ()))
    judge.verdict()


def test_checkpoint(work: Path) -> None:
    path = work / "stopped/checkpoint.safetensors"
    condense(METHOD, toy(), 2, out="stopped", resume=True)
    run_json = json.loads((work / "stopped/run.json").read_text())
    write_json(work / "stopped/run.json", {**run_json, "status": "stopped"})
    (work / "stopped/checkpoint.previous.safetensors").unlink()
    execution = plan_run(METHOD, toy(), 2, Compute())
    engine = Engine(execution)
    log = (work / "stopped/log.jsonl").read_bytes()

    def restored() -> None:
        (work / "stopped/log.jsonl").write_bytes(log)
        problem = Problem(toy(), 2, METHOD.arch, METHOD.augment, engine)
        loop = Loop(METHOD, problem, 0, Provenance(), RunDirectory(work / "stopped"), Observers(), 0)
        loop._restore()
        assert 0 <= loop.done <= METHOD.iterations
        assert bool(torch.isfinite(loop._images()).all())
        for parameter in loop.synthetic.parameters():
            parameter.grad = torch.zeros_like(parameter)
        loop.state.optimisers["images"].step()

    tensor_cases(path, Judge(), restored, seldom=[lambda: resumed("stopped")])


def test_snapshot(work: Path) -> None:
    path = work / "run/snapshots/000001.safetensors"
    made = dc.load_set("run")
    command_ = evaluate_command.Evaluate(run_dirs=(work / "run",), process=True, archs=("MLP",), epochs=1)
    tensor_cases(
        path,
        Judge(),
        lambda: f"{load_snapshot(path).iteration:06}",
        lambda: process_frames(made, work / "run", [0, 1], 1),
        lambda: command_._snapshot_rows([made], [work / "run"]),
        seldom=[lambda: run("show", "run", "--process")],
    )


def test_neighbours(work: Path) -> None:
    made = dc.load_set("run")
    path = work / "run" / pictures.NEIGHBOURS_FILE
    tensor_cases(path, Judge(), lambda: reading.Run(work / "run", "a", made).neighbours)


def test_continual(work: Path) -> None:
    path = work / "results/continual/a.json"
    path.parent.mkdir(parents=True)
    record = load_record("continual")

    def shown() -> None:
        continual._table({"a": load_record(path), "b": record})

    cases(
        record,
        writes(path),
        Judge(),
        shown,
        lambda: results_page.render_page(work / "results"),
        seldom=[lambda: continual.show({"a": load_record(path)}, work / "figure.png")],
    )


def test_reproduced(work: Path) -> None:
    planned = experiment_plan.plan_experiment("dm/fashion-mnist/1", sets=1, nets=1, scale=1e-5, data="toy")
    path = reproduction.record_path(planned, work / "results")
    path.parent.mkdir(parents=True)
    record = json.loads((work / "record.json").read_text())

    def known_before() -> None:
        found = sweep.newest_record(planned, work / "results", {})
        if found:
            assert isinstance(found.get("data_sha256"), str | None)
            for arch in found["scores"]:
                results_page.compare_with_published(found, arch)

    cases(record, writes(path), Judge(), known_before, lambda: results_page.render_page(work / "results"))


def test_markers(work: Path) -> None:
    pixels = {"pixels": dc.load_set("run").spec.pixels(dc.load_set("run").images)}
    whole = {"images": dc.load_set("run").images}
    for kind, tensors in (("folder", pixels), ("hf", whole), ("several", {})):
        path = work / kind / "datacondense.json"

        def write(value: Any, path: Path = path, tensors: dict[str, torch.Tensor] = tensors) -> None:
            if isinstance(value, dict) and "header" in value and tensors:
                labels_ = {"labels": dc.load_set("run").labels}
                value = {**value, "sha256": checksum(header_text(value["header"]), {**tensors, **labels_})}
            path.write_text(json.dumps(value))

        def imported(kind: str = kind) -> None:
            formats.import_sets(kind, None, "back", overwrite=True)
            for one in formats.find_runs(Path("back")):
                dc.load_set(one)
            shutil.rmtree("back")

        cases(json.loads(path.read_text()), write, Judge(), imported)


@pytest.mark.filterwarnings("ignore::UserWarning")  # a text among the notes is a note like any other
def test_cache_of_images(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def source() -> store.DecodedSource:
        real = toy()
        images = ((image.numpy(), n // 6, n % 6 > 3) for n, image in enumerate(real.images))
        return store.DecodedSource(name="toy", class_names=("a", "b", "c"), shape=(1, 8, 8), images=images)

    key = store.key("toy")
    store.load_or_make(key, source)
    path = cache.folder() / "sets" / key / "set.json"
    entry = json.loads(path.read_text())

    def fetched() -> None:
        train, test = store.load_or_make(key, source)
        assert (len(train), len(test)) == (12, 6)

    judge = Judge()
    judge.ends["refused"] = 1  # a damaged entry is made again
    cases(entry, writes(path), judge, fetched)


def test_wandb(work: Path) -> None:
    path = work / "run/wandb.json"
    cases({"id": "0a1b2c3d"}, writes(path), Judge(), lambda: loggers._known(path))
