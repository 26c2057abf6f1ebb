"""Run a published experiment by name, and record ours beside the published number."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from typing_extensions import Unpack

from ..data.image_set import ImageSet
from ..engine.execution import Compute, Precision, resolve_compute
from ..evaluation.cached import evaluate_once
from ..evaluation.evaluator import join
from ..evaluation.protocol import Protocol, protocol_for
from ..evaluation.scores import Scores
from ..methods import Method, method_name
from ..run.driver import condense
from ..run.observers import Observers, check_observers
from ..run.signals import stop_signals
from ..synthetic.set import SyntheticSet
from ..utils.distributed import Processes, all_processes
from ..utils.errors import InputError, Stopped, unknown
from ..utils.files import append_line
from ..utils.keywords import check_keywords
from ..utils.locks import alone, replacing
from ..utils.ranges import Images, Iterations, Networks, Repeats, Scale, check_arguments, check_value
from ..utils.text import file_name
from .options import ReproduceOptions
from .presets import PRESETS, Preset


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """A preset as it is to be run: with fewer sets, networks, iterations or epochs, or on other data."""

    name: str
    preset: Preset
    scale: float
    iterations: int | None
    data: str
    ipc: int
    hold_out: float = 0.0
    """The part of the training images that is left out."""

    @property
    def changed(self) -> bool:
        """Whether it is another experiment than the published one; the number of sets and networks does not count."""
        return self.variant != self.name

    @property
    def variant(self) -> str:
        """The name, with what was changed."""
        return variant(
            self.name,
            data=self.data if self.data != self.preset.data else None,
            ipc=self.ipc if self.ipc != self.preset.ipc else None,
            iterations=self.iterations,
            scale=self.scale,
            hold_out=self.hold_out,
        )

    @property
    def stages(self) -> list[tuple[str, Method]]:
        """The methods that make a set one after the other, each in a directory inside that of the set."""
        last = [("", self.preset.method)]
        return [("first", self.preset.first), *last] if self.preset.first else last

    def protocol(self, synthetic: SyntheticSet, seed: int) -> Protocol:
        """Return how networks train on a set, each with networks of its own.

        As published, with one epoch more than the paper says, which the authors' code makes; scaled without it.
        """
        full = protocol_for(synthetic, pool=self.preset.pool, nets=self.preset.nets, seed=seed)
        if self.scale == 1:
            return full.as_published()
        recipes = {
            arch: replace(recipe, epochs=_scaled(recipe.epochs, self.scale)) for arch, recipe in full.recipes.items()
        }
        return replace(full, recipes=recipes)


def variant(
    name: str, *, data: str | None, ipc: int | None, iterations: int | None, scale: float, hold_out: float = 0.0
) -> str:
    """The name of an experiment with what was changed of it: None, and a scale of 1, where nothing was."""
    changes = [
        f"@{file_name(data)}" if data is not None else "",
        f"@ipc{ipc}" if ipc is not None else "",
        f"@iterations{iterations}" if iterations is not None else "",
        f"@scale{scale:g}" if scale != 1 else "",
        f"@hold_out{hold_out:g}" if hold_out else "",
    ]
    return name + "".join(changes)


def plan(
    name: str,
    *,
    sets: Repeats | None = None,
    nets: Networks | None = None,
    scale: Scale = 1.0,
    iterations: Iterations | None = None,
    data: str | None = None,
    ipc: Images | None = None,
    hold_out: float = 0.0,
) -> Plan:
    """Look up a preset and change what was asked. sets, nets, iterations: as published, scaled, when left out.

    Raises InputError for an unknown name and for numbers that make no sense.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS, listed_by="datacondense list presets")
    check_value("seeds", sets, Repeats | None)
    check_arguments(plan, nets=nets, scale=scale, iterations=iterations, ipc=ipc)
    preset = PRESETS[name]
    sets = _scaled(preset.sets, scale) if sets is None else sets
    nets = _scaled(preset.nets, scale) if nets is None else nets
    count = _scaled(preset.method.iterations, scale) if iterations is None else iterations
    if scale == 1 and count == preset.method.iterations:
        iterations = None
    method = replace(preset.method, iterations=count)
    method.check()
    first = preset.first
    if first:
        share = count / preset.method.iterations
        first = replace(first, iterations=_scaled(first.iterations, share))
    return Plan(
        name=name,
        preset=replace(preset, method=method, first=first, sets=sets, nets=nets),
        scale=scale,
        iterations=iterations,
        data=data or preset.data,
        ipc=preset.ipc if ipc is None else ipc,
        hold_out=hold_out,
    )


