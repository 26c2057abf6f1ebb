"""The race of `auto`: successive halving of its candidates, scored on held-out training images."""

import math
from collections.abc import Sequence
from typing import final

from ..evaluation.dry_run import NetworkEstimate
from ..utils.timing import duration
from .auto_record import Pace, Round
from .auto_table import Entrant
from .auto_task import Task
from .auto_training import trial_training
from .trials import Trials, measured

FEWEST = 4
"""Images of each class that a race needs: one is held out, and three are condensed."""
_FINAL = 0.6  # of the budget, which the final run keeps, unless it needs less
_SPARE = 1.25  # times the measured time of the final run
_CONDENSE = 0.65  # of the time of a candidate in a round; networks that score it have the rest
_FEWEST_STEPS = 1 / 8  # of a candidate's iterations in the race: of fewer the images are still those of the start
_FEWEST_EPOCHS = 30
_WORTHWHILE = 0.5  # of the final iterations that must remain beside a race
_LATE = 0.8  # of the time of the final run; when no more is left, the race ends


@final
class Race:
    """The race of some candidates.

    Raises InputError if no images can be held out.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.trials = Trials(task)

    def plan(self) -> str:
        """Plan the first round; return the reason for which there is no race, or an empty text.

        Candidates whose final run would be too short beside a race are left out, and the last of the table until a race
        fits the time. Without a race the first candidate that is fast enough is taken.
        """
        task, content = self.task, self.task.record.content
        able, too_large = list[Entrant](), list[Entrant]()
        for entrant in task.entrants:
            if entrant.name not in content.paces and self._worthwhile(entrant, self._guess(entrant)):
                found = measured(task, entrant, self.trials.part)
                if found is None:
                    too_large.append(entrant)
                    continue
                content.paces[entrant.name] = found
            pace = content.paces.get(entrant.name)
            if pace is not None and self._worthwhile(entrant, pace):
                able.append(entrant)
        for entrant in task.entrants if able else ():
            if entrant not in (*able, *too_large):
                task.tell(f"{entrant.name} does not race: it is too slow for {duration(task.clock.budget)}")
        content.alone = (able or self._most_done())[0].name
        if not able:
            return f"beside a race no candidate would do enough iterations in {duration(task.clock.budget)}"
        if len(able) < 2:
            return "it alone is fast enough"
        scoring = self.trials.scoring(max(map(self.trials.images, able)))
        left = task.processes.agreed(lambda: task.clock.left - self._reserve)
        for count in range(len(able), 1, -1):
            training = trial_training(able[:count], content.paces)
            planned = self._round(able[:count], (left - training) / _units(count), scoring)
            if planned is not None:
                content.rounds.append(planned)
                content.alone = None
                for one in able[count:]:
                    task.tell(f"{one.name} does not race: the time is too short for more than {count}")
                return ""
        return f"{duration(task.clock.budget)} are too short to try several candidates"

    def run(self) -> list[Entrant]:
        """Run all rounds that are not done; return the candidates that were scored, the best of the last round first.

        Those that failed in a later round are left out. The list is empty if none could be scored.
        """
        task, content, number = self.task, self.task.record.content, 0
        number_of = len(content.rounds[0].iterations)
        first = [one for one in task.entrants if one.name in content.rounds[0].iterations]
        race = _units(number_of) * content.rounds[0].seconds + trial_training(first, content.paces)
        task.planned.append(min(task.clock.spent + race + self._reserve, task.clock.budget))
        part, held = len(self.trials.part), len(self.trials.held)
        task.tell(f"race: {part} training images are condensed, and {held} others score the candidates")
        ranking: list[Entrant] = []
        while True:
            planned = content.rounds[number]
            alive = [one for one in task.entrants if one.name in planned.iterations]
            for entrant in alive:
                if task.record.trial(entrant.name, number) is None and not self._late(number):
                    self.trials.make(entrant, number, planned)
            best = self._ranked(alive, number)
            ranking = best + [one for one in ranking if one not in best]
            kept = best[: math.ceil(len(best) / 2)]
            if len(kept) < 2 or self._late(number):
                break
            if len(content.rounds) == number + 1:
                following = self._next(planned, kept)
                if following is None:
                    break
                content.rounds.append(following)
                task.save()
            number += 1
        return [one for one in ranking if one.name not in task.record.dropped]

    @property
    def _reserve(self) -> float:
        """Return the seconds that the final run keeps."""
        task, paces = self.task, self.task.record.content.paces
        known = [one for one in task.entrants if one.name in paces]
        longest = max(paces[one.name].whole(one.method.iterations) for one in known)
        return min(_FINAL * task.clock.budget, _SPARE * longest)

    def _most_done(self) -> list[Entrant]:
        """Return the candidates by the share of their iterations that fit the time, the largest first."""
        task = self.task
        left = task.processes.agreed(lambda: task.clock.left)

        def share(one: Entrant) -> float:
            pace = task.record.content.paces.get(one.name) or self._guess(one)
            return pace.within(left - pace.training) / max(one.method.iterations, 1) if pace else 0.0

        return sorted(task.entrants, key=share, reverse=True)

    def _guess(self, entrant: Entrant) -> Pace | None:
        """Return the speed of a candidate by that of the first and by the images that pass; None before it is known."""
        first, spec = self.task.entrants[0], self.trials.part.spec
        pace = self.task.record.content.paces.get(first.name)
        if pace is None:
            return None
        mine, other = (one.method.workload(one.ipc * one.method.views(spec)).passes for one in (entrant, first))
        return Pace(start=pace.start, iteration=pace.iteration * mine / max(other, 1))

    def _worthwhile(self, entrant: Entrant, pace: Pace | None) -> bool:
        """Return whether the time beside a race suffices for the final run of a candidate, as far as that is known."""
        if pace is None:
            return True
        task = self.task
        most = pace.within(_FINAL * task.clock.left - pace.training)
        return task.processes.agreed(lambda: most >= _WORTHWHILE * entrant.method.iterations)

    def _round(self, entrants: Sequence[Entrant], seconds: float, scoring: NetworkEstimate) -> Round | None:
        """Return a round in which each candidate has some seconds; None if that is too short for one of them."""
        task, paces = self.task, self.task.record.content.paces
        iterations = {
            one.name: min(one.method.iterations, paces[one.name].within(_CONDENSE * seconds)) for one in entrants
        }
        if any(iterations[one.name] < max(_FEWEST_STEPS * one.method.iterations, 1) for one in entrants):
            return None
        rest = (1 - _CONDENSE) * seconds - scoring.start_seconds
        epochs = int((rest - scoring.test_seconds) / max(scoring.epoch_seconds, 1e-6))
        if epochs < min(_FEWEST_EPOCHS, task.most_epochs):
            return None
        epochs = min(epochs, task.most_epochs)
        nets = int(rest / (scoring.test_seconds + epochs * scoring.epoch_seconds)) if epochs == task.most_epochs else 1
        return Round(iterations=iterations, epochs=epochs, nets=min(max(nets, 1), task.most_nets), seconds=seconds)

    def _next(self, planned: Round, kept: Sequence[Entrant]) -> Round | None:
        """Return the next round, of twice the time; None if it would only repeat this one."""
        task = self.task
        scoring = self.trials.scoring(max(map(self.trials.images, kept)))
        following = task.processes.agreed(lambda: self._round(kept, 2 * planned.seconds, scoring))
        if following is None:
            return None
        longer = any(following.iterations[one.name] > planned.iterations[one.name] for one in kept)
        more = following.epochs * following.nets > planned.epochs * planned.nets
        return following if longer or more else None

    def _late(self, number: int) -> bool:
        """Return whether the race takes time that the final run needs."""
        clock = self.task.clock
        some = any(one.round == number and one.score is not None for one in self.task.record.content.trials)
        return some and self.task.processes.any(clock.left < _LATE * self._reserve)

    def _ranked(self, entrants: Sequence[Entrant], number: int) -> list[Entrant]:
        """Return the candidates that were scored in a round, the best first, of equal ones the first in the table."""
        found: list[tuple[float, Entrant]] = []
        for one in entrants:
            trial = self.task.record.trial(one.name, number)
            if trial is not None and trial.score is not None:
                found.append((trial.score, one))
        return [one for _, one in sorted(found, key=lambda pair: -pair[0])]


def _units(count: int) -> int:
    """Return the time of a race of so many candidates, in that of a candidate in the first round."""
    total, each = 0, 1
    while count > 1:
        total += count * each
        count, each = math.ceil(count / 2), 2 * each
    return total
