"""scores.jsonl of a run directory: scores of its set and of its baselines."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..run.directory import SCORES
from ..synthetic.set import FILE_NAME, SyntheticSet, load_set
from ..utils.errors import DamagedFile, InputError
from ..utils.files import append_line, parse_json
from ..utils.locks import writing
from ..utils.paths import regular
from ..utils.schema import check, field_names
from .scores import Scores, ScoresFields

_OTHERS = 30.0  # seconds that other commands may need to end what they write


def keep_scores(run: str | Path, scores: Mapping[str, Scores]) -> None:
    """Append scores to those of a run directory, where `report` and `export` find them.

    One line is appended, in one write.

    Args:
        run: the run directory.
        scores: name of a set -> the result of `evaluate`, for the run's own set and for its baselines.

    Raises:
        InputError: the run has no set, or a different one from the evaluated set, or the scores are invalid; nothing is
            written.
        Locked: another process writes to the run.
    """
    values = {name: score.to_json() for name, score in scores.items()}
    for name, value in values.items():
        try:
            check(value, ScoresFields)
        except DamagedFile as error:
            raise InputError(f"scores {name!r} cannot be saved: {error}") from None
    evaluated = {score.trained_on["set_sha256"] for score in scores.values() if "set_sha256" in score.trained_on}
    with unchanged(Path(run), evaluated):
        append_line(Path(run) / SCORES, json.dumps(values, allow_nan=False))


@contextmanager
def unchanged(run: Path, sets: Collection[str], *, wait: float = _OTHERS) -> Iterator[None]:
    """Lock a run whose set has one of these fingerprints. Raises as `keep_scores` does."""
    if not (run / FILE_NAME).exists():
        raise InputError(f"{run} is not a run directory: name one that `condense` wrote")
    with writing(run, wait=wait):
        if sets and load_set(run).fingerprint() not in sets:  # scores of before there were fingerprints have none
            raise InputError(
                f"{run} holds a different set from the one that was evaluated: the scores were not written there"
            )
        yield


def saved_scores(run: Path) -> list[Scores]:
    """Return all scores in a run directory, the oldest first. Raises DamagedFile, naming line and field."""
    path = run / SCORES
    found = []
    for number, line in enumerate(regular(path).read_bytes().splitlines() if path.exists() else [], start=1):
        place = f"{path} is damaged: line {number} is not a score of `evaluate`: remove it"
        try:
            values = check(parse_json(line), dict[str, Any], place)
        except DamagedFile:
            raise
        except ValueError as error:
            raise DamagedFile(f"{place}: {error}") from None
        found += [from_json(value, place) for value in values.values()]
    return found


def from_json(value: Any, place: str) -> Scores:
    """Return the inverse of `Scores.to_json`. Raises DamagedFile, `place` in front, naming the field, for all else."""
    check(value, ScoresFields, place)
    return Scores(**{name: value[name] for name in field_names(ScoresFields) if name in value})


def is_score_of(scores: Scores, synthetic: SyntheticSet) -> bool:
    """Return whether networks were trained on exactly this set as it is stored, and tested on test images."""
    if "set_sha256" in scores.trained_on:
        same = scores.trained_on["set_sha256"] == synthetic.fingerprint()
    else:  # scores of before there was this field
        same = scores.trained_on.items() >= json.loads(json.dumps(synthetic.provenance.to_json())).items()
    return same and scores.tested_on == "test" and scores.is_plain
