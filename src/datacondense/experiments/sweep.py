"""Many published experiments in one go, shared out over processes: each is run by one of them."""

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
from .presets import PRESETS
from .reproduction import Plan, first_settings, record_path
from .results_page import parse

T = TypeVar("T")


@final
@dataclass(frozen=True)
class Outcome:
    """What came of an experiment: its record, or why there is none."""

    variant: str
    record: Mapping[str, Any] | None
    reason: str = ""


def names(patterns: Sequence[str]) -> list[str]:
    """Presets by name or by a pattern such as dm/fashion-mnist/*; all without any. Raises InputError for no match."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in PRESETS):
            raise unknown("preset", pattern, PRESETS, listed_by="datacondense list presets")
    return [name for name in PRESETS if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def run_all(
    plans: Sequence[Plan],
    run: Callable[[Plan], Mapping[str, Any]],
    content: Callable[[Plan], str],
    processes: Processes,
    *,
    results: Path,
    asked: Mapping[str, Any],
    anew: bool,
) -> list[Outcome]:
    """Run all that have no record in `results` yet, every W-th by each of W processes; those on the same data in a row.

    run: runs one experiment, alone. content: the fingerprint of its training images; asked for where they may have
    changed since a record was made, as those of a named set cannot. asked: what else a record must have been asked for,
    as `reproduce.asked` gives it. anew: whatever is recorded. An experiment that cannot be run, for bad input, files,
    memory or divergence, does not keep the others from being run. All processes get all outcomes, in the order of
    `plans`.
    """
    kept = {} if anew else processes.agreed(lambda: _kept(plans, results, asked))
    data = list(dict.fromkeys(plan.data for plan in plans))
    left = sorted(
        (plan for plan in plans if plan.variant not in kept or (kept[plan.variant].record and ":" in plan.data)),
        key=lambda plan: data.index(plan.data),
    )

    def made(plan: Plan) -> Mapping[str, Any]:
        record = kept[plan.variant].record if plan.variant in kept else None
        return record if record and record.get("data_sha256") == content(plan) else run(plan)

    mine = {
        plan.variant: _outcome(plan, lambda plan=plan: made(plan)) for plan in left[processes.rank :: processes.size]
    }
    outcomes = {**kept, **{name: outcome for part in processes.gathered(mine) for name, outcome in part.items()}}
    return [outcomes[plan.variant] for plan in plans]


def _outcome(plan: Plan, make: Callable[[], Mapping[str, Any] | None]) -> Outcome:
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


def _kept(plans: Sequence[Plan], results: Path, asked: Mapping[str, Any]) -> dict[str, Outcome]:
    """What is recorded, and which records cannot be read."""
    outcomes = [_outcome(plan, lambda plan=plan: recorded(plan, results, asked)) for plan in plans]
    return {outcome.variant: outcome for outcome in outcomes if outcome.record or outcome.reason}


def recorded(plan: Plan, results: Path, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The newest record of this very experiment over as many sets and networks; None if there is none.

    asked: as in `run_all`. Raises InputError for a line that is no record, and that no record looked for follows.
    """
    path = record_path(plan, results)
    lines = regular(path).read_text(errors="replace").splitlines() if path.exists() else []
    wanted = {
        "variant": plan.variant,
        "settings": plan.preset.method.settings(),
        "first": first_settings(plan),
        "seeds": list(range(plan.preset.sets)),
        "nets": plan.preset.nets,
        "asked": asked,
    }
    wanted = json.loads(json.dumps(wanted))
    records = (parse(path, line) for line in reversed(lines))
    return next((one for one in records if {key: one.get(key) for key in wanted} == wanted), None)


def keeping_last(read: Callable[[str], T]) -> Callable[[str], T]:
    """`read`, which is not asked twice in a row for the same, nor ever for what it could not read."""
    last: dict[str, T] = {}
    refused: dict[str, InputError] = {}

    def remembered(source: str) -> T:
        if source in refused:
            raise refused[source]
        if source not in last:
            last.clear()  # before the next is read: two may not fit the memory
            try:
                last[source] = read(source)
            except InputError as error:
                refused[source] = error
                raise
        return last[source]

    return remembered
