"""The choice of `auto`: by its table or by a race, recorded with the reason."""

from typing import cast

from ..methods import method_name
from ..run.job import plan_run
from ..synthetic.provenance import Auto, Settings, TriedCandidate
from ..utils.timing import duration
from .auto_checks import Asked
from .auto_table import Entrant
from .auto_task import Task
from .race import FEWEST, Race
from .trials import measure

_FINAL = 0.93  # of the time that is left goes to the final run; the rest to its pictures, and to a slower machine
_MOST_COPIED = 2**31  # bytes of images on disk, of which a race copies nearly all into memory
_COMPILES = 600.0  # seconds of a budget; in less, compiling each candidate takes too large a part


def settled_compilation(task: Task) -> str:
    """Return the compilation of all runs, so that the race measures the speed of the final one."""
    compute, first = task.compute, task.entrants[0]
    if compute.compile != "auto":
        return compute.compile
    if task.clock.budget < _COMPILES:
        return "off"
    return "on" if plan_run(first.method, task.real, first.ipc, compute).compile else "off"


def choose(asked: Asked, task: Task) -> None:
    """Choose by the table or by a race, and record the choice."""
    content, names = task.record.content, ", ".join(one.name for one in task.entrants)
    what = _origin(asked)
    task.tell(f"{what}: {names}")
    for one in task.entrants:
        task.tell(f"candidate {one.name}, {one.ipc} per class: {one.reason}")
    race = None
    if content.note is None:
        race, content.note = prepared_race(task)
        task.save()
    if race is None:
        task.tell(f"no race: {content.note}")
        first = task.entrants[0]
        if first.name not in content.paces:
            content.paces[first.name] = measure(task, first, task.real)
        record_choice(asked, task, first, f"the first of the {what}; no race: {content.note}", held=0)
        return
    ranking = race.run()
    scores = [f"{one.name} {100 * (task.record.score(one.name) or 0):.1f} %" for one in ranking]
    others = f", against {', '.join(scores[1:])}" if scores[1:] else ""
    why = f"{scores[0].partition(' ')[2]} on held-out training images{others}"
    record_choice(asked, task, ranking[0], why, held=len(race.trials.held))


def prepared_race(task: Task) -> tuple[Race | None, str | None]:
    """Return the race with its first round planned; or None, and the reason for which there is none."""
    if len(task.entrants) == 1:
        return None, "there is one candidate"
    if int(task.real.counts.min()) < FEWEST:
        return None, f"a class has fewer than {FEWEST} training images, of which none can be held out"
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
        lambda: entrant.method.iterations if pace is None else pace.within(_FINAL * task.clock.left)
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
    dropped = {one.candidate for one in task.record.content.trials if one.dropped is not None}
    usable = [one for one in task.entrants if one.name not in dropped]
    return sorted(usable, key=lambda one: -(task.record.score(one.name) or 0.0))


def preview_lines(asked: Asked) -> list[str]:
    """Return lines on the candidates, their measured time, and the race that the time allows."""
    task = asked.task
    content = task.record.content
    content.compile = settled_compilation(task)
    task = task.settled()
    _, note = prepared_race(task)
    lines = [f"{_origin(asked)}: {', '.join(one.name for one in task.entrants)}"]
    for one in task.entrants:
        lines.append(f"candidate {one.name}, {one.ipc} per class: {one.reason}")
        if one.name not in content.paces and one is not task.entrants[0]:
            continue  # without a race only the first counts, and to measure may take minutes
        pace = content.paces.get(one.name) or measure(task, one, task.real)
        whole = pace.start + one.method.iterations * pace.iteration
        lines.append(
            f"{one.name}: {duration(whole)} for {one.method.iterations} iterations of {1000 * pace.iteration:.3g} ms"
        )
    if note is not None:
        return [*lines, f"no race: {note}"]
    first = content.rounds[0]
    names = ", ".join(f"{name} {count} iterations" for name, count in first.iterations.items())
    how = f"{first.nets} x {first.epochs} epochs to score each"
    return [*lines, f"race: {duration(first.seconds)} for each in its first round: {names}; {how}"]


def _origin(asked: Asked) -> str:
    """Return the origin of the candidates in words."""
    return "candidates of the caller" if asked.kind is None else f"candidates for {asked.kind.name}"