def reproduce(
    plan: Plan,
    train: ImageSet,
    test: ImageSet,
    *,
    compute: Compute | None = None,
    **options: Unpack[ReproduceOptions],
) -> dict[str, Any]:
    """Condense each set of a plan and train networks on it; continue what an earlier call has left in `runs`.

    A record equal to the last one is not written twice.

    Args:
        plan: the experiment.
        train: training images of `plan.data`.
        test: test images of `plan.data`.
        compute: device, precision and compilation, as in `condense`.
        options: the keywords of `ReproduceOptions`.

    Returns:
        The record that was appended to `results`: scores by network in percent, the published ones, and all that is
        needed to repeat it.

    Raises:
        InputError: an argument cannot be used.
        Stopped: the user stopped the work; the same call continues it.
        Locked: another process runs the same experiment.
    """
    check_keywords("reproduce", ReproduceOptions, options)
    check_observers(options.get("observers", ()))
    compute = resolve_compute(compute, options)
    processes = options.get("processes")
    processes = all_processes() if processes is None else processes
    results, runs = options.get("results", Path("results")), options.get("runs", Path("runs/reproduce"))
    on_epoch = options.get("on_epoch", lambda done, total: None)
    if results.exists() and not results.is_dir():
        raise InputError(f"--results {results} is a file: name a directory")
    observers = Observers(options.get("observers", ()) if processes.leads else ())
    made, scores = [], []
    with alone(runs / plan.variant, processes):
        for seed in range(plan.preset.sets):
            observers.message(f"set {seed + 1} of {plan.preset.sets}")
            run = runs / plan.variant / f"seed{seed}"
            made.append(_condense_stages(plan, train, seed, run, compute, processes, options))
            protocol = plan.protocol(made[-1], seed)
            scores.append(evaluate_once(protocol, made[-1], test, run, on_epoch, compute, processes))
    record = {**_record(plan, made, scores), "asked": asked(options.get("source") or {}, compute.precision)}
    if processes.leads:
        _append(record, record_path(plan, results))
    return record


def _condense_stages(
    plan: Plan,
    train: ImageSet,
    seed: int,
    run: Path,
    compute: Compute,
    processes: Processes,
    options: ReproduceOptions,
) -> SyntheticSet:
    """Condense one set of a plan, stage by stage. Raises Stopped where the user stops one."""
    synthetic, overwrite = None, options.get("overwrite", False)
    for stage, method in plan.stages:
        with stop_signals() as stop:
            synthetic = condense(
                method,
                train,
                plan.ipc,
                seed=seed,
                out=run / stage,
                start=synthetic,
                compute=compute,
                resume=not overwrite,
                overwrite=overwrite,
                source=options.get("source"),
                observers=options.get("observers", ()),
                processes=processes,
            )
        done = synthetic.provenance.iterations_done or 0
        if done < method.iterations:
            without = " without --overwrite" if overwrite else ""
            text = f"stopped after iteration {done} in {run / stage}: the same command{without} goes on"
            raise Stopped(text, stop.signal)
    assert synthetic is not None, "a plan has one stage at least"
    return synthetic


def asked(source: Mapping[str, Any], precision: Precision) -> dict[str, Any]:
    """What tells a record from another of the same plan: how its images were read, wherever they lie, and precision.

    source: the arguments of `load`.
    """
    places = ("source", "data_dir")  # the plan names the data, and its content is recorded
    reading = {name: value for name, value in source.items() if name not in places}
    return {"reading": reading, "precision": precision}


def record_path(plan: Plan, results: Path) -> Path:
    """The file of the records of an experiment: each has one of its own."""
    return results / f"{plan.variant.replace('/', '-')}.jsonl"


def _append(record: Mapping[str, Any], path: Path) -> None:
    line = json.dumps(record, allow_nan=False, sort_keys=True)
    with replacing(path):
        before = path.read_text().splitlines() if path.exists() else []
        if before[-1:] != [line]:
            append_line(path, line)


def _record(plan: Plan, made: Sequence[SyntheticSet], scores: Sequence[Scores]) -> dict[str, Any]:
    first, joined = made[0].provenance, join(scores)
    return {
        "preset": plan.name,
        "variant": plan.variant,
        "title": plan.preset.title,
        "changed": plan.changed,
        "scale": plan.scale,
        "data": first.data,
        "data_sha256": first.data_sha256,
        "sets_sha256": [one.fingerprint() for one in made],
        "ipc": plan.ipc,
        "method": method_name(plan.preset.method),
        "settings": plan.preset.method.settings(),
        "first": first_settings(plan),
        "pool": plan.preset.pool,
        "recipes": joined.protocol["recipes"],
        "seeds": list(range(plan.preset.sets)),
        "nets": plan.preset.nets,
        "scores": {
            arch: {
                "n": len(values),
                "mean": round(100 * joined.mean(arch), 2),
                "std": round(100 * joined.std(arch), 2) if len(values) > 1 else None,
                "values": [round(100 * value, 2) for value in values],
            }
            for arch, values in joined.accuracy.items()
        },
        "published": {} if plan.changed else {arch: list(number) for arch, number in plan.preset.published.items()},
        "source": "" if plan.changed else plan.preset.source,
        "seconds": {
            "condense": [one.seconds for one in made],
            "evaluate": [round(score.seconds, 1) for score in scores],
        },
        "machine": first.machine,
        "versions": first.versions,
        "condensed_by": [
            {key: getattr(one.provenance, key) for key in ("machine", "versions", "execution")} for one in made
        ],
        "evaluated_by": [
            {key: score.protocol[key] for key in ("machine", "versions", "execution")} for score in scores
        ],
    }


def first_settings(plan: Plan) -> dict[str, Any] | None:
    """The method that makes the sets from which that of the plan starts."""
    first = plan.preset.first
    return {"method": method_name(first), **first.settings()} if first else None


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale))
