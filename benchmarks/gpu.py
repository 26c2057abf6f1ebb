"""`make gpu`: all that only a GPU can show, in one call of a few minutes, on a machine without internet.

In this order, each part in a process of its own and with a limit of its own: the tests marked `gpu`; the times of one
iteration without compilation, compiled and as CUDA graphs, and against the published algorithm; cells of the published
tables on FashionMNIST, one set and five networks each, the most telling first. Results are written after each part, to
`--out`: gpu.json, and gpu.md to read. The same command continues: what is done is not run again, and cells go on where
they stopped.
"""

import argparse
import importlib.util
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from gpu_jobs import LEAST, ROOT, Job, Outcome, run

sys.path.insert(0, str(ROOT / "src"))  # before an installed version: the parts run this code, too

PARTS = ["tests", "speed", "cells"]
TESTS = ["test_arithmetic.py", "test_runs.py", "test_compiled.py"]  # compiled code last: it takes the longest
CELLS = ["dsa/10", "dc/10", "dm/50", "dsa/50", "dc/50", "dm/10", "dm/1", "dsa/1", "dc/1"]
"""Method and images per class, the most telling first."""
_TOY = ["--modes", "off", "--rounds", "1", "--calls", "1", "--per-class", "20", "--arch", "ConvNetW32", "--ipc", "1"]
_TOY += ["--batch-real", "8"]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--minutes", type=float, default=9.0, help="of the whole call")
    made.add_argument("--out", type=Path, default=Path("runs/gpu"))
    made.add_argument("--data-dir", type=Path, help="folder of the files of FashionMNIST")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    made.add_argument("--cells", nargs="+", default=CELLS, help="such as dsa/10, the first first")
    made.add_argument("--compile", default="auto", choices=["auto", "on", "off", "graphs"], help="of the cells")
    made.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu to try the script itself")
    made.add_argument(
        "--toy", type=int, default=0, metavar="N", help="seconds of work, cells of N iterations, to try it"
    )
    return made


def missing(device: str, parts: list[str]) -> str:
    """Return what this machine lacks; empty if it lacks nothing."""
    try:
        import torch

        import datacondense.cli.commands.evaluate
        import datacondense.cli.commands.reproduce  # noqa: F401
    except ImportError as error:  # a package is missing, or too old
        return f"{error}: install the wheels of this project first"
    with warnings.catch_warnings(record=True) as found:  # such as of a driver that is too old
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if device.startswith("cuda") and not available:
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        why = "".join(f" ({str(one.message).splitlines()[0]})" for one in found)
        where = "run this where nvidia-smi lists one" + ("" if torch.version.cuda else ", with a PyTorch for CUDA")
        return f"there is no GPU: PyTorch {torch.__version__}, {built}, sees none{why}: {where}"
    if "tests" in parts and importlib.util.find_spec("pytest") is None:
        return "the tests need pytest: install it, or name the other parts, --parts speed cells"
    return ""


def unknown(cells: list[str]) -> str:
    """Return an error for a cell that is no experiment; empty if there is none."""
    from gpu_cells import preset

    from datacondense.experiments.presets import PRESETS

    names = [cell for cell in cells if preset(cell) not in PRESETS]
    return f"--cells {' '.join(names)}: name cells such as {', '.join(CELLS[:3])}" if names else ""


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """Yield the tests and the measurements, in order."""
    here, python, where = ROOT / "benchmarks", sys.executable, ["--device", options.device]
    if "tests" in options.parts:
        files = [str(ROOT / "tests" / "gpu" / name) for name in (TESTS[:1] if options.toy else TESTS)]
        flags = ["-m", "gpu", "-vv", "-rs", "--tb=short", "--durations=10", "-p", "no:cacheprovider"]
        flags += ["-W", "default", "-o", "faulthandler_timeout=60"]  # another PyTorch may warn of other things
        flags += ["-k", "test_class_means and fp32"] if options.toy else []
        command = [python, "-m", "pytest", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *files, *flags]
        yield Job("tests", command, 0.25, passes=(0, 1))
    if "speed" in options.parts:
        toy = _TOY if options.toy else []
        for work, share in {"training": 0.1, "dm": 0.1, "dc": 0.13, "evaluation": 0.1}.items():
            result = options.out / f"graphs-{work}.json"
            command = [python, str(here / "graphs.py"), work, *where, "--json", str(result), *toy]
            yield Job(f"speed: {work}", command, share, result)
        only = "no such work" if options.toy else "dm"
        command = [python, str(here / "speed.py"), *where, "--rounds", "1", "--only", only]
        yield Job("published against ours", command, 0.1)


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, until the time is up. Return the exit code."""
    options = parser().parse_args(arguments)
    ends = time.monotonic() + 60 * options.minutes
    lacks = missing(options.device, options.parts) or unknown(options.cells)
    if lacks:
        return _refuse(lacks)
    from gpu_cells import no_images, run_cells
    from gpu_report import Report

    from datacondense.utils.errors import InputError

    options.out = options.out.resolve()
    try:
        report = Report(options.out, options.device, options.toy)
    except InputError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"--out {options.out}: {error.strerror or error}: name a folder that can be written")
    without = no_images(options) if "cells" in options.parts else ""
    if without:  # said first, so that the call can be stopped and given a --data-dir
        print(without, flush=True)
    for job in jobs(options):
        left = ends - time.monotonic()
        if not report.done(job.name) and left >= LEAST:
            print(f"{job.name} ...", flush=True)
            limit = min(60 * options.minutes * job.share, left)
            report.add(job.name, run(job, limit, options.out / "logs"), job.result)
    if without:
        report.add("cells", Outcome("failed", 0.0, detail=without))
    elif "cells" in options.parts:
        run_cells(options, report, ends)
    print(report.text())
    print(f"written to {options.out}")
    return 0


def _refuse(why: str) -> int:
    print(f"gpu: error: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
