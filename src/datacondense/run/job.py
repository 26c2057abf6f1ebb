"""A call of `condense` with checked arguments, up to its first iteration."""

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
from . import checkpoint
from .directory import RunDirectory, recorded_run
from .loop import Loop
from .observers import Observers
from .outputs import write_outputs
from .plugin_origins import changed
from .records import Finished
from .signals import Stop


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """The arguments of `condense`, checked."""

    method: Method
    real: ImageSet
    ipc: int
    seed: int
    compute: Compute
    identity: Mapping[str, Any]
    """Values that must be equal when the run is resumed."""
    origin: Mapping[str, Any]
    """Further entries of the provenance, and whole ones in place of those that `identity` has in part."""
    start: SyntheticSet | None
    directory: RunDirectory | None
    """None on all processes but the leading one."""
    observers: Observers
    processes: Processes

    def renamed(self, data: str) -> "Job":
        """Return the job on the same images under another name."""
        return replace(self, real=self.real.renamed(data), identity={**self.identity, "data": data})

    def planned(self, *, resume: bool, overwrite: bool) -> tuple[dict[str, Any] | None, Execution | SyntheticSet]:
        """Return the record of a run to be resumed, and the plan of the computation, or the set of a complete run."""
        directory, recorded = self.directory, None
        if directory:
            unused = [name for name, (used, _) in self.method.needs().items() if not used]
            recorded = recorded_run(directory, self.identity, resume=resume, overwrite=overwrite, unused=unused)
        if directory and recorded and recorded["status"] == "complete":
            with naming(
                f"the run in {directory.path} is complete, but its set cannot be read; replace it with --overwrite"
            ):
                finished = set_file.load_set(directory.path)
                schema.check(finished.provenance.to_json(), Finished, "its provenance is incomplete")
            directory.sweep()
            write_outputs(finished, self.real, directory.path, again=False)
            self.observers.message(f"{directory.path} is complete: there is nothing to resume")
            return recorded, finished
        if recorded:
            return recorded, Execution.from_json(recorded["execution"])
        return None, plan_run(self.method, self.real, self.ipc, self.compute)

    def prepared(self, engine: Engine, recorded: Mapping[str, Any] | None, stop: Stop, snapshots: int) -> Loop:
        """Return the loop before its first iteration. Raises Stopped, with nothing written to the run directory."""
        directory, what = self.directory, "preparing"

        def pause() -> None:
            if self.processes.any(stop()):
                raise stop.error(what)

        def notify(done: float, text: str) -> None:
            nonlocal what
            what = text
            self.observers.preparing(done, text)
            if self.processes.size == 1:  # several do not all come here
                pause()

        engine.pause = pause
        try:
            resumed = self.processes.agreed(lambda: bool(directory and recorded and checkpoint.exists(directory.path)))
            problem = Problem(
                self.real.to(engine.device),
                self.ipc,
                self.method.arch,
                self.method.augment,
                engine,
                notify,
                resumed=resumed,
            )
            made = Provenance.from_json({**self.identity, **self.origin})
            loop = Loop(self.method, problem, self.seed, made, directory, self.observers, snapshots, self.start)
        except Exception as error:
            if isinstance(error, Stopped) or not stop.cuts(engine.execution.compile):
                raise
            raise stop.error(what) from None
        if not recorded:
            self.processes.agreed(lambda: directory.clear(chosen="auto" in self.origin) if directory else None)
        else:
            self._report_changes(engine, recorded)
        return loop

    def _report_changes(self, engine: Engine, recorded: Mapping[str, Any]) -> None:
        here = hardware.describe(engine.device, self.processes.size), hardware.versions()
        if (recorded["machine"], recorded["versions"]) != here:
            began = f"{recorded['machine']}, {recorded['versions']}"
            self.observers.message(
                f"the run began on {began} and was resumed on {here[0]}, {here[1]}: the last bits may differ"
            )
        names = {"method": method_name(self.method), "network": f"the network {self.method.arch}"}
        for name in changed(recorded, self.origin, {**names, "decoder": "the decoder", "loss": "the loss"}):
            self.observers.message(f"{name} has changed since the run began: parts of the run use different code")


def plan_run(method: Method, real: ImageSet, ipc: int, compute: Compute) -> Execution:
    """Plan the computation of a fresh run."""
    load = method.workload(ipc * method.views(real.spec))
    passes = method.iterations * real.spec.classes * load.passes + method.preparation(len(real))
    return compute.plan(method.arch, real.spec, passes, load)
