"""Compare methods on a folder of pictures or on other data: condense with each, evaluate all alike, write a report.

    python examples/compare_methods.py
    python examples/compare_methods.py --data folder:photos --image-size 32 --out runs/photos

Without --data it uses the digits of scikit-learn and takes 34 seconds on two CPU cores. The script saves the runs: the
same command continues where it was stopped, and other settings need another --out.
"""

import argparse
from pathlib import Path
from typing import Any

import datacondense as dc
from datacondense.report import write_report

SETTINGS: dict[str, dict[str, Any]] = {
    "dc": {"batch_real": 64},
    "dsa": {"batch_real": 64},
    "dm": {"batch_real": 64, "init": "kmeans", "lr": 10.0, "schedule": "cosine"},
}
"""Method -> its settings that differ from the published ones."""


def method(name: str, iterations: int) -> dc.Method:
    """Return a method by its name in `dc.METHODS`. Methods that select real images have no iterations."""
    cls, settings = dc.METHODS[name], SETTINGS.get(name, {})
    if issubclass(cls, dc.methods.Selection):
        return cls(**settings)
    return cls(**{"iterations": iterations, **settings})


def main(args: argparse.Namespace) -> None:
    """Print one row per method, then write the report on all of them."""
    source: dict[str, Any] = {"source": args.data, "min_per_class": args.ipc}
    if args.image_size is not None:
        source["image_size"] = args.image_size
    train, test = dc.load(**source)
    print(f"{train.spec.name}: {args.ipc} of {len(train) / train.spec.classes:.0f} training images per class")
    print(f"{'method':<12}{'accuracy %':>14}{'networks':>10}{'condensing s':>14}{'evaluating s':>14}")
    runs = []
    for name in args.methods:
        run = args.out / name
        chosen = method(name, args.iterations)
        condensed = dc.condense(chosen, train, args.ipc, seed=args.seed, out=run, resume=True, source=source)
        scores = dc.evaluate(condensed, test, nets=args.nets, epochs=args.epochs, seed=args.seed)
        dc.keep_scores(run, {name: scores})  # the report reads them from there
        (arch,) = scores.accuracy
        accuracy = f"{100 * scores.mean(arch):.1f} ± {100 * scores.std(arch):.1f}"
        seconds = f"{condensed.provenance.wall_seconds:>14.1f}{scores.seconds:>14.1f}"
        print(f"{name:<12}{accuracy:>14}{args.nets:>10}{seconds}", flush=True)
        runs.append(run)
    report = args.out / "report.html"
    write_report(runs, report)
    print(f"report: {report}")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(description="Compare methods on any data.")
    options.add_argument("--data", default="digits", help="a name, folder:PATH, arrays:FILE.npz, ... (default digits)")
    options.add_argument("--image-size", type=int, help="resize pictures of a folder to this many pixels")
    options.add_argument("--methods", nargs="+", choices=dc.METHODS, default=["random", "herding", "dm"])
    options.add_argument("--ipc", type=int, default=5, help="images per class (default 5)")
    options.add_argument("--iterations", type=int, default=150, help="iterations of a matching method (default 150)")
    options.add_argument("--nets", type=int, default=3, help="networks trained on each set (default 3)")
    options.add_argument("--epochs", type=int, default=150, help="training epochs of each network (default 150)")
    options.add_argument("--seed", type=int, default=0, help="seed of the sets and the networks (default 0)")
    options.add_argument("--out", type=Path, default=Path("runs/compared"), help="directory of all results")
    return options


if __name__ == "__main__":
    main(parser().parse_args())
