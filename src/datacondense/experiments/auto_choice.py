"""The choice of `auto`: by its table or by a race, recorded with the reason."""

from dataclasses import replace
from typing import cast

import msgspec

from ..methods import Matching, method_name
from ..run.job import plan_run
from ..synthetic.provenance import Auto, Settings, TriedCandidate
from ..utils.timing import duration
from .auto_checks import Asked
from .auto_table import Entrant
from .auto_task import Task
from .race import FEWEST, Race
from .trials import NEEDS_MEMORY, measured

_FINAL = 0.93  # of the time that is left goes to the final run; the rest to its pictures, and to a slower machine
_MOST_COPIED = 2**31  # bytes of images on disk, of which a race copies nearly all into memory
_GRACE = 2.0  # seconds, and twice the start, that the final run has at least: even a tiny budget leaves a set
_LONG = 180.0  # seconds of a final run without compilation; compiling takes up to 60, and may make it twice as fast


def settle_compilation(task: Task, entrant: Entrant) -> None:
    """Record the compilation of the final run: compiled code where the run is long, and where it is measured faster."""
    content, compute, method = task.record.content, task.compute, entrant.method
    if compute.compile != "auto":
        content.compile = compute.compile
        return
    content.compile = "off"
    pace = content.paces.get(entrant.name)
    if pace is None:  # memory did not suffice to measure it
        return
    need = task.processes.agreed(lambda: min(pace.whole(method.iterations), task.clock.left))
    if need < _LONG or not plan_run(method, task.real, entrant.ipc, compute).compile:
        return
    # the first images cost the same, and are measured
    again = replace(entrant, method=replace(method, init="noise") if isinstance(method, Matching) else method)
    compiled = measured(task, again, task.real, replace(compute, compile="on"))
    if compiled is not None and compiled.iteration < pace.iteration:
        content.compile = "on"
        start = pace.start + compiled.start  # compiled code is read again
        content.paces[entrant.name] = msgspec.structs.replace(pace, start=start, iteration=compiled.iteration)


def choose(asked: Asked, task: Task) -> None:
    """Choose by the table or by a race, and record the choice."""
    content, names = task.record.content, ", ".join(one.name for one in task.entrants)
    what = _origin(asked)
    task.tell(f"{what}: {names}")
    for line in asked.left_out:
        task.tell(line)
    for one in task.entrants:
        task.tell(f"candidate {one.name}, {one.ipc} per class: {one.reason}")
    race = None
    if content.note is None:
        race, content.note = prepared_race(task)
        task.save()
    if race is None:
        task.tell(f"no race: {content.note}")
        first = next((one for one in task.entrants if one.name == content.alone), task.entrants[0])
        _timed(task, first)
        settle_compilation(task, first)
        which = "the first" if first is task.entrants[0] else "one"
        record_choice(asked, task, first, f"{which} of the {what}; no race: {content.note}", held=0)
        return
    ranking = race.run()
    if not ranking:
        first = by_score(task)[0] if by_score(task) else task.entrants[0]
        fault = content.trials[-1].dropped
        _timed(task, first)
        settle_compilation(task, first)
        record_choice(asked, task, first, f"no candidate could be scored: {fault}", held=len(race.trials.held))
        return
    settle_compilation(task, ranking[0])
    scores = [f"{one.name} {100 * (task.record.score(one.name) or 0):.1f} %" for one in ranking]
    others = f", against {', '.join(scores[1:])}" if scores[1:] else ""
    why = f"{scores[0].partition(' ')[2]} on held-out training images{others}"
    record_choice(asked, task, ranking[0], why, held=len(race.trials.held))


def _timed(task: Task, entrant: Entrant) -> None:
    """Measure the speed of a candidate unless it is known, as its final run needs it."""
    paces = task.record.content.paces
    if entrant.name not in paces and (pace := measured(task, entrant, task.real)) is not None:
        paces[entrant.name] = pace


