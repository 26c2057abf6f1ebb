"""The check that nobody stopped a run of an experiment, before its next part begins."""

from pathlib import Path

from ..methods import Method
from ..run.signals import Request
from ..synthetic.set import SyntheticSet
from ..utils.distributed import Processes
from ..utils.errors import Stopped


def check_finished(
    made: SyntheticSet, method: Method, stop: Request, place: Path, *, overwrite: bool, processes: Processes
) -> None:
    """Raise Stopped if a run has iterations left, or if a signal came during its last one or while it was written.

    Args:
        made: The set of the run.
        method: Its method.
        stop: The request to stop that was listened to in the run.
        place: The run directory.
        overwrite: The command replaces earlier runs.
        processes: The processes that share the experiment, which stop together.
    """
    done = made.provenance.iterations_done or 0
    without = " without --overwrite" if overwrite else ""
    if done < method.iterations:
        text = f"stopped after iteration {done} in {place}: the same command{without} resumes it"
        raise Stopped(text, stop.signal)
    if processes.any(stop()):
        raise Stopped(f"stopped when {place} was complete: the same command{without} goes on from there", stop.signal)
