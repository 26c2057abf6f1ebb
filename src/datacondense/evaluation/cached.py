"""Cache scores beside a set, so that each evaluation runs once."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..data.image_set import ImageSet
from ..engine.execution import Compute
from ..run.directory import EVALUATION, TESTED
from ..synthetic.set import SyntheticSet
from ..training.cache_keys import with_code
from ..utils.distributed import Processes
from ..utils.errors import DamagedFile
from ..utils.files import read_json, write_json
from ..utils.locks import writing
from ..utils.schema import Fields, check
from .evaluator import evaluate_by
from .planning import milestones
from .protocol import Protocol
from .score_log import from_json
from .scores import Scores, ScoresFields
from .tested import Tested


class Evaluated(Fields, kw_only=True):
    """evaluation.json."""

    asked: dict[str, Any]
    scores: ScoresFields

    def __post_init__(self) -> None:
        protocol = self.scores.protocol
        if protocol.machine is None or protocol.versions is None:
            raise ValueError("scores.protocol lacks machine or versions")
        if not protocol.execution.keys() >= self.scores.accuracy.keys():
            raise ValueError("scores.protocol.execution lacks a network")


def evaluate_once(
    protocol: Protocol,
    synthetic: SyntheticSet,
    test: ImageSet,
    run: Path,
    on_epoch: Callable[[float, float], None],
    compute: Compute,
    processes: Processes,
) -> Scores:
    """Return the scores of a set by `protocol`: from the cache in `run`, or evaluated and written there.

    A single process keeps each network when it is tested, so that an interrupted evaluation goes on with the next,
    and one of more networks trains only these. Scores of a network or loss that was entered from Python, whose code
    is unknown, are evaluated anew each time.

    on_epoch: called after each training epoch with the work done and the total, as `milestones` has them.
    """
    sets = {"set_sha256": synthetic.fingerprint(), "test_sha256": test.fingerprint()}
    how = {"device": compute.device, "precision": compute.precision, "compile": compute.compile}
    asked = {"protocol": protocol.to_json(), **sets, **how}
    known = with_code(asked, protocol.archs, {recipe.loss for recipe in protocol.recipes.values()})
    wanted = json.loads(json.dumps(known or asked))
    path = run / EVALUATION
    cached = processes.agreed(lambda: _cached(path, wanted)) if known else None
    if cached is not None:
        return cached
    ends, total = milestones(protocol, synthetic, test, device=compute.device)
    left = iter(ends)

    def count() -> None:
        on_epoch(next(left), total)

    tested = None
    if known and processes.size == 1:
        apart = {**wanted, "protocol": {name: value for name, value in wanted["protocol"].items() if name != "nets"}}
        tested = Tested(run / TESTED, apart, test.spec.classes)
    scores = evaluate_by(protocol, synthetic, test, compute=compute, on_epoch=count, processes=processes, tested=tested)
    if processes.leads:
        with writing(run):
            write_json(path, {"asked": wanted if known else {}, "scores": scores.to_json()})
    return scores


def _cached(path: Path, wanted: Mapping[str, Any]) -> Scores | None:
    """Return the scores in `path`, if they belong to this evaluation."""
    if path.exists():
        try:
            found = read_json(path)
            check(found, Evaluated)
        except DamagedFile:  # or of another version: it is only worth its time
            path.unlink(missing_ok=True)
            return None
        if found["asked"] == wanted:
            return from_json(found["scores"], str(path))
    return None
