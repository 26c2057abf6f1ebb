"""scores.jsonl of a run directory: what networks learned from its set and from what was trained beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .artifact import FILE_NAME, SyntheticSet
from .errors import DamagedFile, InputError
from .files import append_line, parse_json, regular
from .measured import ScoresFields
from .rundir import SCORES
from .schema import check, declared
from .types import Scores


def keep_scores(run: str | Path, scores: Mapping[str, Scores]) -> None:
    """Add scores to those of a run directory, where `report` and `export` find them.

    scores: what `evaluate` has returned, under a name for each set; of the run's own set, and of what it is to be
    compared with. One line is appended, in one write.
    """
    if not (Path(run) / FILE_NAME).exists():
        raise InputError(f"{run} is no run directory: name one that `condense` has written")
    values = {name: score.to_json() for name, score in scores.items()}
    append_line(Path(run) / SCORES, json.dumps(values, allow_nan=False))


def kept_scores(run: Path) -> list[Scores]:
    """All scores in a run directory, the oldest first. Raises DamagedFile, naming line and field, for what is none."""
    path = run / SCORES
    found = []
    for number, line in enumerate(regular(path).read_bytes().splitlines() if path.exists() else [], start=1):
        place = f"{path} is damaged: line {number} is no score of `evaluate`, remove it"
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
    return Scores(**{name: value[name] for name in declared(ScoresFields) if name in value})


def is_of(scores: Scores, synthetic: SyntheticSet) -> bool:
    """Whether networks learned from this very set, and were tested on test images."""
    if "set_sha256" in scores.trained_on:
        same = scores.trained_on["set_sha256"] == synthetic.fingerprint()
    else:  # scores of before there was this field
        same = scores.trained_on.items() >= json.loads(json.dumps(dict(synthetic.provenance))).items()
    return same and scores.tested_on == "test"