def prepared_race(task: Task) -> tuple[Race | None, str | None]:
    """Return the race with its first round planned; or None, and the reason for which there is none."""
    if len(task.entrants) == 1:
        return None, "there is one candidate"
    if int(task.real.counts.min()) < FEWEST:
        return None, f"a class has fewer than {FEWEST} training images, too few to hold some out"
    if not task.real.resident and task.real.images.nbytes > _MOST_COPIED:
        return None, "the training images are too large to copy a part of them into memory"
    race = Race(task)
    if task.record.content.rounds:
        return race, None
    note = race.plan()
    return (None, note) if note else (race, None)


def record_choice(asked: Asked, task: Task, entrant: Entrant, why: str, *, held: int) -> None:
    """Record the chosen candidate, and the iterations that fit the time that is left."""
    content = task.record.content
    pace = content.paces.get(entrant.name)
    fitting = task.processes.agreed(
        lambda: entrant.method.iterations if pace is None else pace.within(_FINAL * task.clock.left - pace.training)
    )
    content.iterations = max(min(entrant.method.iterations, fitting), 1)
    spent = task.processes.agreed(lambda: round(task.clock.spent, 3))
    content.choice = Auto(
        chosen=entrant.name,
        why=why,
        candidates=[_tried(task, one) for one in task.entrants],
        held_out=held,
        seconds=spent,
        time_budget=task.clock.budget,
        bytes=asked.bytes,
    )
    task.save()


def final_seconds(task: Task, chosen: str) -> float:
    """Return the seconds that the final run by the chosen candidate may take in this session."""
    pace = task.record.content.paces.get(chosen)
    return max(task.clock.budget - task.clock.session, _GRACE + (2 * pace.whole(0) if pace else 0.0))


def _tried(task: Task, entrant: Entrant) -> TriedCandidate:
    """Return what is recorded of a candidate."""
    trials = [one for one in task.record.content.trials if one.candidate == entrant.name]
    rounds = task.record.content.rounds
    last = trials[-1] if trials else None
    return TriedCandidate(
        name=entrant.name,
        method=method_name(entrant.method),
        settings=cast("Settings", entrant.method.settings()),
        ipc=entrant.ipc,
        reason=entrant.reason,
        score=task.record.score(entrant.name),
        iterations=rounds[last.round].iterations[entrant.name] if last else None,
        dropped=last.dropped if last else None,
    )


def by_score(task: Task) -> list[Entrant]:
    """Return the candidates that are not known to fail, the best first; those without a score last, by the table."""
    usable = [one for one in task.entrants if one.name not in task.record.dropped]
    return sorted(usable, key=lambda one: -(task.record.score(one.name) or 0.0))


def preview_lines(asked: Asked) -> list[str]:
    """Return lines on the candidates, their measured time, and the race that the time allows."""
    task = asked.task
    content = task.record.content
    _, note = prepared_race(task)
    lines = [f"{_origin(asked)}: {', '.join(one.name for one in task.entrants)}", *asked.left_out]
    for one in task.entrants:
        lines.append(f"candidate {one.name}, {one.ipc} per class: {one.reason}")
        if one.name not in content.paces and one.name != (content.alone or task.entrants[0].name):
            continue  # without a race only one counts, and to measure may take minutes
        pace = content.paces.get(one.name) or measured(task, one, task.real)
        if pace is None:
            lines.append(f"{one.name}: {NEEDS_MEMORY}")
            continue
        whole = duration(pace.whole(one.method.iterations))
        training = f", {duration(pace.training)} of it to train networks" if pace.training else ""
        each = f"{one.method.iterations} iterations of {1000 * pace.iteration:.3g} ms"
        lines.append(f"{one.name}: {whole} for {each}{training}")
    if note is not None:
        return [*lines, f"no race: {note}"]
    first = content.rounds[0]
    names = ", ".join(f"{name} {count} iterations" for name, count in first.iterations.items())
    how = f"{first.nets} x {first.epochs} epochs to score each"
    return [*lines, f"race: {duration(first.seconds)} for each in its first round: {names}; {how}"]


def _origin(asked: Asked) -> str:
    """Return the origin of the candidates in words."""
    return "candidates of the caller" if asked.kind is None else f"candidates for {asked.kind.name}"
