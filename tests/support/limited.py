"""Run as a script: condense or evaluate with so many bytes more than the process holds, and save what comes out.

python limited.py condense|evaluate MEGABYTES|none METHOD OUT
"""

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datacondense import ImageSet, Observer, condense, evaluate, image_set
from datacondense.methods import DSA, DistributionMatching, Random

METHODS = {
    "dm": DistributionMatching(iterations=3, batch_real=16, lr=1.0, augment="crop_scale"),
    "dsa": DSA(iterations=2, batch_real=8, updates=2, epochs=1, init="real", augment="crop_scale"),
    "random": Random(),
}


HOW: dict[str, Any] = {"ipc": 40, "compile": "off", "classes_at_once": 4}


def shades() -> ImageSet:
    """Noise of four brightnesses."""
    labels = np.arange(160) % 4
    images = np.random.default_rng(0).integers(0, 256, (160, 32, 32), dtype=np.uint8) // (1 + labels[:, None, None])
    return image_set(images.astype(np.uint8), labels, name="shades", mean=[0.5], std=[0.25], flip=False)


class Telling(Observer):
    """Prints what the driver says."""

    def progress(self, progress) -> None: ...

    def message(self, text: str) -> None:
        print(text)


def main() -> None:
    what, megabytes, method, out = sys.argv[1:]
    torch.set_num_threads(1)
    real = shades()
    made = condense(METHODS["random"], real, ipc=40) if what == "evaluate" else None
    if megabytes != "none":
        held = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert held is not None
        limit = int(held.group(1)) * 1024 + int(megabytes) * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if made is None:
        condense(METHODS[method], real, out=out, observers=[Telling()], **HOW)
        return
    told: list[int] = []
    scores = evaluate(made, real, nets=2, epochs=2, compile="off", on_epoch=lambda: told.append(1), augment="none")
    result = {"accuracy": scores.accuracy, "execution": scores.protocol["execution"], "told": len(told)}
    Path(out).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
