"""The run directory: the files of a run, and the check that a run can be resumed."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, final

from .. import pictures
from ..engine.execution import Execution, check_available
from ..methods import METHODS, defaults
from ..synthetic import set as set_file
from ..utils import torchrun
from ..utils.atomic import sweep
from ..utils.errors import InputError
from ..utils.files import read_json, write_json
from ..utils.schema import check as check_fields
from . import checkpoint, snapshots
from .log import LOG
from .records import Recorded, Resumable

RUN = "run.json"
SCORES = "scores.jsonl"
EVALUATION = "evaluation.json"
"""Scores by the protocol of `reproduce` or of continual learning, computed once."""
TESTED = "networks.json"
"""Networks of that evaluation that are tested."""
PROCESS = "process.json"
"""Scores of networks that were trained on the snapshots of a run."""
AUTO = "auto.json"
"""Candidates, race and choice of `auto`."""
REPORT = "report.html"
EVENTS = "tensorboard"
"""Folder of the files that TensorBoard reads."""
WANDB = "wandb.json"
"""The Weights & Biases run that logs a run."""
_CONTENT = {
    "data_sha256": "the training images differ: read them with the same options as before",
    "start": "the set it starts from differs",
}
"""Messages about differences that only a fingerprint shows."""
IMPORTED = "imported"
"""The status of a directory whose set was imported."""
LABELLED = "labelled"
"""The status of a directory whose set another run made, and a teacher labelled."""
LABELLING = "labelling"
"""The status of such a directory before its files are complete; the same call writes them again."""
_OURS = (
    RUN,
    LOG,
    checkpoint.FILE_NAME,
    checkpoint.PREVIOUS,
    SCORES,
    PROCESS,
    REPORT,
    WANDB,
    set_file.FILE_NAME,
    *pictures.FILE_NAMES,
)


@final
class RunDirectory:
    """The files of one run. Every write is atomic, apart from lines appended to the log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def occupied(self) -> bool:
        """Return whether the directory has files named like those of a run."""
        return any((self.path / name).exists() for name in _OURS) or bool(
            snapshots.paths(self.path) or events(self.path)
        )

    def has_run(self) -> bool:
        """Return whether the directory records a run."""
        return (self.path / RUN).exists()

    def recorded(self) -> dict[str, Any]:
        """Return the content of `run.json`. Raises DamagedFile when it is not JSON or a field is not as declared."""
        run = read_json(self.path / RUN)
        check_fields(run, Recorded, f"{self.path / RUN} is damaged")
        return run

    def record(self, run: Mapping[str, Any]) -> None:
        """Write `run.json`, with the mark of a launch of several processes."""
        self.path.mkdir(parents=True, exist_ok=True)
        mark = torchrun.mark()
        write_json(self.path / RUN, {**run, "launch": mark} if mark else run)

    def clear(self, *, chosen: bool = False) -> None:
        """Delete the files of an earlier run, and nothing else; `run.json`, which marks them as ours, last.

        chosen: keep the record of the choice of `auto`, of which the new run is the last step.
        """
        if not chosen:
            (self.path / AUTO).unlink(missing_ok=True)
        if self.has_run():  # of other files, those of the scores say themselves what they belong to
            forget_scores(self.path)
        snapshots.delete(self.path)
        delete_events(self.path)
        for name in reversed(_OURS):
            (self.path / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete the temporary files of killed processes. Only the process that writes to the run may call it."""
        sweep(self.path, all_of=(*_OURS, AUTO, EVALUATION, TESTED))
        sweep(self.path / snapshots.FOLDER)


def forget_scores(run: Path) -> None:
    """Delete the scores in a run directory that `reproduce` and continual learning compute once."""
    for name in (EVALUATION, TESTED):
        (run / name).unlink(missing_ok=True)


def events(run: Path) -> list[Path]:
    """Return the files in a run directory that TensorBoard reads."""
    return sorted((run / EVENTS).glob("events.out.tfevents.*"))


def delete_events(run: Path) -> None:
    """Delete the files in a run directory that TensorBoard reads, and their folder if nothing else is in it."""
    for path in events(run):
        path.unlink()
    folder = run / EVENTS
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def recorded_run(
    directory: RunDirectory,
    identity: Mapping[str, Any],
    *,
    resume: bool,
    overwrite: bool,
    unused: Collection[str] = (),
) -> dict[str, Any] | None:
    """Return the record of the run to be resumed; None for a fresh run.

    The name of the data, which may be that of a folder, is not compared: their content is. Of the set that the run
    starts from, too, the content alone is compared, and not how and how fast it was made.
    A process that torchrun has restarted resumes its earlier run, whatever the arguments are.
    Raises InputError if two runs would mix: the directory holds another run, or `identity` is not that of the run to
    resume.

    unused: settings without effect, which are not compared: an earlier version took any value of them.
    """
    if not directory.occupied():
        return None
    if not directory.has_run():
        raise InputError(
            f"{directory.path} has files named like those of a run, but no run.json: name another directory"
        )
    again = torchrun.mark() is not None and torchrun.restarted(directory.recorded().get("launch"))
    if overwrite and not again:
        return None
    if not resume and not again:
        raise InputError(
            f"{directory.path} holds another run: continue it with --resume, or replace it with --overwrite"
        )
    recorded = directory.recorded()
    status = recorded.get("status")
    if status == LABELLING:
        raise InputError(f"{directory.path} was to hold a labelled set and is incomplete: label the set again")
    if status in (IMPORTED, LABELLED):
        raise InputError(f"{directory.path} was {status}, so there is no run to resume: name another directory")
    place = f"{directory.path / RUN} is damaged or has another version: replace the run with --overwrite"
    check_fields(recorded, Resumable, place)
    if recorded["status"] != "complete":  # of those there is nothing left to compute
        check_available(Execution.from_json(recorded["execution"]))
    kept = {key: recorded[key] for key in ("status", "execution", "versions", "machine", "data")}
    settings = _differences(_settings(recorded, identity), _plain(identity["settings"]))
    rest = _differences(_without_settings({key: recorded.get(key) for key in identity}), _without_settings(identity))
    if "data_sha256" not in rest:  # the same images, which only have another name now
        rest.pop("data", None)
    changes = [text for name, text in settings.items() if name not in unused]
    changes += [_CONTENT.get(name, text) for name, text in rest.items()]
    if changes:
        raise InputError(f"cannot resume {directory.path} with other settings: {', '.join(changes)}")
    return {**kept, "plugin": recorded.get("plugin"), "plugins": recorded.get("plugins")}


def _settings(recorded: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded settings, with the default of each that is newer than the record."""
    name = recorded["method"]
    known = defaults(name) if name == identity["method"] and name in METHODS else {}
    return {**_plain(known), **recorded["settings"]}


def _without_settings(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is compared besides the settings: of the set that the run starts from, the fingerprint."""
    rest = _plain({key: value for key, value in identity.items() if key != "settings"})
    start = rest.get("start")
    return {**rest, "start": None if start is None else str(start.get("sha256"))}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Return the entries that differ: name -> the change in words."""
    return {
        key: f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a file holds them: lists in place of tuples."""
    return json.loads(json.dumps(values))
