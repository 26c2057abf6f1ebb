"""Jobs of `make gpu`: commands in processes of their own, each with a limit of time."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEAST = 20.0
"""Seconds with which no job is begun any more."""

_KILLED = 10.0
"""Seconds in which a killed process ends; one that waits inside the driver of the GPU is left there."""


@dataclass(frozen=True)
class Job:
    """One part: a command, its share of the whole time, and where its results lie."""

    name: str
    command: list[str]
    share: float = 1.0
    result: Path | None = None
    passes: tuple[int, ...] = (0,)
    """Exit codes after which it is done."""
    grace: float = 2.0
    """Seconds of its limit in which it may end by itself, after it was told to stop."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    status: str
    """done, failed, or out of time."""
    seconds: float
    command: str = ""
    log: str = ""
    detail: str = ""
    """The last line that it printed, unless it is done."""
    numbers: dict[str, object] = field(default_factory=dict)


def run(job: Job, limit: float, logs: Path) -> Outcome:
    """Run a job to its end or for `limit` seconds. Every process that it started is gone afterwards."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{''.join(letter if letter.isalnum() else '-' for letter in job.name)}.log"
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
    began = time.perf_counter()
    with log.open("w") as out:
        process = subprocess.Popen(
            job.command, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            status = "done" if process.wait(max(limit - job.grace, 0.1)) in job.passes else "failed"
        except subprocess.TimeoutExpired:
            status = "out of time"
            process.terminate()  # a run writes its set and its checkpoint; Ctrl-C is ignored in the background
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(job.grace)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_KILLED)
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    detail = lines[-1][:300] if lines and status != "done" else ""
    return Outcome(status, round(time.perf_counter() - began, 1), " ".join(job.command), log.name, detail)
