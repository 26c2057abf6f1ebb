"""Train your own model on a condensed set in plain PyTorch, and test it on real images.

    datacondense condense dm --data digits --ipc 10 --iterations 150 --batch-real 64 --lr 10 --out runs/digits
    python examples/train_your_model.py runs/digits

The script also trains the same model on the same number of random real images, drawn anew for each model. On two CPU
cores, the first command takes 16 seconds and the second 22.
"""

import argparse
from pathlib import Path
from statistics import fmean, stdev

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import datacondense as dc


class SmallCNN(nn.Sequential):
    """Two convolutions and a linear layer. Put your own model here."""

    def __init__(self, spec: dc.Spec) -> None:
        super().__init__(
            nn.Conv2d(spec.shape[0], 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * 2 * 2, spec.classes),
        )


def train(model: nn.Module, data: Dataset[tuple[Tensor, int | Tensor]], epochs: int) -> None:
    """Train a model in the usual loop."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.001)
    model.train()
    for _ in range(epochs):
        for images, labels in DataLoader(data, batch_size=32, shuffle=True):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of the images that the model classifies correctly."""
    model.eval()
    batches = DataLoader(TensorDataset(images, labels), batch_size=500)
    right = sum(int((model(some).argmax(1) == of_some).sum()) for some, of_some in batches)
    return right / len(labels)


def main(args: argparse.Namespace) -> None:
    """Train pairs of models from the same initial weights on condensed and on random real images."""
    condensed = dc.load_set(args.run)
    real, test = dc.load(**condensed.provenance.source)  # the data that the set was condensed from
    test_images, test_labels = test.batch(torch.arange(len(test)))  # normalised like the condensed images
    per_class = int(condensed.counts.max())  # some classes may have fewer
    sizes: dict[str, int] = {}
    found: dict[str, list[float]] = {"condensed": [], "random real": []}
    for seed in range(args.seed, args.seed + args.models):
        chosen = dc.condense(dc.methods.Random(), real, per_class, seed=seed)
        for name, images in (("condensed", condensed), ("random real", chosen)):
            sizes[name] = len(images)
            torch.manual_seed(seed)
            model = SmallCNN(condensed.spec)
            train(model, images.as_dataset(), args.epochs)
            found[name].append(accuracy(model, test_images, test_labels))
    print(f"accuracy on {len(test)} test images, n = {args.models} models")
    for name, values in found.items():
        spread = f" ± {stdev(values):.1%}" if len(values) > 1 else ""
        print(f"{sizes[name]} {name} images: {fmean(values):.1%}{spread}")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(description="Train your own model on a condensed set.")
    options.add_argument("run", type=Path, metavar="RUN", help="run directory of `datacondense condense`")
    options.add_argument("--models", type=int, default=5, help="models trained on each set (default 5)")
    options.add_argument("--epochs", type=int, default=200, help="training epochs (default 200)")
    options.add_argument("--seed", type=int, default=0, help="seed of the first model and random set (default 0)")
    return options


if __name__ == "__main__":
    main(parser().parse_args())
