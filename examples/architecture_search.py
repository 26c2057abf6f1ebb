"""Use a condensed set as a proxy in architecture search: does it rank networks like the whole training set?

    python examples/architecture_search.py

Twelve ConvNets of different width, depth, activation, norm and pooling are trained on a condensed set, on the same
number of random real images, and for fewer epochs on the whole training set. The rank correlation measures how well the
small sets predict the ranking by the whole set. The script takes 80 seconds on two CPU cores.
"""

import argparse
from functools import partial
from typing import Any

from scipy.stats import rankdata, spearmanr

import datacondense as dc
from datacondense.networks import ConvNet, serving

SEARCHED: dict[str, dict[str, Any]] = {
    **{f"width {w}, depth {d}": {"width": w, "depth": d} for w in (8, 64) for d in (1, 2, 3)},
    "sigmoid": {"activation": "sigmoid"},
    "swish": {"activation": "swish"},
    "no norm": {"norm": "none"},
    "group norm": {"norm": "group"},
    "max pooling": {"pooling": "max"},
    "no pooling": {"pooling": "none"},
}
"""Name -> its difference from a ConvNet of width 32 and depth 2."""


def main(args: argparse.Namespace) -> None:
    """Rank the networks three times and compare the rankings."""
    train, test = dc.load(args.data)
    for name, settings in SEARCHED.items():
        dc.NETWORKS[name] = partial(ConvNet, **{"width": 32, "depth": 2, **settings})
    archs, _ = serving(list(SEARCHED), test.spec)  # small images allow few pooling layers
    matching = dc.methods.DistributionMatching(
        iterations=args.iterations, batch_real=64, init="kmeans", lr=10.0, schedule="cosine"
    )
    condensed = dc.condense(matching, train, args.ipc, seed=args.seed)
    chosen = dc.condense(dc.methods.Random(), train, args.ipc, seed=args.seed)
    print(f"{len(condensed)} images condensed in {condensed.provenance.wall_seconds:.0f} s")

    rows = {"condensed": (condensed, args.epochs), "random": (chosen, args.epochs), "whole": (train, args.whole_epochs)}
    scores = {
        name: dc.evaluate(images, test, archs=archs, nets=args.nets, epochs=epochs, seed=args.seed)
        for name, (images, epochs) in rows.items()
    }
    accuracies = {name: [100 * score.mean(arch) for arch in archs] for name, score in scores.items()}
    ranks = {name: rankdata([-value for value in values]) for name, values in accuracies.items()}
    print(f"test accuracy % and rank, mean of n = {args.nets} networks")
    print(f"{'ConvNet':<20}" + "".join(f"{name:>16}" for name in rows))
    for place in sorted(range(len(archs)), key=lambda place: ranks["whole"][place]):
        cells = (f"{accuracies[name][place]:.1f} ({ranks[name][place]:g})" for name in rows)
        print(f"{archs[place]:<20}" + "".join(f"{cell:>16}" for cell in cells))
    for name, (images, epochs) in rows.items():
        found = f"{name}: ranked in {scores[name].seconds:.0f} s by {len(images)} images in {epochs} epochs"
        if name != "whole":
            correlation, _ = spearmanr(accuracies[name], accuracies["whole"])
            found += f", rank correlation with whole {correlation:.2f}"
        print(found)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(description="Rank networks by a condensed set.")
    options.add_argument("--data", default="digits", help="a name, folder:PATH, arrays:FILE.npz, ... (default digits)")
    options.add_argument("--ipc", type=int, default=10, help="images per class (default 10)")
    options.add_argument("--iterations", type=int, default=150, help="iterations of method dm (default 150)")
    options.add_argument("--nets", type=int, default=2, help="networks of each architecture (default 2)")
    options.add_argument("--epochs", type=int, default=100, help="training epochs on the small sets (default 100)")
    options.add_argument("--whole-epochs", type=int, default=40, help="training epochs on the whole set (default 40)")
    options.add_argument("--seed", type=int, default=0, help="seed of the sets and the networks (default 0)")
    return options


if __name__ == "__main__":
    main(parser().parse_args())
