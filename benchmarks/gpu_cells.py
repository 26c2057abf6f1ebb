"""Cells of the published tables for `make gpu`: which fit in the time left, and how far the others have come."""

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from gpu_jobs import LEAST, Job, run
from gpu_report import Report

from datacondense.data.source import DataSource
from datacondense.experiments.experiment_plan import ExperimentPlan, plan_experiment
from datacondense.methods import GradientMatching
from datacondense.utils.errors import InputError

_REAL, _CLASSES, _BATCH = 256, 10, 256
_GRACE = 20.0
"""Seconds in which a run that is told to stop writes its set and its checkpoint."""
_LAST = 75.0
"""Seconds kept for the accuracy of a cell that is not finished."""
_STARTING = 60.0
"""Seconds in which a cell starts, reads its images, compiles, and evaluates."""


def no_images(options: argparse.Namespace) -> str:
    """Return why there are no images for the cells; empty if there are."""
    if options.toy:
        return ""
    try:
        DataSource("fashion-mnist", data_dir=options.data_dir).load()
    except InputError as error:
        return f"no FashionMNIST, so no cells: {error}"
    return ""


def run_cells(options: argparse.Namespace, report: Report, ends: float) -> None:
    """Run the cells that fit in the time left, in their order; then go on with the first of the others."""
    tried: set[str] = set()
    while (left := ends - time.monotonic()) >= LEAST:
        waiting = [cell for cell in options.cells if cell not in tried and not report.done(f"cell: {cell}")]
        if not waiting:
            return
        fitting = [cell for cell in waiting if (seconds_of(cell, report) or 0.0) < left]
        cell = (fitting or waiting)[0]
        tried.add(cell)
        print(f"cell {cell} ...", flush=True)
        _run_cell(cell, options, report, ends)


def seconds_of(cell: str, report: Report) -> float | None:
    """Estimate the seconds that a cell still takes, by the times of one iteration; None if they were not measured."""
    times = {work: best(report, work) for work in ("dm", "dc", "training")}
    plan = plan_experiment(preset(cell), sets=1, nets=5)
    method, ipc = plan.preset.method, plan.ipc
    iterations = method.iterations - progress(plan, report.out)[0]
    larger = (_REAL + 3 * ipc) / (_REAL + 3 * 10)  # of the images that pass, over those of the measured 10 per class
    if isinstance(method, GradientMatching):
        updates, epochs = method.loops(ipc)
        steps = (updates - 1) * epochs * math.ceil(_CLASSES * ipc / _BATCH)
        if times["dc"] is None or times["training"] is None:
            return None
        return iterations * (updates * times["dc"] * larger + steps * times["training"]) + _STARTING
    return None if times["dm"] is None else iterations * times["dm"] * larger + _STARTING


def best(report: Report, work: str) -> float | None:
    """Return the shorter time of one call of some work, without and with compilation; None if it was not measured."""
    times = report.jobs.get(f"speed: {work}", {}).get("numbers", {}).get("seconds", {})
    return min((times[mode] for mode in ("off", "on") if mode in times), default=None)


def progress(plan: ExperimentPlan, out: Path) -> tuple[int, float]:
    """Return the iterations of a cell that are done, and the seconds that they took."""
    record = _run_of(plan, out) / "run.json"
    made = json.loads(record.read_text()) if record.exists() else {}
    return made.get("iterations_done") or 0, made.get("wall_seconds") or 0.0


def _run_of(plan: ExperimentPlan, out: Path) -> Path:
    return out / "runs" / plan.variant / "seed0"


def _run_cell(cell: str, options: argparse.Namespace, report: Report, ends: float) -> None:
    """Run a cell to its end, or until only the time to evaluate its unfinished set is left."""
    plan = _plan(cell, options)
    logs = options.out / "logs"
    left = ends - time.monotonic()
    kept = 0.0 if left < 2 * _LAST else _LAST
    outcome = run(_job(cell, options), left - kept, logs)
    numbers: dict[str, Any] = {}
    iterations, seconds = progress(plan, options.out)
    if outcome.status == "done":
        numbers = finished(plan, options.out)
    elif iterations and ends - time.monotonic() > LEAST:
        numbers = _unfinished(cell, plan, options, ends - time.monotonic())
    numbers |= {"iterations": f"{iterations} of {plan.preset.method.iterations}", "condense": seconds}
    report.add(f"cell: {cell}", dataclasses.replace(outcome, numbers=numbers))


def preset(cell: str) -> str:
    """Return the experiment of a cell such as dsa/10."""
    return cell.replace("/", "/fashion-mnist/")


def _plan(cell: str, options: argparse.Namespace) -> ExperimentPlan:
    if options.toy:
        return plan_experiment(preset(cell), sets=1, nets=1, data="digits", scale=0.002, iterations=options.toy)
    return plan_experiment(preset(cell), sets=1, nets=5)


def _job(cell: str, options: argparse.Namespace) -> Job:
    """Return the command that runs `_plan`."""
    size = ["--nets", "5"]
    if options.toy:
        size = ["--nets", "1", "--data", "digits", "--scale", "0.002", "--iterations", str(options.toy)]
    places = ["--runs", str(options.out / "runs"), "--results", str(options.out / "results")]
    how = ["--device", options.device, "--compile", options.compile, *_reading(options)]
    command = [sys.executable, "-m", "datacondense", "reproduce", preset(cell), "--seeds", "1", *size, *places, *how]
    return Job(f"cell: {cell}", command, grace=_GRACE)


def _reading(options: argparse.Namespace) -> list[str]:
    return ["--data-dir", str(options.data_dir)] if options.data_dir and not options.toy else []


def finished(plan: ExperimentPlan, out: Path) -> dict[str, Any]:
    """Return accuracy and time of a cell from its record."""
    record = json.loads((out / "results" / f"{plan.variant.replace('/', '-')}.jsonl").read_text().splitlines()[-1])
    (arch, scores), *_ = record["scores"].items()
    spread = "" if scores["std"] is None else f" ± {scores['std']}"
    return {
        "ours": f"{scores['mean']}{spread}",
        "n": scores["n"],
        "published": record["published"].get(arch),
        "evaluate": sum(record["seconds"]["evaluate"]),
        "compiled": record["condensed_by"][0]["execution"],
    }


def _unfinished(cell: str, plan: ExperimentPlan, options: argparse.Namespace, left: float) -> dict[str, Any]:
    """Evaluate the set of a cell as it is."""
    scores = options.out / f"unfinished-{plan.variant.replace('/', '-')}.json"
    command = [sys.executable, "-m", "datacondense", "evaluate", str(_run_of(plan, options.out)), "--nets", "5"]
    command += ["--device", options.device, "--out", str(scores), *_reading(options)]
    command += ["--epochs", "1"] if options.toy else []
    outcome = run(Job(f"unfinished {cell}", command), left, options.out / "logs")
    if outcome.status != "done":
        return {}
    (score,) = json.loads(scores.read_text()).values()
    ((_, values),) = score["accuracy"].items()
    mean = sum(values) / len(values)
    return {"ours": f"{100 * mean:.2f}, unfinished", "n": len(values), "evaluate": outcome.seconds}
