"""Commands in processes of their own, one or several."""

import os
import subprocess
import sys
from pathlib import Path

import datacondense

SOURCE = Path(datacondense.__file__).parents[1]


def start(processes: int, arguments: str, *options: str) -> subprocess.Popen[str]:
    """`datacondense` with these arguments, in the working directory; under torchrun for more than one process."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *options]
    command = [sys.executable, *(torchrun if processes > 1 else []), "-m", "datacondense", *arguments.split()]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(processes: int, arguments: str, *options: str, code: int = 0) -> str:
    """What a command has printed, stderr among it; it must end with this exit code."""
    process = start(processes, arguments, *options)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output
