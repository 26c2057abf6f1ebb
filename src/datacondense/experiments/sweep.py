"""Run many published experiments, distributed over processes: one process runs each experiment."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar, final

from ..engine.out_of_memory import is_out_of_memory
from ..utils.distributed import Processes
from ..utils.errors import Diverged, InputError, Locked, Stopped, reason, unknown
from ..utils.paths import regular
from .experiment_plan import ExperimentPlan, first_settings
from .presets import PRESETS
from .reproduction import record_path
from .results_page import parse_record

T = TypeVar("T")


@final
@dataclass(frozen=True)
class Outcome:
    """The record of an experiment, or the reason why there is none."""

    variant: str
    record: Mapping[str, Any] | None
    reason: str = ""


def match_presets(patterns: Sequence[str]) -> list[str]:
    """Return presets by names or patterns such as dm/fashion-mnist/*; all without any.

    Raises InputError for a pattern without a match.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in PRESETS):
            raise unknown("preset", pattern, PRESETS, listed_by="datacondense list presets")
    return [name for name in PRESETS if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def run_sweep(
    plans: Sequence[ExperimentPlan],
    run: Callable[[ExperimentPlan], Mapping[str, Any]],
    fingerprint: Callable[[ExperimentPlan], str],
    processes: Processes,
    *,
    results: Path,
    options: Mapping[str, Any],
    overwrite: bool,
) -> list[Outcome]:
    """Run all experiments without a record in `results`, every W-th by each of W processes, grouped by their data.

    An experiment that fails, for bad input, files, memory or divergence, does not stop the others.

    Args:
        plans: The experiments.
        run: Runs one experiment in this process alone, and returns its record.
        fingerprint: Returns the fingerprint of the training images; called if they may have changed since a record was
            made, which those of a named set cannot.
        processes: The W processes that share the work.
        results: The folder of the records.
        options: The options of reading and computing that a record must have been made with, from `recorded_options`.
        overwrite: Run all, even those with a record.

    Returns:
        The outcomes, in the order of `plans`, in all processes.
    """
    done = {} if overwrite else processes.agreed(lambda: _recorded(plans, results, options))
    data = list(dict.fromkeys(plan.data for plan in plans))
    remaining = sorted(
        (plan for plan in plans if plan.variant not in done or (done[plan.variant].record and ":" in plan.data)),
        key=lambda plan: data.index(plan.data),
    )

    def find_or_run(plan: ExperimentPlan) -> Mapping[str, Any]:
        record = done[plan.variant].record if plan.variant in done else None
        return record if record and record.get("data_sha256") == fingerprint(plan) else run(plan)

    mine = {
        plan.variant: _outcome(plan, lambda plan=plan: find_or_run(plan))
        for plan in remaining[processes.rank :: processes.size]
    }
    outcomes = {**done, **{name: outcome for part in processes.gathered(mine) for name, outcome in part.items()}}
    return [outcomes[plan.variant] for plan in plans]


def _outcome(plan: ExperimentPlan, make: Callable[[], Mapping[str, Any] | None]) -> Outcome:
    """Return the record of `make`, or the reason of its failure."""
    try:
        return Outcome(plan.variant, make())
    except Stopped:
        raise
    except (InputError, Diverged, Locked) as error:
        return Outcome(plan.variant, None, str(error))
    except OSError as error:
        return Outcome(
            plan.variant, None, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return Outcome(plan.variant, None, f"out of memory ({reason(error)})")


def _recorded(plans: Sequence[ExperimentPlan], results: Path, options: Mapping[str, Any]) -> dict[str, Outcome]:
    """Return the recorded outcomes, and the reasons why other records cannot be read."""
    outcomes = [_outcome(plan, lambda plan=plan: newest_record(plan, results, options)) for plan in plans]
    return {outcome.variant: outcome for outcome in outcomes if outcome.record or outcome.reason}


def newest_record(plan: ExperimentPlan, results: Path, options: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the newest record of an experiment over as many sets and networks; None if there is none.

    `options` are those of `run_sweep`. Raises DamagedFile for a line after the newest such record that is no record.
    """
    path = record_path(plan, results)
    lines = regular(path).read_text(errors="replace").splitlines() if path.exists() else []
    wanted = {
        "variant": plan.variant,
        "settings": plan.preset.method.settings(),
        "first": first_settings(plan),
        **({"labels": plan.preset.labels.settings()} if plan.preset.labels else {}),
        "pool": plan.preset.pool,
        "seeds": list(range(plan.preset.sets)),
        "nets": plan.preset.nets,
        "asked": options,
    }
    wanted = json.loads(json.dumps(wanted))
    records = (parse_record(path, line) for line in reversed(lines))
    same = (one for one in records if {key: one.get(key) for key in wanted} == wanted)
    return next((one for one in same if _same_recipes(plan, one.get("recipes"))), None)


def _same_recipes(plan: ExperimentPlan, recorded: Any) -> bool:
    """Return whether the recorded recipes of networks are those of a plan."""
    recipes = list(recorded.values()) if isinstance(recorded, dict) else []
    return bool(recipes) and all(isinstance(one, dict) and plan.trains_by(one) for one in recipes)


def cache_last(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return `read` with a cache of its last result, and of every InputError."""
    last: dict[str, T] = {}
    errors: dict[str, InputError] = {}

    def cached_read(source: str) -> T:
        if source in errors:
            raise errors[source]
        if source not in last:
            last.clear()  # before the next is read: two may not fit into memory
            try:
                last[source] = read(source)
            except InputError as error:
                errors[source] = error
                raise
        return last[source]

    return cached_read
