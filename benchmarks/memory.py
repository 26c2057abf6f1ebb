"""`make bench-memory`: peak memory of one DM iteration on the shapes of TinyImageNet, class by class and all at once.

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


def fake_tiny_imagenet(classes: int, per_class: int) -> ImageSet:
    """Random images 3x64x64."""
    images = torch.randint(0, 256, (classes * per_class, 3, 64, 64), dtype=torch.uint8)
    names = tuple(map(str, range(classes)))
    spec = Spec("tiny-imagenet-shapes", names, (3, 64, 64), (0.5,) * 3, (0.25,) * 3)
    return ImageSet(images, torch.arange(len(images)) % classes, spec)


def peak() -> float:
    """Highest resident memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def iteration(options: argparse.Namespace) -> None:
    """One iteration in this process; prints what it took."""
    limit = int(options.limit * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    real = fake_tiny_imagenet(options.classes, options.per_class)
    method = DistributionMatching(arch="ConvNetD4", batch_real=options.batch_real)
    compute = Compute(compile="off", classes_at_once=options.classes_at_once)
    execution = compute.plan(method.arch, real.spec, 0, method.workload(options.ipc))
    problem = Problem(real, options.ipc, method.arch, method.augment, Engine(execution))
    synthetic = method.start(problem, Streams(0))
    optimiser = method.optimisers(synthetic, None)["images"]
    before, started = peak(), time.perf_counter()
    for step in map(as_step, method.iterate(Iteration(synthetic, None, problem, Streams(0).at(0), 0))):
        differentiate(step.loss, parameters_of(optimiser))
        optimiser.step()
    seconds = time.perf_counter() - started
    print(
        f"{execution.classes_at_once:>4} classes at once: peak {peak():.2f} GB, {before:.2f} GB before; {seconds:.0f} s"
    )


def main() -> None:
    """Run both modes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--per-class", type=int, default=500)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--batch-real", type=int, default=256)
    parser.add_argument("--limit", type=float, default=18.0, help="GB that a mode may take")
    parser.add_argument("--classes-at-once", type=int, help="run this mode in this process")
    parser.add_argument("--automatic", action="store_true", help="run what is chosen by itself in this process")
    options = parser.parse_args()
    if options.automatic or options.classes_at_once:
        iteration(options)
        return
    print(f"{hardware.describe(torch.device('cpu'))}, torch {torch.__version__}")
    print(f"{options.classes} classes x {options.per_class} images 3x64x64, ConvNetD4, ", end="")
    print(f"{options.ipc} synthetic and {options.batch_real} real images per class")
    for mode in (["--automatic"], ["--classes-at-once", "1"], ["--classes-at-once", str(options.classes)]):
        done = subprocess.run([sys.executable, __file__, *sys.argv[1:], *mode], capture_output=True, text=True)
        what = f"more than {options.limit:g} GB" if "can't allocate memory" in done.stderr else done.stderr[-500:]
        print(done.stdout.rstrip() or f"{' '.join(mode)}: {what}", flush=True)


if __name__ == "__main__":
    main()
