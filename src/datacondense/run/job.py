"""One call of `condense`, up to its first iteration: alone in its run directory, with a plan of how it computes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from ..data.image_set import ImageSet
from ..engine.engine import Engine
from ..engine.execution import Compute, Execution
from ..methods import Method, Problem, method_name
from ..synthetic import set as set_file
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet
from ..utils import hardware, schema
from ..utils.distributed import Processes
from ..utils.errors import Stopped, naming
from .directory import RunDirectory, begun
from .loop import Session, draw
from .observers import Observer, preparing
from .records import Finished
from .signals import Stop


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """What `condense` was asked for."""

    method: Method
    real: ImageSet
    ipc: int
    seed: int
    compute: Compute
    identity: Mapping[str, Any]
    """What must be the same when the run goes on."""
    origin: Mapping[str, Any]
    """What is recorded besides."""
    start: SyntheticSet | None
    directory: RunDirectory | None
    """None on all processes but the leading one."""
    observers: tuple[Observer, ...]
    processes: Processes

    def tell(self, text: str) -> None:
        for observer in self.observers:
            observer.message(text)

    def renamed(self, data: str) -> "Job":
        """Return the job on the same images under another name."""
        return replace(self, real=self.real.renamed(data), identity={**self.identity, "data": data})

    def planned(self, *, resume: bool, overwrite: bool) -> tuple[dict[str, Any] | None, Execution | SyntheticSet]:
        """What a run to be resumed has recorded; how this one computes, or its set where nothing is left to compute."""
        directory = self.directory
        recorded = begun(directory, self.identity, resume=resume, overwrite=overwrite) if directory else None
        if directory and recorded and recorded["status"] == "complete":
            with naming(f"the run in {directory.path} is complete, but its set cannot be read, take --overwrite"):
                finished = set_file.load_set(directory.path)
                schema.check(finished.provenance.to_json(), Finished, "its provenance is incomplete")
            directory.sweep()
            draw(finished, self.real, directory.path, again=False)
            self.tell(f"{directory.path} is complete: there is nothing to resume")
            return recorded, finished
        if recorded:
            return recorded, Execution.from_json(recorded["execution"])
        return None, plan_run(self.method, self.real, self.ipc, self.compute)

    def prepared(self, engine: Engine, recorded: Mapping[str, Any] | None, stop: Stop, snapshots: int) -> Session:
        """The session before its first iteration. Raises Stopped, with nothing written to the run directory."""
        directory, notify, what = self.directory, preparing(self.observers), "preparing"

        def pause() -> None:
            if self.processes.any(stop()):
                raise stop.error(what)

        def tell(done: float, text: str) -> None:
            nonlocal what
            what = text
            notify(done, text)
            if self.processes.size == 1:  # several do not all come here
                pause()

        engine.pause = pause
        try:
            problem = Problem(
                self.real.to(engine.device),
                self.ipc,
                self.method.arch,
                self.method.augment,
                engine,
                tell,
                resumed=self.processes.agreed(lambda: bool(directory and recorded and directory.has_checkpoint())),
            )
            made = Provenance.from_json({**self.identity, **self.origin})
            session = Session(self.method, problem, self.seed, made, directory, self.observers, snapshots, self.start)
        except Exception as error:
            if isinstance(error, Stopped) or not stop.cuts(engine.execution.compile):
                raise
            raise stop.error(what) from None
        if not recorded:
            self.processes.agreed(lambda: directory.clear() if directory else None)
        else:
            self._tell_changes(engine, recorded)
        return session

    def _tell_changes(self, engine: Engine, recorded: Mapping[str, Any]) -> None:
        here = hardware.describe(engine.device, self.processes.size), hardware.versions()
        if (recorded["machine"], recorded["versions"]) != here:
            began = f"{recorded['machine']}, {recorded['versions']}"
            self.tell(f"begun on {began}, resumed on {here[0]}, {here[1]}: the last bits may differ")
        if {**(recorded["plugin"] or {}), "file": ""} != {**self.origin.get("plugin", {}), "file": ""}:
            self.tell(f"{method_name(self.method)} has changed since the run began: its parts are not of one method")


def plan_run(method: Method, real: ImageSet, ipc: int, compute: Compute) -> Execution:
    """Plan how a fresh run computes."""
    load = method.load(ipc)
    passes = method.iterations * real.spec.classes * load.passes + method.preparation(len(real))
    return compute.plan(method.arch, real.spec, passes, load)
