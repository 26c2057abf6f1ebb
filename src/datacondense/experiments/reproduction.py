"""Run a published experiment by name, and record its result beside the published number."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from ..data.image_set import ImageSet
from ..engine.execution import Compute, Precision, resolve_compute
from ..evaluation.cached import evaluate_once
from ..evaluation.evaluator import join
from ..evaluation.scores import Scores
from ..methods import method_name
from ..run.driver import condense
from ..run.observers import Observers, checked_observers
from ..run.signals import stop_signals
from ..synthetic.set import SyntheticSet
from ..utils.distributed import Processes, all_processes
from ..utils.errors import InputError
from ..utils.files import append_line
from ..utils.keywords import check_keywords
from ..utils.locks import alone, replacing
from .experiment_plan import ExperimentPlan, first_settings
from .finished import check_finished
from .options import ReproduceOptions
from .teacher_labels import label_once


def reproduce(
    plan: ExperimentPlan,
    train: ImageSet,
    test: ImageSet,
    *,
    compute: Compute | None = None,
    **options: Unpack[ReproduceOptions],
) -> dict[str, Any]:
    """Condense each set of a plan and train networks on it; resume an earlier call in `runs`.

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
    options["observers"] = checked_observers(options.get("observers", ()))
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
    record = {**_record(plan, made, scores), "asked": recorded_options(options.get("source") or {}, compute.precision)}
    if processes.leads:
        _append(record, record_path(plan, results))
    return record


def _condense_stages(
    plan: ExperimentPlan,
    train: ImageSet,
    seed: int,
    run: Path,
    compute: Compute,
    processes: Processes,
    options: ReproduceOptions,
) -> SyntheticSet:
    """Condense one set of a plan, stage by stage, and label it. Raises Stopped if the user stops one."""
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
        check_finished(synthetic, method, stop, run / stage, overwrite=overwrite, processes=processes)
    assert synthetic is not None, "a plan has one stage at least"
    if plan.preset.labels is None:
        return synthetic
    return label_once(
        plan.preset.labels,
        synthetic if plan.preset.recipe is None else replace(synthetic, recipe=plan.preset.recipe),
        train,
        run,
        compute=compute,
        overwrite=overwrite,
        observers=Observers(options.get("observers", ()) if processes.leads else ()),
        processes=processes,
    )


def recorded_options(source: Mapping[str, Any], precision: Precision) -> dict[str, Any]:
    """Return the options that distinguish records of one plan: how images were read, but not from where, and precision.

    `source` holds the arguments of `load`.
    """
    places = ("source", "data_dir")  # the plan names the data, and its content is recorded
    reading = {name: value for name, value in source.items() if name not in places}
    return {"reading": reading, "precision": precision}


def record_path(plan: ExperimentPlan, results: Path) -> Path:
    """Return the file of the records of an experiment."""
    return results / f"{plan.variant.replace('/', '-')}.jsonl"


def _append(record: Mapping[str, Any], path: Path) -> None:
    """Append a record to a file unless it is equal to the last one."""
    line = json.dumps(record, allow_nan=False, sort_keys=True)
    with replacing(path):
        before = path.read_text().splitlines() if path.exists() else []
        if before[-1:] != [line]:
            append_line(path, line)


def _record(plan: ExperimentPlan, made: Sequence[SyntheticSet], scores: Sequence[Scores]) -> dict[str, Any]:
    """Return the record of finished sets and their scores."""
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
        **({"labels": plan.preset.labels.settings()} if plan.preset.labels else {}),
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
