"""Scores that are kept beside a set, so that no evaluation is made twice."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..data.image_set import ImageSet
from ..engine.execution import Compute
from ..run.directory import EVALUATION
from ..synthetic.set import SyntheticSet
from ..utils.distributed import Processes
from ..utils.errors import DamagedFile
from ..utils.files import read_json, write_json
from ..utils.locks import writing
from ..utils.schema import Fields, check
from .evaluator import evaluate_by, milestones
from .protocol import Protocol
from .score_log import from_json
from .scores import Scores, ScoresFields


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
    """Scores of a set, evaluated by `protocol` or read from `run`, where an earlier call has left them.

    on_epoch: called after each training epoch with the work that is done and all of it, as `milestones` has them.
    """
    sets = {"set_sha256": synthetic.fingerprint(), "test_sha256": test.fingerprint()}
    how = {"device": compute.device, "precision": compute.precision, "compile": compute.compile}
    wanted = json.loads(json.dumps({"protocol": protocol.to_json(), **sets, **how}))
    path = run / EVALUATION
    kept = processes.agreed(lambda: _kept(path, wanted))
    if kept is not None:
        return kept
    ends, total = milestones(protocol, synthetic, test, device=compute.device)
    left = iter(ends)

    def count() -> None:
        on_epoch(next(left), total)

    scores = evaluate_by(protocol, synthetic, test, compute=compute, on_epoch=count, processes=processes)
    if processes.leads:
        with writing(run):
            write_json(path, {"asked": wanted, "scores": scores.to_json()})
    return scores


def _kept(path: Path, asked: Mapping[str, Any]) -> Scores | None:
    """The scores in `path`, if they are those that are asked for."""
    if path.exists():
        try:
            kept = read_json(path)
            check(kept, Evaluated)
        except DamagedFile:  # or of another version: it is only worth its time
            path.unlink(missing_ok=True)
            return None
        if kept["asked"] == asked:
            return from_json(kept["scores"], str(path))
    return None
