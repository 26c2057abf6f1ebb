"""auto.json of a run directory: candidates, race and choice of `auto`, from which an interrupted call continues."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, final

import msgspec

from ..run.directory import AUTO, RunDirectory
from ..synthetic.provenance import Auto
from ..utils import torchrun
from ..utils.errors import InputError
from ..utils.files import read_as, write_json
from ..utils.schema import Count, Fields, Fraction, Line, Name, Positive, Seconds
from ..utils.timing import duration

_WITHOUT_EFFECT = ("hold_out",)
"""Arguments that earlier versions recorded also where they have no effect, as with soft labels."""


class Pace(Fields, kw_only=True):
    """Speed of a candidate on this machine."""

    start: Seconds
    """Seconds before iterations run at full speed, without the training of networks on real images."""
    iteration: Seconds
    """Seconds of one iteration."""
    training: Seconds = 0.0
    """Seconds of training networks on all training images, as far as the cache lacks them."""
    trial_training: Seconds = 0.0
    """The same on the part of the training images that the race condenses."""

    def within(self, seconds: float) -> int:
        """Return the number of iterations that take these seconds, the start included but no training; may be 0."""
        return int(max(seconds - self.start, 0) / max(self.iteration, 1e-6))

    def whole(self, iterations: int) -> float:
        """Return the seconds of a final run of so many iterations."""
        return self.start + self.training + iterations * self.iteration


class Round(Fields, kw_only=True):
    """A round of the race."""

    iterations: dict[Name, Positive]
    """Candidates of the round -> their iterations."""
    epochs: Positive
    """Training epochs of the networks that score a set."""
    nets: Positive
    """Networks that score a set."""
    seconds: Seconds
    """Time of each candidate, as planned."""


class Trial(Fields, kw_only=True):
    """A candidate in a round, when it is done."""

    candidate: Name
    round: Count
    score: Fraction | None = None
    """Mean accuracy over classes on the held-out images; None if it was dropped."""
    dropped: Line | None = None
    """Fault for which the candidate left the race."""
    seconds: Seconds
    """Wall time."""


class SoftChoice(Fields, kw_only=True):
    """What is made with soft labels."""

    ipc: Positive
    """Random real images of each class."""
    views: Positive
    """Mixed views of each image."""
    steps: Positive
    """Steps of the teacher."""
    seconds: Seconds
    """Expected time of the teacher and its labels."""

    def lines(self) -> list[str]:
        """Return the choice in words."""
        return [
            f"images: {self.ipc} random real images of each class in 8 bits, {self.views} mixed views of each",
            f"teacher: {self.steps} steps on real images, about {duration(self.seconds)}",
        ]


class Content(Fields, kw_only=True):
    """The content of auto.json."""

    asked: dict[Name, Any]
    """Arguments that must be equal when the call is continued."""
    spent: Seconds = 0.0
    """Wall time of all sessions up to the last entry."""
    compile: Line | None = None
    """The compilation of the final run; None before the choice."""
    note: Line | None = None
    """The reason for which there is no race; None if there is one."""
    alone: Name | None = None
    """The candidate that is taken without a race; None if there is a race."""
    paces: dict[Name, Pace] = msgspec.field(default_factory=dict)
    rounds: list[Round] = msgspec.field(default_factory=list)
    trials: list[Trial] = msgspec.field(default_factory=list)
    failed: list[Name] = msgspec.field(default_factory=list)
    """Candidates whose final run failed."""
    choice: Auto | None = None
    iterations: Positive | None = None
    """Iterations of the final run."""
    soft: SoftChoice | None = None
    """What is made with soft labels; None before the choice, and with labels of their own."""
    launch: dict[str, Any] | None = None
    """Mark of a launch of several processes."""


@final
class Record:
    """The record of a call, in memory and, with a run directory, in its auto.json."""

    def __init__(self, asked: Mapping[str, Any], run: Path | None, content: Content | None = None) -> None:
        self.run = run
        self.resumed = content is not None
        self.content = content or Content(asked=dict(asked), launch=torchrun.mark())

    def save(self, spent: float) -> None:
        """Write the record as it is now, after `spent` seconds of all sessions."""
        self.content.spent = spent
        if self.run is not None:
            self.run.mkdir(parents=True, exist_ok=True)
            write_json(self.run / AUTO, msgspec.to_builtins(self.content))

    def trial(self, candidate: str, number: int) -> Trial | None:
        """Return the trial of a candidate in a round, if it is done."""
        return next((one for one in self.content.trials if (one.candidate, one.round) == (candidate, number)), None)

    @property
    def dropped(self) -> set[str]:
        """Return the names of the candidates that left the race with a fault."""
        return {one.candidate for one in self.content.trials if one.dropped is not None}

    def score(self, candidate: str) -> float | None:
        """Return the last score of a candidate."""
        scores = [one.score for one in self.content.trials if one.candidate == candidate and one.score is not None]
        return scores[-1] if scores else None


def open_record(asked: Mapping[str, Any], run: Path | None, *, resume: bool, overwrite: bool) -> Record:
    """Return the record to continue, or a fresh one.

    Raises InputError if the directory holds another run, or if the call to continue had other arguments.
    """
    if run is None:
        return Record(asked, None)
    directory, path = RunDirectory(run), run / AUTO
    begun = read_as(path, Content) if path.exists() and not (overwrite and torchrun.mark() is None) else None
    again = begun is not None and torchrun.restarted(begun.launch)
    if (overwrite and not again) or not (begun or directory.occupied()):
        return Record(asked, run)
    if not (resume or again):
        raise InputError(f"{run} holds another run: continue it with --resume, or replace it with --overwrite")
    if begun is None:
        raise InputError(f"{run} holds a run that auto did not choose: name another directory, or use --overwrite")
    now = json.loads(json.dumps(dict(asked)))
    before = {name: value for name, value in begun.asked.items() if name in now or name not in _WITHOUT_EFFECT}
    different = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if different:
        changes = ", ".join(_change(name, before.get(name), now.get(name)) for name in different)
        raise InputError(f"cannot resume {run} with other settings: {changes}")
    return Record(asked, run, begun)


def _change(name: str, was: Any, now: Any) -> str:
    """Return in words how a value has changed; of mappings only the first entry that differs."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return f"{name} was {was!r} and is {now!r}"
    before, after = cast("dict[str, Any]", was), cast("dict[str, Any]", now)
    if name == "candidates" and list(before) != list(after):
        return f"{name} were {', '.join(before)} and are {', '.join(after)}"
    first = next(key for key in {**before, **after} if before.get(key) != after.get(key))
    return _change(f"{name} {first}", before.get(first), after.get(first))
