"""Accuracy of sets made and tested in bf16 against fp32, paired by seed, on FashionMNIST.

Condensed on 50 000 training images, tested on the 10 000 others by networks trained under DSA's augmentation; the test
images are not read. Both precisions draw the same initial images, batches and networks. A processor with bf16 runs it;
on others, the networks round as bf16 does (`rounded.py`).

With --scale 1, few iterations and epochs, so that 18 pairs take about an hour of one core: the accuracies are not those
of full runs. Writes precision.json and precision.md after every pair; a second call adds the pairs that are missing.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import held_out
import torch
from rounded import rounded_convnet, roundings_kept

from datacondense import condense
from datacondense.data.image_set import ImageSet
from datacondense.engine.execution import Compute
from datacondense.evaluation.scoring import evaluate
from datacondense.methods import DC, DSA, DistributionMatching, Matching
from datacondense.networks import NETWORKS
from datacondense.utils import hardware
from datacondense.utils.atomic import write_bytes
from datacondense.utils.files import write_json

_ALLOWED = 0.3  # points
_ROUNDED = "ConvNetRounded"


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    name: str
    method: Matching
    ipc: int
    epochs: int

    @property
    def title(self) -> str:
        """Return its method and images per class."""
        return f"{self.name}/{self.ipc}"


def cells(scale: int) -> tuple[Cell, ...]:
    """Return the rows, with `scale` times the iterations of the shortest study and the epochs of its tests."""
    few: dict[str, Any] = {
        "updates": 1,
        "epochs": 0,
        "batch_real": 32,
    }  # of the published gradient matching at 1 image per class
    more: dict[str, Any] = {"updates": 2, "epochs": 2, "batch_real": 32}
    return (
        Cell("dm", DistributionMatching(iterations=60 * scale, batch_real=32), 1, 150 * scale),
        Cell("dsa", DSA(iterations=20 * scale, **few), 1, 150 * scale),
        Cell("dc", DC(iterations=20 * scale, **few), 1, 150 * scale),
        Cell("dm", DistributionMatching(iterations=30 * scale, batch_real=32), 10, 40 * scale),
        Cell("dsa", DSA(iterations=5 * scale, **more), 10, 40 * scale),
        Cell("dc", DC(iterations=5 * scale, **more), 10, 40 * scale),
    )


def accuracy(cell: Cell, seed: int, precision: str, sets: tuple[ImageSet, ImageSet], nets: int) -> list[float]:
    """Return the accuracy of each network trained on a set, in percent; both in one precision."""
    train, validation = sets
    emulated = precision == "bf16" and not _has_bf16()
    arch = _ROUNDED if emulated else "ConvNet"
    compute = Compute("cpu", precision="fp32" if emulated else precision, compile="on")  # pyright: ignore[reportArgumentType]
    with roundings_kept() if emulated else nullcontext():
        made = condense(replace(cell.method, arch=arch), train, cell.ipc, seed=seed, compute=compute)
        scores = evaluate(made, validation, archs=[arch], nets=nets, epochs=cell.epochs, seed=seed, compute=compute)
    return [round(100 * value, 2) for value in scores.accuracy[arch]]


def pairs(seeds: int, rows: Sequence[Cell]) -> Iterator[tuple[Cell, int, str]]:
    """Yield every cell of a seed before the next seed, so that an early end leaves pairs in all rows."""
    for seed in range(seeds):
        for cell in rows:
            yield cell, seed, cell.title


def difference(found: list[dict[str, list[float]]]) -> tuple[float, float]:
    """Return the mean difference bf16 - fp32 over pairs, in points, and its standard error; nan of a single pair."""
    each = [statistics.mean(one["bf16"]) - statistics.mean(one["fp32"]) for one in found]
    error = statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else math.nan
    return statistics.mean(each), error


def row(name: str, settings: str, found: list[dict[str, list[float]]]) -> str:
    """Return a row of the table."""
    mean, error = difference(found)
    fp32, bf16 = (statistics.mean(value for one in found for value in one[which]) for which in ("fp32", "bf16"))
    within = "yes" if abs(mean) <= _ALLOWED else "no"
    return f"| {name} | {settings} | {len(found)} | {fp32:.2f} | {bf16:.2f} | {mean:+.2f} ± {error:.2f} | {within} |"


def table(record: dict[str, Any], rows: Sequence[Cell]) -> str:
    """Return the table of all pairs so far."""
    how = "run in bf16" if record["real"] else "computed in fp32 with the roundings of bf16"
    lines = [
        f"{record['machine']}, {record['versions']}; bf16 is {how}; {record['nets']} networks for each set, tested on "
        f"{record['tested']} images; {record['seconds'] / 60:.0f} minutes.",
        "",
        f"| set | settings | pairs | fp32 % | bf16 % | bf16 - fp32, points | within {_ALLOWED} |",
        "|---|---|---|---|---|---|---|",
    ]
    found = {name: list(of_cell.values()) for name, of_cell in record["pairs"].items()}
    for cell in rows:
        if (name := cell.title) in found:
            settings = (
                f"{cell.method.iterations} iterations, {cell.method.batch_real} real images, {cell.epochs} epochs"
            )
            lines.append(row(name, settings, found[name]))
    lines.append(row("all", "", [pair for of_cell in found.values() for pair in of_cell]))
    return "\n".join(lines) + "\n"


def main(options: argparse.Namespace) -> None:
    """Add the pairs that are missing."""
    NETWORKS[_ROUNDED], rows = rounded_convnet, cells(options.scale)
    path: Path = options.out / "precision.json"
    here = {
        "machine": hardware.describe(torch.device("cpu")),
        "versions": hardware.versions(),
        "real": _has_bf16(),
        "nets": options.nets,
        "tested": options.tested,
        "cells": {cell.title: {**cell.method.settings(), "test_epochs": cell.epochs} for cell in rows},
    }
    record: dict[str, Any] = {**here, "seconds": 0.0, "pairs": {}}
    if path.exists():
        record = json.loads(path.read_text())
        if {key: record[key] for key in here} != json.loads(json.dumps(here)):
            raise SystemExit(f"{path} has pairs of another machine, version or setting: name another directory")
    train, validation, _ = held_out.fashion_mnist()
    validation = ImageSet(validation.images[: options.tested], validation.labels[: options.tested], validation.spec)
    missing = [one for one in pairs(options.seeds, rows) if str(one[1]) not in record["pairs"].get(one[2], {})]
    for cell, seed, name in missing[: options.most]:
        began = time.perf_counter()
        pair = {which: accuracy(cell, seed, which, (train, validation), options.nets) for which in ("fp32", "bf16")}
        record["pairs"].setdefault(name, {})[str(seed)] = pair
        record["seconds"] += time.perf_counter() - began
        print(f"{name} seed {seed}: {pair}, {time.perf_counter() - began:.0f} s", flush=True)
        write_json(path, record)
        write_bytes(path.with_suffix(".md"), table(record, rows).encode())
    print(table(record, rows))


def _has_bf16() -> bool:
    return hardware.processor_bf16() in ("matrix", "vector")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--nets", type=int, default=3)
    parser.add_argument("--scale", type=int, default=1, help="times the iterations and epochs")
    parser.add_argument("--tested", type=int, default=4000, help="validation images")
    parser.add_argument("--most", type=int, help="pairs in this call; by default all that are missing")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    main(parser.parse_args())
