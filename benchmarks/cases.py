"""The work that is measured: each case once as published, once by the package, and its arithmetic."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
import torch
from naive import NETWORKS as PUBLISHED
from naive import dc_iteration, dm_iteration, train_epoch
from torch.utils.flop_counter import FlopCounterMode

from datacondense import image_set, networks
from datacondense.augment import parse, parse_training
from datacondense.data.image_set import ImageSet, LabelledImages
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compile, Compute, Precision
from datacondense.evaluation.train_and_test import TrainAndTest
from datacondense.methods import DC, DSA, DistributionMatching, Iteration, Matching, Problem, with_network
from datacondense.run.updates import Updates, as_step
from datacondense.training.loop import train_epoch as our_epoch
from datacondense.training.optimiser import build_optimiser
from datacondense.training.recipe import Recipe
from datacondense.utils.streams import Streams

Step = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One piece of work."""

    name: str
    group: str
    """Cases of a group differ in one number, by which a plot orders them."""
    x: int
    naive: Step
    ours: Step
    flops: int
    """Of the convolutions and linear layers, forward and backward, as counted in the eager code of `ours`."""
    arch: str = "ConvNet"
    """The network, by its published name."""
    compile: Compile = "on"
    """Compilation of `ours`; the published code runs without."""


def images(classes: int = 10, shape: tuple[int, int, int] = (1, 28, 28), per_class: int = 200) -> ImageSet:
    """Random images: for time their content does not matter."""
    c, h, w = shape
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (classes * per_class, h, w, c), dtype=np.uint8)
    return image_set(pixels.squeeze(3) if c == 1 else pixels, np.arange(len(pixels)) % classes, name="random")


def condensing(
    name: str, method: Matching, real: ImageSet, ipc: int, group: str, x: int, device: str, compile: Compile = "on"
) -> Case:
    """One iteration of a method, with its updates of the images."""
    method = with_network(method, real.spec)
    return Case(
        name=name,
        group=group,
        x=x,
        naive=_published(method, real, ipc, device),
        ours=iterations(method, real, ipc, device, compile),
        flops=_count(iterations(method, real, ipc, device, "off")),
        arch=method.arch,
        compile=compile,
    )


def iterations(
    method: Matching, real: ImageSet, ipc: int, device: str, compile: Compile, precision: Precision = "auto"
) -> Step:
    """Return one iteration of a method, which goes on with the next each time it is called."""
    execution = Compute(device, precision, compile).plan(method.arch, real.spec, 0, method.workload(ipc))
    engine = Engine(execution)
    problem = Problem(real.to(engine.device), ipc, method.arch, method.augment, engine)
    synthetic = method.start(problem, Streams(0))
    state = method.state(problem, Streams(0))
    updates = Updates(method, problem, synthetic, state)
    iteration = count()

    def step() -> None:
        with engine.active():
            number = next(iteration)
            for one in method.iterate(Iteration(synthetic, state, problem, Streams(0).at(number), number)):
                updates.make(as_step(one))

    return step


def _published(method: Matching, real: ImageSet, ipc: int, device: str) -> Step:
    images_all = real.spec.normalise(real.images).to(device)
    indices = [torch.nonzero(real.labels == k).flatten() for k in range(real.spec.classes)]
    synthetic = torch.cat([images_all[index[:ipc]] for index in indices]).requires_grad_(True)
    optimiser = torch.optim.SGD([synthetic], lr=method.lr, momentum=method.momentum)
    siamese = parse(method.augment, real.spec)

    def augment(batch: torch.Tensor, seed: int) -> torch.Tensor:
        return siamese.draw(torch.Generator().manual_seed(seed), 1)(batch[None])[0]

    def per_image(batch: torch.Tensor, seed: int) -> torch.Tensor:
        return siamese.per_image(torch.Generator().manual_seed(seed), len(batch))(batch)

    arguments = images_all, indices, synthetic, optimiser, method.batch_real, augment
    if isinstance(method, DistributionMatching):
        return lambda: dm_iteration(*arguments, arch=method.arch)
    assert isinstance(method, DC | DSA)
    updates, epochs = method.loops(ipc)
    return lambda: dc_iteration(
        *arguments, updates=updates, epochs=epochs, augment_training=per_image, arch=method.arch
    )


