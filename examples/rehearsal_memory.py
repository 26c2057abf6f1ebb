"""Learn classes step by step with a rehearsal memory: how much do a few condensed images of old classes help?

    python examples/rehearsal_memory.py

Classes arrive two at a time. One model keeps learning and never starts anew. It learns the real images of the new
classes and rehearses the images in its memory, the same number of each in a batch. After each step, a few images of the
new classes join the memory, condensed or selected from the images of these classes. The script compares no memory,
random real images, and images condensed by distribution matching. It takes 42 seconds on two CPU cores.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean, stdev

import torch
from torch import Tensor, nn

import datacondense as dc

Batch = tuple[Tensor, Tensor]
"""Images and their labels."""


def small_cnn(spec: dc.Spec) -> nn.Module:
    """Return a small network. Put your own model here. Its last layer has all classes from the beginning."""
    return nn.Sequential(
        nn.Conv2d(spec.shape[0], 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 2 * 2, spec.classes),
    )


def of_classes(real: dc.ImageSet, classes: Tensor) -> dc.ImageSet:
    """Return the images of some classes as a separate set: label i is classes[i], mean and std stay the same."""
    members = [torch.nonzero(real.labels == k).flatten() for k in classes]
    labels = torch.cat([torch.full_like(found, label) for label, found in enumerate(members)])
    names = tuple(real.spec.class_names[k] for k in classes)
    return dc.ImageSet(real.images[torch.cat(members)], labels, replace(real.spec, class_names=names))


def learn(model: nn.Module, new: Batch, memory: Batch, epochs: int) -> None:
    """Continue training on new images. Each batch also gets as many images from the memory, if it has any."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.001)
    for _ in range(epochs):
        for index in torch.randperm(len(new[1])).split(32):
            images, labels = new[0][index], new[1][index]
            if len(memory[1]):
                drawn = torch.randint(len(memory[1]), (len(index),))
                images, labels = torch.cat([images, memory[0][drawn]]), torch.cat([labels, memory[1][drawn]])
            loss = nn.functional.cross_entropy(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


@torch.no_grad()
def accuracy(model: nn.Module, test: dc.ImageSet, classes: Tensor) -> float:
    """Return the share of the test images of some classes that the model classifies correctly."""
    images, labels = test.batch(torch.nonzero(torch.isin(test.labels, classes)).flatten())
    return float((model(images).argmax(1) == labels).float().mean())


def run(
    method: dc.Method | None, train: dc.ImageSet, test: dc.ImageSet, seed: int, args: argparse.Namespace
) -> Iterator[float]:
    """Yield the accuracy on all classes seen after each step, with a memory filled by a method, or without one."""
    torch.manual_seed(seed)  # the order of the classes and the first weights are the same for every memory
    steps = torch.randperm(train.spec.classes).tensor_split(args.steps)
    model = small_cnn(train.spec)
    memory = torch.empty(0, *train.spec.shape), torch.empty(0, dtype=torch.int64)
    for number, classes in enumerate(steps, start=1):
        own = of_classes(train, classes)
        images, labels = own.batch(torch.arange(len(own)))  # normalised, like those in the memory
        learn(model, (images, classes[labels]), memory, args.epochs)
        yield accuracy(model, test, torch.cat(steps[:number]))
        if method is not None:
            kept = dc.condense(method, own, args.ipc, seed=seed)
            memory = torch.cat([memory[0], kept.images]), torch.cat([memory[1], classes[kept.labels]])


def main(args: argparse.Namespace) -> None:
    """Print one row per step and one column per memory."""
    train, test = dc.load(args.data)
    condensing = dc.methods.DistributionMatching(
        iterations=args.iterations, batch_real=64, init="kmeans", lr=10.0, schedule="cosine"
    )
    memories = {"no memory": None, "random": dc.methods.Random(), "dm": condensing}
    orders = range(args.seed, args.seed + args.orders)
    found = {name: [list(run(method, train, test, seed, args)) for seed in orders] for name, method in memories.items()}
    print(f"{args.ipc} images per class in the memory, accuracy % on all classes seen, n = {args.orders} orders")
    print(f"{'step':<6}" + "".join(f"{name:>16}" for name in found))
    for step in range(args.steps):
        columns = [[100 * accuracies[step] for accuracies in of_orders] for of_orders in found.values()]
        spreads = [f" ± {stdev(values):.1f}" if len(values) > 1 else "" for values in columns]
        cells = (f"{fmean(values):.1f}{spread}" for values, spread in zip(columns, spreads, strict=True))
        print(f"{step + 1:<6}" + "".join(f"{cell:>16}" for cell in cells))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(description="Class-incremental learning with a rehearsal memory.")
    options.add_argument("--data", default="digits", help="a name, folder:PATH, arrays:FILE.npz, ... (default digits)")
    options.add_argument("--steps", type=int, default=5, help="steps in which the classes arrive (default 5)")
    options.add_argument("--ipc", type=int, default=5, help="images per class in the memory (default 5)")
    options.add_argument("--epochs", type=int, default=10, help="training epochs at each step (default 10)")
    options.add_argument("--iterations", type=int, default=100, help="iterations of method dm (default 100)")
    options.add_argument("--orders", type=int, default=3, help="orders of the classes, one model each (default 3)")
    options.add_argument("--seed", type=int, default=0, help="seed of the first order (default 0)")
    return options


if __name__ == "__main__":
    main(parser().parse_args())
