"""`make bench-memory`: peak memory and time of one DM iteration on large sets.

On the shapes of TinyImageNet: by default, class by class, and all classes at once; then at 1000 images per class on the
shapes of CIFAR-100, with compiled code.

Each mode runs in a process of its own, which reports its peak resident memory and what it held before the iteration
(the dataset as uint8 and PyTorch itself). A mode that needs more than `--limit` is stopped there.
"""

import argparse
import resource
import subprocess
import sys
import time

import torch

from datacondense import Spec
from datacondense.data.image_set import ImageSet
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.methods import DistributionMatching, Iteration, Problem, differentiate
from datacondense.run.updates import as_step, parameters_of
from datacondense.utils import hardware
from datacondense.utils.streams import Streams


def random_images(classes: int, per_class: int, side: int) -> ImageSet:
    """Random images of three channels."""
    images = torch.randint(0, 256, (classes * per_class, 3, side, side), dtype=torch.uint8)
    names = tuple(map(str, range(classes)))
    spec = Spec("random", names, (3, side, side), (0.5,) * 3, (0.25,) * 3)
    return ImageSet(images, torch.arange(len(images)) % classes, spec)


def peak() -> float:
    """Highest resident memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def iteration(options: argparse.Namespace) -> None:
    """One iteration in this process; prints what it took."""
    limit = int(options.limit * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    real = random_images(options.classes, options.per_class, options.side)
    arch = f"ConvNetD{options.side.bit_length() - 3}"  # 4x4 pixels before the head
    method = DistributionMatching(arch=arch, batch_real=options.batch_real, regress=options.regress)
    compute = Compute(compile=options.compile, classes_at_once=options.classes_at_once)
    execution = compute.plan(method.arch, real.spec, 0, method.workload(options.ipc))
    problem = Problem(real, options.ipc, method.arch, method.augment, Engine(execution))
    synthetic = method.start(problem, Streams(0))
    optimiser = method.optimisers(synthetic, None)["images"]
    before = peak()
    with problem.engine.active():
        if execution.compile:
            first = next(method.iterate(Iteration(synthetic, None, problem, Streams(0).at(0), 0)))
            next(iter(as_step(first).loss)).backward()  # compiles
            optimiser.zero_grad()
        started = time.perf_counter()
        for step in map(as_step, method.iterate(Iteration(synthetic, None, problem, Streams(0).at(0), 0))):
            differentiate(step.loss, parameters_of(optimiser))
            optimiser.step()
    seconds = time.perf_counter() - started
    print(
        f"{execution.classes_at_once:>4} classes at once: peak {peak():.2f} GB, {before:.2f} GB before; {seconds:.0f} s"
    )


def main() -> None:
    """Run all modes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--per-class", type=int, default=500)
    parser.add_argument("--side", type=int, default=64, help="pixels of a side")
    parser.add_argument("--compile", choices=["on", "off"], default="off")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--batch-real", type=int, default=256)
    parser.add_argument("--regress", type=float, default=0.0, help="weight of ridge regression")
    parser.add_argument("--limit", type=float, default=18.0, help="GB that a mode may take")
    parser.add_argument("--classes-at-once", type=int, help="run this mode in this process")
    parser.add_argument("--automatic", action="store_true", help="run what is chosen by itself in this process")
    options = parser.parse_args()
    if options.automatic or options.classes_at_once:
        iteration(options)
        return
    print(f"{hardware.describe(torch.device('cpu'))}, torch {torch.__version__}")
    described(options)
    for mode in (["--automatic"], ["--classes-at-once", "1"], ["--classes-at-once", str(options.classes)]):
        measure([*sys.argv[1:], *mode], options.limit)
    if len(sys.argv) == 1:
        large = ["--classes", "100", "--side", "32", "--ipc", "1000", "--batch-real", "64", "--compile", "on"]
        described(parser.parse_args(large))
        measure([*large, "--automatic"], options.limit)


def described(options: argparse.Namespace) -> None:
    """Print the work."""
    print(
        f"{options.classes} classes x {options.per_class} images 3x{options.side}x{options.side}, compile "
        f"{options.compile}, {options.ipc} synthetic and {options.batch_real} real images per class",
        flush=True,
    )


def measure(arguments: list[str], limit: float) -> None:
    """Print the memory and time of one mode, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    what = f"more than {limit:g} GB" if "can't allocate memory" in done.stderr else done.stderr[-500:]
    print(done.stdout.rstrip() or f"{' '.join(arguments)}: {what}", flush=True)


if __name__ == "__main__":
    main()
