"""IT-GAN on FashionMNIST: the weight chosen on validation images, then what each kind of latent is worth in a test.

The generator and all latents come from 50 000 training images; informative latents of several weights are compared on
the 10 000 others. With the best weight, networks that learned real images, random, inverted and informative latents,
as many of each, are tested on the test images. Writes latents.json and latents.png, and goes on where it was stopped.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import held_out
import torch

from datacondense import SyntheticSet, condense, evaluate, pictures
from datacondense.data.image_set import ImageSet
from datacondense.methods import ItGan, Method, Random
from datacondense.report.footprint import measure
from datacondense.utils import hardware
from datacondense.utils.files import write_json

_IPC, _EPOCHS = 10, 200
_WEIGHTS = (0.0, 0.1, 0.5)
_TO_CHOOSE, _TO_TEST = 2, 3  # networks
_METHOD = ItGan(iterations=100, lr=0.02, batch_real=32, batch_latents=16, generator_steps=1500)


def main(work: Path, out: Path) -> None:
    """Keeps runs and what has been tested so far in `work`, and writes to `out` at the end."""
    train, validation, test = held_out.fashion_mnist()
    path = work / "latents.json"
    work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"validation": {}, "test": {}}
    found |= {"machine": hardware.describe(torch.device("cpu"), 1), "versions": hardware.versions()}

    def made(name: str, method: Method) -> SyntheticSet:
        place = f"weight {method.weight:g}" if isinstance(method, ItGan) and method.iterations else name
        return condense(method, train, _IPC, out=work / place, resume=True, device="cpu")

    def tested(part: str, name: str, method: Method, images: ImageSet, nets: int) -> float:
        if name not in found[part]:
            synthetic = made(name, method)
            scores = evaluate(synthetic, images, nets=nets, epochs=_EPOCHS, augment="dsa", device="cpu")
            kept = measure(synthetic)
            found[part][name] = {
                "accuracy": [round(100 * value, 2) for value in next(iter(scores.accuracy.values()))],
                "seconds": {"set": synthetic.provenance.wall_seconds, "networks": round(scores.seconds, 1)},
                "bytes": {"generator": kept.shared, "latents or pixels": kept.images, "png": kept.png},
            }
            write_json(path, found)
            print(part, name, found[part][name], flush=True)
        return fmean(found[part][name]["accuracy"])

    methods = {weight: replace(_METHOD, weight=weight) for weight in _WEIGHTS}
    on_validation = {
        weight: tested("validation", f"weight {weight:g}", method, validation, _TO_CHOOSE)
        for weight, method in methods.items()
    }
    best = max(on_validation, key=lambda weight: on_validation[weight])
    compared: dict[str, Method] = {
        "real": Random(),
        "random z": replace(_METHOD, iterations=0, init="random"),
        "inverted z": replace(_METHOD, iterations=0),
        "informative z": methods[best],
    }
    for name, method in compared.items():
        tested("test", name, method, test, _TO_TEST)
    settings = {"chosen": best, "settings": _METHOD.settings(), "ipc": _IPC, "epochs": _EPOCHS}
    write_json(out / "latents.json", {**settings, **found})
    drawn = {name.removesuffix(" z"): made(name, one) for name, one in compared.items() if name != "random z"}
    pictures.save_rows(drawn, out / "latents.png", per_class=8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="what latents of a generator are worth on FashionMNIST")
    parser.add_argument("--work", type=Path, default=Path("runs/latents"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    arguments = parser.parse_args()
    main(arguments.work, arguments.out)
