"""Time our own work in bf16 against fp32, on random images like those of FashionMNIST: for processors with AMX.

Both run in this one process, taking turns, so that a noisy machine slows both; the figure is the ratio of the medians,
beside that of the fastest rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from cases import images, iterations

from datacondense import networks
from datacondense.augment import parse_training
from datacondense.data.image_set import ImageSet, LabelledImages
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute, Precision
from datacondense.evaluation.train_and_test import TrainAndTest
from datacondense.methods import DC, DistributionMatching
from datacondense.training.loop import train
from datacondense.training.recipe import Recipe
from datacondense.utils.hardware import describe, processor_bf16, versions
from datacondense.utils.streams import Streams

Step = Callable[[], object]
_PRECISIONS: tuple[Precision, Precision] = ("fp32", "bf16")


def training(real: ImageSet, ipc: int, epochs: int, nets: int, precision: Precision) -> Step:
    """Return the training of networks on `ipc` images per class; of several with their tests on as many images."""
    spec = real.spec
    batch, labels = real.sample(ipc, Streams(0)("real")).flatten(0, 1), torch.arange(spec.classes)
    examples = LabelledImages(batch, labels.repeat_interleave(ipc), spec)
    engine = Engine(Compute("cpu", precision=precision, compile="on").plan("ConvNet", spec, 0))
    network, augment = engine.prepare(networks.build("ConvNet", spec)), parse_training("auto", spec, "ConvNet")
    recipe = Recipe(epochs=epochs, augment=str(augment))
    work = TrainAndTest(
        arch="ConvNet",
        network=network,
        examples=examples,
        test=ImageSet(real.images[: len(batch)], real.labels[: len(batch)], spec),
        engine=engine,
        recipe=recipe,
        augment=augment,
    )

    def step() -> None:
        with engine.active():
            if nets == 1:
                train(network, examples, Streams(0), engine, recipe, augment=augment)
            else:
                work.confusions([Streams(0).at(index) for index in range(nets)], lambda: None)

    return step


def cases(real: ImageSet, batch_real: int) -> dict[str, Callable[[Precision], Step]]:
    """Return the work by name, as a function of the precision."""
    dm, dc = DistributionMatching(batch_real=batch_real), DC(updates=1, batch_real=batch_real)
    return {
        "dm, ipc 1": lambda precision: iterations(dm, real, 1, "cpu", "on", precision),
        "dm, ipc 10": lambda precision: iterations(dm, real, 10, "cpu", "on", precision),
        "dc, one update, ipc 1": lambda precision: iterations(dc, real, 1, "cpu", "on", precision),
        "training, 4 epochs, ipc 10": lambda precision: training(real, 10, 4, 1, precision),
        "evaluation, 20 networks x 3 epochs, ipc 10": lambda precision: training(real, 10, 3, 20, precision),
    }


def seconds(step: Step) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main(options: argparse.Namespace) -> None:
    """Print a row for each piece of work."""
    where = f"{describe(torch.device('cpu'))}, {torch.get_num_threads()} threads, bf16 units: {processor_bf16()}"
    print(f"{where}, {versions()}; median of {options.rounds}")
    print("| work | fp32 | bf16 | ratio | of the fastest rounds |\n|---|---|---|---|---|")
    for name, make in cases(images(per_class=options.per_class), options.batch_real).items():
        if not name.startswith(options.only):
            continue
        steps = [make(precision) for precision in _PRECISIONS]
        for step in steps:
            step()  # compiles
            step()
        times = [[seconds(step) for step in steps] for _ in range(options.rounds)]
        (fp32, bf16), (best32, best16) = (
            [choice(column) for column in zip(*times, strict=True)] for choice in (statistics.median, min)
        )
        print(f"| {name} | {fp32:.3f} s | {bf16:.3f} s | {fp32 / bf16:.2f}x | {best32 / best16:.2f}x |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="work whose name begins so")
    parser.add_argument("--per-class", type=int, default=6000)
    parser.add_argument("--batch-real", type=int, default=256)
    main(parser.parse_args())
