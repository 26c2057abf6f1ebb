"""Time one piece of work without compilation, compiled, and compiled to CUDA graphs, taking turns in one process.

`dm` is one iteration; `dc` one update of the images; `training` one step of a network on all synthetic images;
`evaluation` one step of five networks side by side. Each at `--ipc` images per class, of the shape of FashionMNIST.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from cases import images, iterations

from datacondense import networks
from datacondense.augment import parse_training
from datacondense.data.image_set import ImageSet, LabelledImages
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compile, Compute
from datacondense.methods import DC, DistributionMatching
from datacondense.training.ensemble import BatchedNetwork, train_ensemble
from datacondense.training.loop import train_epoch
from datacondense.training.recipe import Recipe
from datacondense.utils.atomic import write_bytes
from datacondense.utils.errors import reason
from datacondense.utils.streams import Streams

Step = Callable[[], object]
WORK = ("dm", "dc", "training", "evaluation")


def prepared(options: argparse.Namespace, real: ImageSet, compile: Compile) -> Step:
    """Return the work as a function, which goes on with other random numbers each time it is called."""
    work, ipc, device, arch = options.work, options.ipc, options.device, options.arch
    if work in ("dm", "dc"):
        usual = {"arch": arch, "batch_real": options.batch_real}
        method = DistributionMatching(**usual) if work == "dm" else DC(**usual, updates=1)
        return iterations(method, real, ipc, device, compile)
    labels = torch.arange(real.spec.classes).repeat_interleave(ipc)
    batch = real.sample(ipc, Streams(0)("real")).flatten(0, 1)
    examples = LabelledImages(batch.to(device), labels.to(device), real.spec)
    engine = Engine(Compute(device, compile=compile).plan(arch, real.spec, 0))
    network = engine.prepare(networks.build(arch, real.spec))
    network.reset(Streams(0)("network"))
    augment = parse_training("auto", real.spec, arch)
    if work == "evaluation":
        form, recipe = BatchedNetwork(network), Recipe(epochs=1, batch=len(labels), augment=str(augment))
        streams = [Streams(0).at(index) for index in range(5)]
        return _active(engine, lambda: train_ensemble(form, examples, streams, engine, recipe, augment=augment))
    sgd = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    recipe = Recipe(epochs=1, batch=len(labels))
    return _active(
        engine, lambda: train_epoch(network, examples, Streams(0), engine, sgd, augment=augment, recipe=recipe)
    )


def _active(engine: Engine, step: Step) -> Step:
    def run() -> None:
        with engine.active():
            step()

    return run


def seconds(step: Step, calls: int, device: str) -> float:
    """Return the wall time of one of `calls` calls; the device is waited for once, after the last."""
    start = time.perf_counter()
    for _ in range(calls):
        step()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / calls


def main() -> None:
    """Print the median time of each mode, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=WORK)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--arch", default="ConvNet")
    parser.add_argument("--batch-real", type=int, default=256)
    parser.add_argument("--modes", nargs="+", default=["off", "on", "graphs"], help="the slowest to start last")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=10, help="in a round")
    parser.add_argument("--per-class", type=int, default=6000, help="real images")
    parser.add_argument("--json", type=Path, help="also write the times here")
    options = parser.parse_args()
    real = images(per_class=options.per_class)
    steps: dict[str, Step] = {}
    first: dict[str, float] = {}
    failed: dict[str, str] = {}
    times: dict[str, list[float]] = {}
    for mode in options.modes:
        began = time.perf_counter()
        try:
            step = prepared(options, real, mode)
            for _ in range(3):  # compiles, warms up, records a graph
                seconds(step, 1, options.device)
        except Exception as error:  # one mode that fails leaves the others
            failed[mode] = reason(error)
            print(f"{options.work} with --compile {mode}: {failed[mode]}", file=sys.stderr, flush=True)
            continue
        first[mode], steps[mode] = time.perf_counter() - began, step
        times = {mode: [] for mode in steps}
        for _ in range(options.rounds):
            for name, step in steps.items():
                times[name].append(seconds(step, options.calls, options.device))
        medians = {mode: statistics.median(some) for mode, some in times.items()}
        found = {"work": options.work, "ipc": options.ipc, "seconds": medians, "first": first, "failed": failed}
        found |= {"rounds": options.rounds, "calls": options.calls}
        if options.json:  # after each mode: the next may take all time that is left
            write_bytes(options.json, (json.dumps(found, indent=1) + "\n").encode())
    for mode, some in times.items():
        print(f"{options.work}, ipc {options.ipc}, --compile {mode}: {1000 * statistics.median(some):.3f} ms")


if __name__ == "__main__":
    main()
