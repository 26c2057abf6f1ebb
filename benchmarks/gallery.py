"""The gallery of docs/gallery.md: sets of every method on the same data, with small budgets, in two pictures.

`make gallery` condenses FashionMNIST in a few minutes on one core; `--data digits` in less than one. Finished runs are
kept in --work, and an interrupted one goes on where it was.
"""

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from PIL import Image

from datacondense import METHODS, Compute, ImageSet, Method, SyntheticSet, condense, load, pictures
from datacondense.drawing.layout import arrange
from datacondense.drawing.text import caption
from datacondense.utils.atomic import write_bytes

ONE: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "herding": ("herding", {"epochs": 2}),
    "k-center": ("k-center", {"epochs": 2}),
    "forgetting": ("forgetting", {"epochs": 2}),
    "dc": ("dc", {"iterations": 100, "batch_real": 32, "lr": 1.0}),
    "dsa": ("dsa", {"iterations": 40, "batch_real": 32}),
    "dm": ("dm", {"iterations": 150, "batch_real": 32}),
    "dm regress": (
        "dm",
        {
            "iterations": 100,
            "batch_real": 32,
            "regress": 10.0,
            "relative": True,
            "adam": True,
            "lr": 0.05,
            "momentum": 0.9,
            "init": "kmeans",
            "schedule": "cosine",
        },
    ),
    "dm tiles": ("dm", {"iterations": 100, "batch_real": 32, "form": "tiles"}),
    "dm dct": ("dm", {"iterations": 60, "batch_real": 32, "form": "dct", "coefficients": 49, "lr": 3.0}),
    "krr": ("krr", {"iterations": 80, "batch_real": 32}),
    "it-gan": (
        "it-gan",
        {
            "iterations": 20,
            "generator_steps": 300,
            "width": 32,
            "inversion_steps": 30,
            "networks": 2,
            "network_steps": 50,
            "batch_latents": 1,
        },
    ),
}
"""Row of the first picture -> method and settings, for one image per class."""
TEN: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "dm": ("dm", {"iterations": 50, "batch_real": 32, "lr": 10.0, "init": "kmeans", "schedule": "cosine"}),
}
"""The same of the second picture, for ten images per class."""
ARCH = "ConvNetW32"
"""A ConvNet of a quarter of the width: a sixteenth of the operations."""
MOST = 5000
"""Real images, about."""


def _option(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    return flag if value is True else f"{flag} {value:g}" if isinstance(value, float) else f"{flag} {value}"


def table(rows: dict[str, tuple[str, dict[str, Any]]]) -> str:
    """Return the lines of the page's table of these rows."""
    lines: list[str] = []
    for row, (method, settings) in rows.items():
        options = " ".join(_option(name, value) for name, value in settings.items())
        lines.append(f"| {row} | `{method}` | {options and f'`{options}`'} |\n")
    return "".join(lines)


def shorter(method: Method, scale: float) -> Method:
    """Return the method with its lengths multiplied by `scale`, at least one of each."""
    lengths = ("iterations", "generator_steps", "inversion_steps", "network_steps", "epochs")
    chosen = {one.name: getattr(method, one.name) for one in fields(method) if one.init and one.name in lengths}
    return replace(method, **{name: max(1, round(scale * value)) for name, value in chosen.items() if value})


def thinned(real: ImageSet) -> ImageSet:
    """Return every n-th image, so that about 5000 are left: selections learn them all."""
    step = max(1, round(len(real) / MOST))
    return ImageSet(real.images[::step], real.labels[::step], real.spec)


def matrix(sets: dict[str, SyntheticSet]) -> Image.Image:
    """Draw the first image of each class: a row for each set, a column for each class."""
    spec = next(iter(sets.values())).spec
    names = tuple(caption(name) for name in sets)
    layout = arrange(names, 1, spec.shape, headings=spec.class_names, in_a_row=1)
    return layout.draw(
        [[spec.pixels(one.images[one.classes == k][:1]) for one in sets.values()] for k in range(spec.classes)]
    )


def main(args: argparse.Namespace) -> None:
    """Condense what is not there yet, and draw."""
    train = thinned(load(args.data)[0])
    compute = Compute(device="cpu", compile="off")  # compiling takes longer than these runs
    for ipc, rows, name in ((1, ONE, "gallery-1.png"), (10, TEN, "gallery-10.png")):
        sets: dict[str, SyntheticSet] = {}
        for row, (method, settings) in rows.items():
            made = shorter(METHODS[method](arch=args.arch, **settings), args.scale)
            out = args.work / args.data / f"{row.replace(' ', '-')}-{ipc}"
            sets[row] = condense(made, train, ipc, out=out, resume=True, compute=compute)
            if (sets[row].provenance.iterations_done or 0) < made.iterations:
                raise SystemExit("stopped: the same command goes on from here")
            print(f"{row}, {ipc} per class: {sets[row].provenance.wall_seconds or 0:.0f} s", flush=True)
        if ipc == 1:
            write_bytes(args.out / name, pictures.to_png(matrix(sets)))
        else:
            pictures.save_rows(sets, args.out / name, per_class=ipc)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(description="draw the gallery of docs/gallery.md")
    options.add_argument("--data", default="fashion-mnist", help="source of the images (default fashion-mnist)")
    options.add_argument("--arch", default=ARCH, help=f"network (default {ARCH})")
    options.add_argument("--scale", type=float, default=1.0, help="factor on all lengths (default 1)")
    options.add_argument("--work", type=Path, default=Path("runs/gallery"), help="run directories")
    options.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs", help="where pictures go")
    return options


if __name__ == "__main__":
    main(parser().parse_args())