def training(
    real: ImageSet, ipc: int, epochs: int, device: str, arch: str = "ConvNet", compile: Compile = "on"
) -> Case:
    """Epochs of a network on a synthetic set of `ipc` images per class under DSA's augmentation."""
    spec = real.spec
    batch, labels = real.sample(ipc, Streams(0)("real")).flatten(0, 1), torch.arange(spec.classes)
    examples = LabelledImages(batch.to(device), labels.repeat_interleave(ipc).to(device), spec)
    return Case(
        name=f"training, {epochs} epochs",
        group="training, images per class",
        x=ipc,
        naive=_published_epochs(examples, epochs, arch),
        ours=_epochs(examples, epochs, device, arch, compile),
        flops=_count(_epochs(examples, epochs, device, arch, "off")),
        arch=arch,
        compile=compile,
    )


def _epochs(examples: LabelledImages, epochs: int, device: str, arch: str, compile: Compile) -> Step:
    engine = Engine(Compute(device, compile=compile).plan(arch, examples.spec, 0))
    network = engine.prepare(networks.build(arch, examples.spec))
    network.reset(Streams(0)("network"))
    network.train().requires_grad_(True)
    sgd = build_optimiser(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    augment = parse_training("auto", examples.spec, arch)
    epoch = count()

    def step() -> None:
        with engine.active():
            for _ in range(epochs):
                our_epoch(network, examples, Streams(0).at(next(epoch)), engine, sgd, augment=augment)

    return step


def _published_epochs(
    examples: LabelledImages, epochs: int, arch: str = "ConvNet", nets: int = 1, asked: int = 0
) -> Step:
    siamese = parse("auto", examples.spec)

    def augment(batch: torch.Tensor, seed: int) -> torch.Tensor:
        return siamese.per_image(torch.Generator().manual_seed(seed), len(batch))(batch)

    def step() -> None:
        for _ in range(nets):
            network, sgd = _fresh(examples, arch)
            for _ in range(epochs):
                train_epoch(network, examples.images, examples.labels, sgd, augment)
            with torch.no_grad():
                for part in examples.images[:asked].split(256):
                    network(part).argmax(1)

    return step


def _fresh(examples: LabelledImages, arch: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    channels, side, _ = examples.spec.shape
    network = PUBLISHED[arch](channels, side, examples.spec.classes).to(examples.images.device).train()
    return network, torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)


def evaluation(real: ImageSet, ipc: int, nets: int, epochs: int, device: str) -> Case:
    """Networks trained on a synthetic set, a few epochs each, and asked about as many test images."""
    spec = real.spec
    batch, labels = real.sample(ipc, Streams(0)("real")).flatten(0, 1), torch.arange(spec.classes)
    examples = LabelledImages(batch.to(device), labels.repeat_interleave(ipc).to(device), spec)
    test = ImageSet(real.images[: len(batch)], real.labels[: len(batch)], spec)
    augment = parse_training("auto", spec, "ConvNet")
    recipe = Recipe(epochs=epochs, augment=str(augment))

    def ours(nets: int, compile: Compile) -> Step:
        engine = Engine(Compute(device, compile=compile).plan("ConvNet", spec, 0))
        network = engine.prepare(networks.build("ConvNet", spec))
        here = test.to(engine.device)
        work = TrainAndTest(
            arch="ConvNet",
            network=network,
            examples=examples,
            test=here,
            engine=engine,
            recipe=recipe,
            augment=augment,
        )

        def step() -> None:
            with engine.active():
                work.confusions([Streams(0).at(index) for index in range(nets)], lambda: None)

        return step

    return Case(
        name=f"evaluation, {nets} networks x {epochs} epochs",
        group="evaluation, images per class",
        x=ipc,
        naive=_published_epochs(examples, epochs, nets=nets, asked=len(test)),
        ours=ours(nets, "on"),
        flops=nets * _count(ours(1, "off")),
    )


def main_cases(device: str, only: str = "") -> Iterator[Callable[[], Case]]:
    """The table: one row each. only: what the names begin with."""
    real = images(per_class=6000)
    for name, methods in (
        ("dm", {1: DistributionMatching(), 10: DistributionMatching()}),
        ("dc, one update", {1: DC(updates=1), 10: DC(updates=1)}),
        ("dsa, one update", {1: DSA(updates=1)}),
        ("dsa, two updates, 50 epochs between", {10: DSA(updates=2, epochs=50)}),
    ):
        for ipc, method in methods.items() if name.startswith(only) else ():
            yield lambda name=name, ipc=ipc, method=method: condensing(name, method, real, ipc, "", ipc, device)
    if "training".startswith(only):
        for ipc, epochs in ((1, 20), (10, 4), (50, 1)):
            yield lambda ipc=ipc, epochs=epochs: training(real, ipc, epochs, device)
    if "evaluation".startswith(only):
        for ipc, nets, epochs in ((1, 20, 5), (10, 20, 3), (50, 3, 1)):
            yield lambda ipc=ipc, nets=nets, epochs=epochs: evaluation(real, ipc, nets, epochs, device)


def scaling_cases(device: str, only: str = "") -> Iterator[Callable[[], Case]]:
    """One DM iteration of 64 real images per class, in classes, in images per class, and in their size."""
    if only and not only.startswith("scaling"):
        return
    method = dataclasses.replace(DistributionMatching(), batch_real=64)
    for classes in (10, 100, 200):
        yield lambda classes=classes: condensing(
            "dm, 3x32x32, ipc 1", method, images(classes, (3, 32, 32)), 1, "classes", classes, device
        )
    for ipc in (1, 3, 10, 30, 100):
        yield lambda ipc=ipc: condensing(
            "dm, 10 classes 1x28x28", method, images(), ipc, "images per class", ipc, device
        )
    for shape in ((1, 28, 28), (3, 32, 32), (3, 64, 64)):
        yield lambda shape=shape: condensing(
            "dm, 10 classes, ipc 10", method, images(10, shape), 10, "size of images", shape[1], device
        )


def uncompiled_cases(device: str, only: str = "") -> Iterator[Callable[[], Case]]:
    """Work without compilation, as in short runs. only: what "uncompiled", the network and the name begin with."""
    usual, small = images(per_class=6000), images(shape=(1, 8, 8), per_class=300)

    def make(arch: str, what: str, batch: int, real: ImageSet, ipc: int) -> Case:
        size = ", 8x8" if real is small else ""
        if what == "training":
            case = training(real, ipc, 10, device, arch, "off")
        elif what == "dm":
            method = DistributionMatching(arch=arch, batch_real=batch)
            case = condensing(f"dm, {batch} real images", method, real, ipc, "uncompiled", ipc, device, "off")
        else:
            method = DC(arch=arch, batch_real=batch, updates=1)
            case = condensing("dc, one update", method, real, ipc, "uncompiled", ipc, device, "off")
        return dataclasses.replace(case, name=case.name + size, group="uncompiled")

    for arch, real in (("ConvNet", usual), ("ConvNetW32", usual), ("MLP", usual), ("LeNet", usual), ("ConvNet", small)):
        work = [("dm", 64, 1)]
        if arch != "ConvNet" or real is small:
            work += [("dm", 64, 10), ("dm", 256, 1), ("dc", 256, 1), ("training", 0, 10)]
        for what, batch, ipc in work:
            if f"uncompiled {arch} {what}".startswith(only):
                yield partial(make, arch, what, batch, real, ipc)


def _count(step: Step) -> int:
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()
