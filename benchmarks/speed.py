"""`make bench`: the published iterations against ours on the same work, and ours against the machine's arithmetic.

Both run in this one process, taking turns, so that a noisy machine slows both; the ratio of the medians is the
figure. The floor is the multiply-adds of the convolutions divided by the matrix-product rate of the same minutes.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from naive import dc_iteration, dm_iteration
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from datacondense import image_set, machine
from datacondense.augment import parse
from datacondense.engine import Engine
from datacondense.execution import decide
from datacondense.methods import DC, DistributionMatching, Matching, Problem, differentiate
from datacondense.streams import Streams
from datacondense.types import ImageSet


def fake_fashion_mnist() -> ImageSet:
    """10 classes of 6000 random 1x28x28 images: the shapes of FashionMNIST, whose content does not matter for time."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60_000, 28, 28), dtype=np.uint8)
    return image_set(images, np.arange(60_000) % 10, name="fashion-mnist-shapes")


METHODS: dict[str, tuple[Matching, Callable[..., float]]] = {
    "dm": (DistributionMatching(), dm_iteration),
    "dc": (DC(updates=1), dc_iteration),
}


def ours(method: Matching, real: ImageSet, ipc: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """One iteration of the fast path with its update, and that again for counting operations (eager)."""
    steps = []
    for compile in ("on", "off"):
        engine = Engine(decide(method.arch, real.spec, 0, load=method.load(ipc), compile=compile))
        problem = Problem(real, ipc, method.arch, method.augment, engine)
        synthetic = method.start(problem, Streams(0))
        optimiser = method.optimiser(synthetic)
        iteration = iter(range(1_000_000))

        def step(engine=engine, problem=problem, synthetic=synthetic, optimiser=optimiser, iteration=iteration) -> None:
            with engine.active():
                for loss in method.iterate(synthetic, problem, Streams(0).at(next(iteration))):
                    optimiser.zero_grad()
                    differentiate(loss, synthetic)
                    optimiser.step()

        steps.append(step)
    return steps[0], steps[1]


def naive(iteration: Callable[..., float], method: Matching, real: ImageSet, ipc: int) -> Callable[[], None]:
    """One iteration of the published algorithm with its update."""
    images_all = real.spec.normalise(real.images)
    indices = [torch.nonzero(real.labels == k).flatten() for k in range(real.spec.classes)]
    synthetic = torch.cat([images_all[index[:ipc]] for index in indices]).requires_grad_(True)
    optimiser = torch.optim.SGD([synthetic], lr=method.lr, momentum=method.momentum)
    siamese = parse(method.augment, real.spec)

    def augment(images: torch.Tensor, seed: int) -> torch.Tensor:
        return siamese.draw(torch.Generator().manual_seed(seed), 1)(images[None])[0]

    def step() -> None:
        iteration(images_all, indices, synthetic, optimiser, method.batch_real, augment)

    return step


def matmul_rate() -> float:
    """Best rate of a float32 matrix product, operations per second.

    The better of two libraries: the BLAS behind `@`, and oneDNN, which runs the same product as a 1x1 convolution; on
    some processors one of them leaves half of the arithmetic units idle.
    """
    n = 1024
    a, weight = torch.randn(n, n), torch.randn(n, n, 1, 1)
    image = torch.randn(1, n, 32, 32).contiguous(memory_format=torch.channels_last)  # 1024 pixels
    best = min(min(seconds(lambda: a @ a), seconds(lambda: F.conv2d(image, weight))) for _ in range(20))
    return 2 * n**3 / best


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Print one line for each method and number of images per class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--ipc", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--batch-real", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    real = fake_fashion_mnist()
    where = machine.describe(torch.device("cpu"))
    print(f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("One update of the images as published (dm: DSA augmentation; dc: none, no network training), ConvNet,")
    print(f"10 classes x {options.batch_real} real images 1x28x28; median of {options.rounds} rounds in turn;")
    print("floor = arithmetic at the best matrix-product rate of this run")
    print(f"method  ipc{'naive s':>10}{'ours s':>10}{'ratio':>8}{'floor s':>10}{'ours at':>10}{'peak GFLOP/s':>14}")
    for name in options.methods:
        for ipc in options.ipc:
            method, iteration = METHODS[name]
            method = dataclasses.replace(method, batch_real=options.batch_real)
            print(f"{name:>6} {ipc:>4} {measure(method, iteration, real, ipc, options.rounds)}", flush=True)


def measure(method: Matching, iteration: Callable[..., float], real: ImageSet, ipc: int, rounds: int) -> str:
    """The figures of one row."""
    fast, counted = ours(method, real, ipc)
    slow = naive(iteration, method, real, ipc)
    with FlopCounterMode(display=False) as counter:
        counted()
    for warm_up in (fast, slow):
        warm_up()  # compiles
    times: dict[str, list[float]] = {"fast": [], "slow": []}
    peak = 0.0
    for _ in range(rounds):
        peak = max(peak, matmul_rate())
        times["slow"].append(seconds(slow))
        times["fast"].append(seconds(fast))
    naive_s, ours_s = statistics.median(times["slow"]), statistics.median(times["fast"])
    floor = counter.get_total_flops() / peak
    ratio = f"{naive_s:>9.3f} {ours_s:>9.3f} {naive_s / ours_s:>6.2f}x"
    return f"{ratio} {floor:>9.3f} {floor / ours_s:>8.0%} {peak / 1e9:>13.0f}"


if __name__ == "__main__":
    main()
