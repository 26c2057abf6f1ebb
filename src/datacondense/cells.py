"""Many published experiments in one go, shared out over processes: each is run by one of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar, final

from .distributed import Processes
from .errors import Diverged, InputError, unknown
from .presets import PRESETS
from .reproduce import Plan, Stopped, record_path
from .results import parse

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
    plans: Sequence[Plan], run: Callable[[Plan], Mapping[str, Any]], processes: Processes, *, results: Path, anew: bool
) -> list[Outcome]:
    """Run all that have no record in `results` yet, every W-th by each of W processes; those on the same data in a row.

    run: runs one experiment, alone. anew: whatever is recorded. An experiment that raises InputError or Diverged does
    not keep the others from being run. All processes get all outcomes, in the order of `plans`.
    """
    kept = {} if anew else processes.agreed(lambda: {plan.variant: recorded(plan, results) for plan in plans})
    data = list(dict.fromkeys(plan.data for plan in plans))
    left = sorted((plan for plan in plans if not kept.get(plan.variant)), key=lambda plan: data.index(plan.data))
    mine = {plan.variant: _outcome(plan, run) for plan in left[processes.rank :: processes.size]}
    made = {variant: outcome for part in processes.gathered(mine) for variant, outcome in part.items()}
    return [made.get(plan.variant) or Outcome(plan.variant, kept[plan.variant]) for plan in plans]


def _outcome(plan: Plan, run: Callable[[Plan], Mapping[str, Any]]) -> Outcome:
    try:
        return Outcome(plan.variant, run(plan))
    except Stopped:
        raise
    except (InputError, Diverged) as error:
        return Outcome(plan.variant, None, str(error))


def recorded(plan: Plan, results: Path) -> Mapping[str, Any] | None:
    """The newest record of this very experiment over as many sets and networks; None if there is none."""
    path = record_path(plan, results)
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    asked = {
        "variant": plan.variant,
        "settings": plan.preset.method.settings(),
        "seeds": list(range(plan.preset.sets)),
        "nets": plan.preset.nets,
    }
    asked = json.loads(json.dumps(asked))
    records = [parse(path, line) for line in reversed(lines)]
    return next((one for one in records if {key: one.get(key) for key in asked} == asked), None)


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
