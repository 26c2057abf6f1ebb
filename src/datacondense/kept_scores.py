"""scores.jsonl of a run directory: what networks learned from its set and from what was trained beside it."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .artifact import FILE_NAME, SyntheticSet, load_set
from .errors import DamagedFile, InputError
from .files import append_line, parse_json
from .locks import writing
from .rundir import SCORES
from .types import Scores

_OTHERS = 30.0  # seconds that other commands may need to end what they write


def keep_scores(run: str | Path, scores: Mapping[str, Scores]) -> None:
    """Add scores to those of a run directory, where `report` and `export` find them.

    scores: what `evaluate` has returned, under a name for each set; of the run's own set, and of what it is to be
    compared with. One line is appended, in one write.
    Raises InputError where the run has no set, or another than the one that was evaluated, and Locked while another
    process writes to it: nothing is kept then.
    """
    values = {name: score.to_json() for name, score in scores.items()}
    learned = {score.trained_on["set_sha256"] for score in scores.values() if "set_sha256" in score.trained_on}
    with unchanged(Path(run), learned):
        append_line(Path(run) / SCORES, json.dumps(values, allow_nan=False))


@contextmanager
def unchanged(run: Path, sets: Collection[str], *, wait: float = _OTHERS) -> Iterator[None]:
    """Inside, nobody else writes to a run whose set has one of these fingerprints. Raises as `keep_scores` does."""
    if not (run / FILE_NAME).exists():
        raise InputError(f"{run} is no run directory: name one that `condense` has written")
    with writing(run, wait=wait):
        if sets and load_set(run).fingerprint() not in sets:  # scores of before there were fingerprints have none
            raise InputError(f"{run} holds another set than the one that was evaluated: its scores were not kept there")
        yield


def kept_scores(run: Path) -> list[Scores]:
    """All scores in a run directory, the oldest first. Raises InputError, naming the line, for what is none."""
    path = run / SCORES
    found = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.is_file() else [], start=1):
        try:
            found += [from_json(value) for value in parse_json(line).values()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFile(
                f"{path} is damaged: line {number} is no score of `evaluate` ({error}): remove it"
            ) from None
    return found


def from_json(value: Any) -> Scores:
    """The inverse of `Scores.to_json`. Raises ValueError, KeyError, TypeError or AttributeError for all else."""
    scores = Scores(**value)
    for arch, accuracies in scores.accuracy.items():
        _ = [float(one) for one in accuracies], scores.per_class[arch], scores.protocol["recipes"][arch]["epochs"]
    _ = scores.trained_on.items(), scores.confusion.items()
    return scores


def is_of(scores: Scores, synthetic: SyntheticSet) -> bool:
    """Whether networks learned from this very set, and were tested on test images."""
    if "set_sha256" in scores.trained_on:
        same = scores.trained_on["set_sha256"] == synthetic.fingerprint()
    else:  # scores of before there was this field
        same = scores.trained_on.items() >= json.loads(json.dumps(dict(synthetic.provenance))).items()
    return same and scores.tested_on == "test"
