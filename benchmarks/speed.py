"""`make bench`: the published algorithms against ours on the same work, and ours against the machine's arithmetic.

Both run in this one process, taking turns, so that a noisy machine slows both; the ratio of the medians is the
figure. The floor is the multiply-adds of the convolutions and linear layers divided by the matrix-product rate of the
same minutes. The tables replace those of docs/performance.md, the plot docs/performance.png.
"""

import argparse
import gc
import json
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from cases import Case, images, main_cases, scaling_cases, uncompiled_cases
from figure import draw
from torch.nn import functional as F

from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.engine.out_of_memory import peak_memory, release_memory
from datacondense.utils import hardware
from datacondense.utils.atomic import write_bytes

Row = dict[str, Any]

_LEAST_SECONDS = 0.3  # of one measurement: shorter work is repeated, and its mean taken


def matmul_rate(device: str) -> float:
    """Best rate of a matrix product in the precision of the work, operations per second.

    The better of two libraries: the BLAS behind `@`, and oneDNN or cuDNN, which run the same product as a 1x1
    convolution; on some processors one of them leaves half of the arithmetic units idle.
    """
    n = 1024 if device == "cpu" else 8192
    a, weight = torch.randn(n, n, device=device), torch.randn(n, n, 1, 1, device=device)
    image = torch.randn(1, n, 32, n // 32, device=device).contiguous(memory_format=torch.channels_last)  # n pixels
    with Engine(Compute(device).plan("ConvNet", images().spec, 0)).active():
        best = min(
            min(seconds(lambda: a @ a, device), seconds(lambda: F.conv2d(image, weight), device)) for _ in range(20)
        )
    return 2 * n**3 / best


def seconds(function: Callable[[], object], device: str) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def mean_seconds(function: Callable[[], object], device: str, calls: int) -> float:
    """Return the mean wall time of some calls."""
    return sum(seconds(function, device) for _ in range(calls)) / calls


def held(step: Callable[[], object], device: str) -> int:
    """Bytes at the peak of one call, above those before it."""
    release_memory(torch.device(device))  # what an earlier call has freed, but the allocator keeps, is not ours
    if device == "cpu":
        before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    else:
        before = torch.cuda.memory_allocated(device)
    with peak_memory(torch.device(device)) as peak:
        step()
    return max(peak.bytes - before, 0)


def measure(case: Case, rounds: int, device: str) -> Row:
    """The figures of one row."""
    memory = {}
    for name, step in (("naive", case.naive), ("ours", case.ours)):
        step()  # compiles
        memory[name] = held(step, device)
    times: dict[str, list[float]] = {"naive": [], "ours": []}
    rate = 0.0
    calls = max(round(_LEAST_SECONDS / seconds(case.naive, device)), 1)
    for _ in range(rounds):
        rate = max(rate, matmul_rate(device))
        times["naive"].append(mean_seconds(case.naive, device, calls))
        times["ours"].append(mean_seconds(case.ours, device, calls))
    naive, ours = statistics.median(times["naive"]), statistics.median(times["ours"])
    return {
        "name": case.name,
        "group": case.group,
        "x": case.x,
        "arch": case.arch,
        "compile": case.compile,
        "naive": naive,
        "ours": ours,
        "ratio": naive / ours,
        "floor": case.flops / rate,
        "share": case.flops / rate / ours,
        "rate": rate,
        "naive_bytes": memory["naive"],
        "ours_bytes": memory["ours"],
    }


def run(cases: Iterable[Callable[[], Case]], rounds: int, device: str) -> list[Row]:
    """Measure each case, and say so."""
    rows = []
    for make in cases:
        rows.append(measure(make(), rounds, device))
        print(line(titled(rows[-1])), flush=True)
        gc.collect()
    return rows


_HEAD = (
    "| work | at | published | ours | ratio | share of the floor | memory, published | memory, ours |\n"
    "|---|---|---|---|---|---|---|---|"
)


_PAGE = "# Performance on a GPU\n\n<!-- measured -->\n<!-- until here -->\n\n![](performance-gpu.png)\n"


def line(row: Row) -> str:
    """One row of the table."""
    return (
        f"| {row['name']} | {row['x']} | {row['naive']:.3f} s | {row['ours']:.3f} s | {row['ratio']:.2f}x | "
        f"{row['share']:.0%} | {row['naive_bytes'] / 1e6:.0f} MB | {row['ours_bytes'] / 1e6:.0f} MB |"
    )


def titled(row: Row) -> Row:
    """Return a row that names its network if that is not the compiled ConvNet of most rows."""
    return row if row["compile"] == "on" else {**row, "name": f"{row['arch']}: {row['name']}"}


def page(text: str, rows: list[Row], uncompiled: list[Row], scaling: list[Row], where: str) -> str:
    """The page with its tables replaced by these."""
    tables = [where, "", _HEAD, *map(line, rows)]
    if uncompiled:
        tables += ["", "Without compilation, as in short runs:", "", _HEAD, *(line(titled(row)) for row in uncompiled)]
    if scaling:
        tables += ["", "Scaling of one `dm` iteration with 64 real images per class:", "", _HEAD]
        tables += [line({**row, "name": f"{row['name']}; {row['group']}"}) for row in scaling]
    inside = "<!-- measured -->\n" + "\n".join(tables) + "\n<!-- until here -->"
    return re.sub(r"<!-- measured -->.*<!-- until here -->", lambda _: inside, text, flags=re.DOTALL)


def main() -> None:
    """Print one line for each case, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name begins so; nothing is written then")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    device = options.device
    threads = f"{torch.get_num_threads()} threads, " if device == "cpu" else ""
    where = f"{hardware.describe(torch.device(device))}, {threads}torch {torch.__version__}, median of {options.rounds}"
    print(where, _HEAD, sep="\n")

    def chosen(cases: Iterable[Callable[[], Case]]) -> list[Row]:
        return run(cases, options.rounds, device)

    rows = chosen(main_cases(device, options.only))
    uncompiled = chosen(uncompiled_cases(device, options.only))
    scaling = chosen(scaling_cases(device, options.only))
    if options.only:
        return
    name = "performance" if device == "cpu" else "performance-gpu"
    record = {"where": where, "rows": rows, "uncompiled": uncompiled, "scaling": scaling}
    write_bytes(options.out / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
    draw(rows, scaling, options.out / f"{name}.png")
    path = options.out / f"{name}.md"
    text = path.read_text() if path.exists() else _PAGE
    write_bytes(path, page(text, rows, uncompiled, scaling, where).encode())


if __name__ == "__main__":
    main()
