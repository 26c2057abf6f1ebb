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
from ..utils import hardware
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
    and one of more networks trains only these. Scores of other versions of the software are evaluated anew, and each
    time those of a network or loss that was entered from Python, whose code is unknown.

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
        apart = _without_nets(wanted)
        found = _read(path)
        beside = found["scores"]["protocol"]["versions"] if found and _without_nets(found["asked"]) == apart else None
        tested = Tested(run / TESTED, apart, test.spec.classes, hardware.versions(), older=beside)
    scores = evaluate_by(protocol, synthetic, test, compute=compute, on_epoch=count, processes=processes, tested=tested)
    if processes.leads:
        with writing(run):
            write_json(path, {"asked": wanted if known else {}, "scores": scores.to_json()})
    return scores


def _cached(path: Path, wanted: Mapping[str, Any]) -> Scores | None:
    """Return the scores in `path`, if they belong to this evaluation by this software."""
    found = _read(path)
    if found is None or found["asked"] != wanted or found["scores"]["protocol"]["versions"] != hardware.versions():
        return None
    return from_json(found["scores"], str(path))


def _read(path: Path) -> dict[str, Any] | None:
    """Return the content of evaluation.json; None without one. A damaged one is deleted."""
    if not path.exists():
        return None
    try:
        found = read_json(path)
        check(found, Evaluated)
    except DamagedFile:  # or of another version: it is only worth its time
        path.unlink(missing_ok=True)
        return None
    return found


def _without_nets(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the accuracy of each network depends on: all but the number of networks."""
    protocol = asked.get("protocol")
    kept = {name: value for name, value in protocol.items() if name != "nets"} if isinstance(protocol, dict) else None
    return {**asked, "protocol": kept}
